"""The notebooks run from the first cell to the last, and are committed without outputs."""

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
def test_every_cell_runs(case, tmp_path):
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
    cells = nbformat.read(executed, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3


def test_every_notebook_is_executed():
    assert {path.stem for path in NOTEBOOKS} == {case.split()[0] for case in CASES}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_valid_and_stripped(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
