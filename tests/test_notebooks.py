"""The notebooks run from the first cell to the last, and are committed with what they show."""

import copy
import importlib.util
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from forkserver import server

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


@pytest.mark.parametrize("case", CASES)
def test_every_cell_runs_and_is_committed_with_what_it_shows(case, tmp_path):
    project, executed = tmp_path / "project", tmp_path / "executed.ipynb"
    for part in CASES[case]:
        shutil.copytree(ROOT / part, project / part)
    (project / "notebooks").mkdir()
    env = {"LIT_SYNTH_NOTEBOOK_FAST": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    env["IPYTHONDIR"] = str(tmp_path / "ipython")
    paths = [ROOT / "notebooks" / f"{case.split()[0]}.ipynb", project / "notebooks", executed]
    log = tmp_path / "log.txt"
    code = server().run(log, env=env, run_notebook=[str(path) for path in paths])
    assert code == 0, log.read_text()
    cells = code_of(kept(nbformat.read(executed, as_version=4)))
    outputs = [output for cell in cells for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    if case in {path.stem for path in NOTEBOOKS}:
        committed = code_of(nbformat.read(paths[0], as_version=4))
        assert [bool(cell.outputs) for cell in committed] == [bool(cell.outputs) for cell in cells]


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
