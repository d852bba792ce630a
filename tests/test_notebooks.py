"""The notebooks run from the first cell to the last, and are committed with what they show."""

import asyncio
import copy
import importlib.util
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# Notebook, and the parts of the project that it finds; no docs: no study has been run yet.
CASES = {
    "many_domains_many_styles": ["configs"],
    "measuring_and_removing_bias": ["configs"],
    "mine_your_own_gans": ["configs"],
    "zero_pair_translation": ["configs"],
    "read_a_study": ["configs", "docs"],
    "read_a_study without results": ["configs"],
}


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Every case's notebook with its outputs, or what its execution has raised."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LIT_SYNTH_NOTEBOOK_FAST", "1")
        environment.setenv("OMP_NUM_THREADS", "1")
        environment.setenv("PYTHONPATH", str(ROOT))
        environment.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        environment.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        environment.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path_factory.mktemp("jupyter")))
        return asyncio.run(execute_all(tmp_path_factory))


async def execute_all(tmp_path_factory):
    folders = {case: copied(parts, tmp_path_factory) for case, parts in CASES.items()}
    outcomes = await asyncio.gather(
        *(execute(case.split()[0], folder) for case, folder in folders.items()),
        return_exceptions=True,
    )
    return dict(zip(CASES, outcomes, strict=True))


def copied(parts, tmp_path_factory):
    """Return a copy of the parts of the project that a notebook reads, for it to write into."""
    folder = tmp_path_factory.mktemp("project")
    for part in parts:
        shutil.copytree(ROOT / part, folder / part)
    (folder / "notebooks").mkdir()
    return folder


async def execute(name, folder):
    """Run a notebook as a reader would who has opened it in its folder."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    where = {"metadata": {"path": str(folder / "notebooks")}}
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where)
    return await client.async_execute()


@pytest.mark.parametrize("case", CASES)
def test_every_cell_runs(executed, case):
    if isinstance(executed[case], Exception):
        raise executed[case]
    outputs = [output for cell in executed[case].cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3


def test_every_notebook_is_executed():
    assert {path.stem for path in NOTEBOOKS} == {case.split()[0] for case in CASES}


def kept(notebook):
    """Return a notebook as `notebooks/execute.py` writes it."""
    spec = importlib.util.spec_from_file_location("execute", ROOT / "notebooks" / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.kept(copy.deepcopy(notebook))


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("case", [case for case in CASES if "without" not in case])
def test_cells_that_show_something_are_committed_with_it(executed, case):
    committed = nbformat.read(ROOT / "notebooks" / f"{case}.ipynb", as_version=4)
    shown = [bool(cell.outputs) for cell in code_of(committed)]
    assert shown == [bool(cell.outputs) for cell in code_of(kept(executed[case]))]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_outputs_are_those_of_any_machine(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert kept(notebook) == notebook  # numbered cells; no times, no progress, no metadata
    assert path.stat().st_size < 1_500_000
    outputs = [output for cell in code_of(notebook) for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "display_data"}
    printed = "".join(output.get("text", "") for output in outputs)
    assert not re.search(r"(^|[\s'\"(=])/\w+/", printed), "a path of the machine"
