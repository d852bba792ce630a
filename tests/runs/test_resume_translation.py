"""Mix-and-Match Networks killed in their second stage, and in two processes, end as they should."""

import signal
import socket

import pytest
import tiny
import torch
import yaml
from forkserver import server

from lit_synth.runs.resume import checkpoint_folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run of three stages of three iterations, saved at every second."""
    home = tmp_path_factory.mktemp("translation")
    config = yaml.safe_load((tiny.CONF / "translation" / "mmnets.yaml").read_text())
    for stage in config["model"]["init_args"]["stages"]:
        stage |= {"iterations": 3, "decay": "cosine", "warmup": 1}
    config["trainer"] = {"accelerator": "cpu", "log_every_n_steps": 2}
    config["checkpoint"] = {"every_n_iterations": 2, "best": None}
    config["evaluate"] = {"every_n_iterations": 4, "metrics": []}
    config["samples"] = {"every_n_iterations": 4, "n": 2}
    config["runs_dir"] = str(home / "runs")
    (home / "tiny.yaml").write_text(yaml.safe_dump(config))
    return home


def start(home, run_id, *options, env=None, **tampering):
    log = home / f"{run_id}-{(env or {}).get('RANK', 0)}.log"
    command = ["fit", "--config", home / "tiny.yaml", "--run_id", run_id, *options]
    return server().start(log, *command, env=env, **tampering)


def folder(home, run_id):
    return home / "runs" / "tiny" / run_id


def last(home, run_id):
    path = checkpoint_folder(folder(home, run_id)) / "last.ckpt"
    return torch.load(path, weights_only=True)


def said(home):
    return "\n".join(path.read_text() for path in home.glob("*.log"))


@pytest.fixture(scope="module")
def whole(home):
    assert server().wait(start(home, "whole")) == 0, said(home)
    return last(home, "whole")


def test_killed_in_the_second_stage_and_started_again(home, whole):
    pid = start(home, "killed", kill_in_iteration=5)
    assert server().wait(pid) == -signal.SIGKILL
    assert last(home, "killed")["iteration"] == 4  # of 3 + 3 + 3
    assert server().wait(start(home, "killed")) == 0, said(home)
    again = last(home, "killed")
    for name, value in whole["state_dict"].items():
        assert torch.equal(again["state_dict"][name], value), name
    for ours, theirs in zip(again["optimizer_states"], whole["optimizer_states"], strict=True):
        assert ours["param_groups"] == theirs["param_groups"]
        for number, state in theirs["state"].items():
            for name, value in state.items():
                assert torch.equal(ours["state"][number][name], value), f"{number} {name}"
    for name in ("metrics.csv", "samples/00000004.png", "samples/00000009.png"):
        written = [(folder(home, run) / name).read_bytes() for run in ("killed", "whole")]
        assert written[0] == written[1], name


def test_two_processes_equal_one(home, whole):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--trainer.devices", 2, "--data.batch_size", 2]
    options += ["--trainer.strategy", "ddp_find_unused_parameters_true"]
    pids = [
        start(home, "two", *options, env={
            "TORCHELASTIC_RUN_ID": "two",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "GLOO_SOCKET_IFNAME": "lo",
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "GROUP_RANK": "0",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
        })
        for rank in range(2)
    ]  # fmt: skip
    assert [server().wait(pid) for pid in pids] == [0, 0], said(home)
    state = last(home, "two")["state_dict"]
    moved = 0
    for name, value in whole["state_dict"].items():
        torch.testing.assert_close(
            state[name], value, rtol=1e-3, atol=2e-3, msg=lambda text, n=name: f"{n}: {text}"
        )
        moved += value.numel()
    assert moved > 1000
