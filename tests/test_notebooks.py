"""The notebooks run from the first cell to the last, and are committed without outputs."""

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


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty folder to copy parts of the project to; kernels find the rest."""
    monkeypatch.setenv("LIT_SYNTH_NOTEBOOK_FAST", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("IPYTHONDIR", "XDG_CACHE_HOME", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    return tmp_path / "project"


@pytest.mark.parametrize("case", CASES)
def test_every_cell_runs(case, project):
    for part in CASES[case]:
        shutil.copytree(ROOT / part, project / part)
    (project / "notebooks").mkdir()
    executed = execute(case.split()[0], project)
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3


def execute(name, folder):
    """Run a notebook as a reader would who has opened it in its folder; return its outputs too."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    where = {"metadata": {"path": str(folder / "notebooks")}}
    return NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()


def test_every_notebook_is_executed():
    assert {path.stem for path in NOTEBOOKS} == {case.split()[0] for case in CASES}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_valid_and_stripped(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
