"""What every test may use: one thread, tiny pretrained networks, a folder of its own."""

import shutil

import pytest
import tiny
import torch
from bad_input import write_config

from lit_synth.cli import main

# The suite runs beside other work on small machines; more threads than that only wait.
torch.set_num_threads(1)


def pytest_configure(config):
    # Lightning calls what torch deprecates; frozen networks are in eval mode; some data has no val.
    for message in (
        ".*LeafSpec.*is deprecated.*",
        ".*in eval mode at the start of training.*",
        ".*but have no `val_dataloader`.*",
    ):
        config.addinivalue_line("filterwarnings", f"ignore:{message}")


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """A folder of tiny releases; see `tiny.write_releases`."""
    return tiny.write_releases(tmp_path_factory.mktemp("sources"))


@pytest.fixture
def workdir(tmp_path, monkeypatch, sources):
    """An empty current directory, but for `sources`, as the files of tests/conf expect it."""
    (tmp_path / "sources").symlink_to(sources)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The runs folder with a finished run of tests/conf/wgan_gp.yaml."""
    folder = tmp_path_factory.mktemp("trained") / "runs"
    config = write_config(folder.parent)
    assert main(["fit", "--config", str(config), "--runs_dir", str(folder)]) == 0
    return folder


@pytest.fixture
def saved(trained, workdir):
    """The finished run, as this test's own `runs` folder."""
    shutil.copytree(trained, workdir / "runs")
    return workdir / "runs/wgan_gp/seed0"
