"""A run that is killed anywhere and started again ends bit for bit like one that never was."""

import signal

import pytest
import torch
import yaml
from forkserver import server

from lit_synth.runs.resume import checkpoint_folder

TOTAL = 14


@pytest.fixture(scope="module")
def home(tmp_path_factory, sources):
    """A folder with the sources and a config in which nothing falls on the same iteration.

    A pass over the data is 3.75 iterations; the second stage starts at 6, where a checkpoint is.
    """
    home = tmp_path_factory.mktemp("resume")
    (home / "sources").symlink_to(sources)
    config = {
        "model": {
            "class_path": "MineGAN",
            "init_args": {
                "sources": [str(sources / "plain"), str(sources / "other")],
                "u_dim": 4,
                "hidden": [8],
                "window": 5,
                "n_critic": 2,
                "stages": [
                    {"name": "mine", "iterations": 6, "freeze": ["generators"]},
                    {"name": "finetune", "iterations": TOTAL - 6, "reset_optimizers": True},
                ],
            },
        },
        "data": {"class_path": "Digits", "init_args": {"limit": 30, "batch_size": 8}},
        "trainer": {
            "accelerator": "cpu",
            "log_every_n_steps": 4,
            "callbacks": [
                {"class_path": "EMA", "init_args": {"networks": ["miners", "generators"]}}
            ],
        },
        "checkpoint": {"every_n_iterations": 3},
        "evaluate": {"every_n_iterations": 5, "n_fake": 20, "extractor": "random"},
        "samples": {"every_n_iterations": 5, "n": 4},
        "runs_dir": str(home / "runs"),
    }
    (home / "tiny.yaml").write_text(yaml.safe_dump(config))
    return home


def start(home, run_id, *options, **tampering):
    """Run the one command of this file; return its exit code."""
    command = ["fit", "--config", home / "tiny.yaml", "--run_id", run_id, *options]
    return server().run(home / f"{run_id}.log", *command, **tampering)


def state(home, run_id):
    """Return what the last checkpoint of a run holds."""
    folder = checkpoint_folder(home / "runs" / "tiny" / run_id)
    return torch.load(folder / "last.ckpt", weights_only=True)


def outcome(home, run_id):
    """Return all that must not depend on kills: the state of the run, and what it wrote."""
    folder = home / "runs" / "tiny" / run_id
    names = ["metrics.csv", "samples/*.png", "cards/*.json", "release/*", "checkpoints/*"]
    files = {str(path.relative_to(folder)): path for name in names for path in folder.glob(name)}
    written = {
        name: path.read_bytes().replace(run_id.encode(), b"RUN")
        for name, path in files.items()
        if path.suffix != ".ckpt"
    }
    assert written.keys() >= {"metrics.csv", "samples/00000005.png", "release/model.safetensors"}
    kept = ("state_dict", "optimizer_states", "callbacks", "rng", "random", "tracked", "iteration")
    return {key: state(home, run_id)[key] for key in kept} | written | {"files": sorted(files)}


def assert_same(ours, theirs, where=""):
    """Compare nested values, tensors bit by bit."""
    assert type(ours) is type(theirs), where
    if isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), where
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), where
        for key, value in ours.items():
            assert_same(value, theirs[key], f"{where}/{key}")
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), where
        for index, value in enumerate(ours):
            assert_same(value, theirs[index], f"{where}/{index}")
    else:
        assert ours == theirs or ours != ours, where


@pytest.fixture(scope="module")
def whole(home):
    """The outcome of a run that nothing happened to."""
    assert start(home, "whole") == 0, (home / "whole.log").read_text()
    return outcome(home, "whole")


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param([("kill_in_iteration", 2)], id="before-anything-is-saved"),
        pytest.param([("kill_in_iteration", 5)], id="in-a-pass-and-in-a-stage"),
        pytest.param([("kill_after_iteration", 6)], id="at-the-end-of-a-stage"),
        pytest.param([("kill_in_write", 1)], id="in-the-first-checkpoint"),
        pytest.param([("kill_in_rotation", 2)], id="between-two-renames"),
        pytest.param([("kill_after_iteration", TOTAL)], id="when-all-is-trained"),
        pytest.param(
            [
                ("kill_in_iteration", 4),
                ("kill_in_write", 1),
                ("kill_in_iteration", 7),
                ("kill_in_rotation", 1),
                ("kill_in_write", 2),
                ("kill_in_iteration", 14),
            ],
            id="again-and-again",
        ),
    ],
)
def test_killed_and_started_again(home, whole, kills, request):
    run_id = request.node.callspec.id
    for name, number in kills:
        assert start(home, run_id, **{name: number}) == -signal.SIGKILL
    assert start(home, run_id) == 0, (home / f"{run_id}.log").read_text()
    assert_same(outcome(home, run_id), whole)


def test_saving_by_time_changes_nothing(home, whole):
    """And neither does stopping in a friendly way, in the middle of an iteration."""
    options = ("--checkpoint.every_n_minutes", 0)
    signalled = {"signal_in_iteration": [8, signal.SIGTERM]}
    assert start(home, "timed", *options, **signalled) == 128 + signal.SIGTERM
    assert state(home, "timed")["iteration"] == 8
    assert start(home, "timed", *options) == 0
    assert_same(outcome(home, "timed"), whole)


def test_trained_longer(home, whole):
    """A finished run whose last stage is raised trains what a longer run would have."""
    shorter = yaml.safe_load((home / "tiny.yaml").read_text())
    shorter["model"]["init_args"]["stages"][1]["iterations"] = 3
    (home / "shorter").mkdir()
    (home / "shorter" / "tiny.yaml").write_text(yaml.safe_dump(shorter))
    command = ["fit", "--config", home / "shorter" / "tiny.yaml", "--run_id", "longer"]
    assert server().run(home / "longer.log", *command) == 0
    assert start(home, "longer") == 0
    # What it logged and drew at its first end makes the files differ.
    for key in ("state_dict", "optimizer_states", "rng", "random"):
        assert_same(state(home, "longer")[key], whole[key], key)


def test_a_finished_run_says_so(home, whole):
    assert start(home, "whole") == 0
    assert "give a larger --iterations" in (home / "whole.log").read_text()
    assert_same(outcome(home, "whole"), whole)
