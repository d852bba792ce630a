"""Two processes with half the batch each do what one does with the whole batch."""

import signal
import socket

import pytest
import torch
import yaml
from forkserver import server

from lit_synth.runs.resume import checkpoint_folder

MINEGAN = {
    "class_path": "MineGAN",
    "init_args": {
        "u_dim": 4,
        "hidden": [8],
        "window": 5,
        "n_critic": 2,
        "stages": [
            {"name": "mine", "iterations": 2, "freeze": ["generators"]},
            {"name": "finetune", "iterations": 4},
        ],
    },
}
SMALL = "lit_synth.networks.small"
TRANSFERGAN = {
    "class_path": "TransferGAN",
    "init_args": {
        "generator": {
            "class_path": f"{SMALL}.SmallGenerator",
            "init_args": {"width": 4, "latent_dim": 8},
        },
        "critic": {"class_path": f"{SMALL}.SmallCritic", "init_args": {"width": 4}},
        "augment": "color,translation,cutout",
        "n_critic": 2,
        "stages": [{"name": "transfer", "iterations": 6}],
    },
}
LOGISTIC = {  # a game with lazy penalties, adaptive augmentation and running means
    "class_path": "TransferGAN",
    "init_args": {
        **TRANSFERGAN["init_args"],
        "game": {"class_path": "Logistic", "init_args": {"every": 2}},
        "augment": {"class_path": "ADA", "init_args": {"p": 0.4, "kimg": 0.2, "interval": 2}},
        "lecam": {"class_path": "lit_synth.losses.lecam.LeCam"},
    },
}


@pytest.fixture(scope="module")
def home(tmp_path_factory, sources):
    home = tmp_path_factory.mktemp("ddp")
    MINEGAN["init_args"]["sources"] = [str(sources / "plain"), str(sources / "other")]
    for model in (TRANSFERGAN, LOGISTIC):
        model["init_args"]["source"] = str(sources / "plain")
    models = {"minegan": MINEGAN, "transfergan": TRANSFERGAN, "logistic": LOGISTIC}
    for name, model in models.items():
        config = {
            "model": model,
            "data": {"class_path": "Digits", "init_args": {"limit": 30, "batch_size": 8}},
            "trainer": {"accelerator": "cpu", "log_every_n_steps": 2},
            "checkpoint": {"every_n_iterations": 2},
            "evaluate": {"every_n_iterations": 3, "n_fake": 20, "extractor": "random"},
            "samples": {"every_n_iterations": None},
            "runs_dir": str(home / "runs"),
        }
        (home / f"{name}.yaml").write_text(yaml.safe_dump(config))
    return home


def two(home, name, run_id, tampering=({}, {})):
    """Run a config in two processes, with half the batch each; return their exit codes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pids = []
    for rank in range(2):
        env = {
            "TORCHELASTIC_RUN_ID": run_id,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "GLOO_SOCKET_IFNAME": "lo",
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "GROUP_RANK": "0",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
        }
        options = ["--trainer.devices", 2, "--trainer.strategy", "ddp_find_unused_parameters_true"]
        options += ["--data.batch_size", 4]
        pids.append(start(home, name, run_id, *options, env=env, rank=rank, **tampering[rank]))
    return [server().wait(pid) for pid in pids]


def start(home, name, run_id, *options, env=None, rank=0, **tampering):
    log = home / f"{name}-{run_id}-{rank}.log"
    command = ["fit", "--config", home / f"{name}.yaml", "--run_id", run_id, *options]
    return server().start(log, *command, env=env, **tampering)


def logs(home):
    return "\n".join(path.read_text() for path in home.glob("*.log"))


def last(home, name, run_id):
    path = checkpoint_folder(home / "runs" / name / run_id) / "last.ckpt"
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("name", ["transfergan", "minegan", "logistic"])
def test_two_processes_give_the_gradients_of_one(home, name):
    paths = [home / f"{name}-{rank}.pt" for rank in ("one", 0, 1)]
    alone = start(home, name, "one", record_gradients=str(paths[0]))
    assert server().wait(alone) == 0, logs(home)
    recording = [{"record_gradients": str(path)} for path in paths[1:]]
    assert two(home, name, "two", recording) == [0, 0], logs(home)

    one, *both = (torch.load(path, weights_only=True) for path in paths)
    assert len(one) == 6 + 3  # six critic steps, and a step of the other player at every second
    for gradients in both:
        for step, (expected, found) in enumerate(zip(one, gradients, strict=True)):
            for parameter, value in expected.items():
                other = found.get(parameter, torch.zeros_like(value))
                message = f"step {step}, {parameter}"
                torch.testing.assert_close(
                    other, value, rtol=1e-3, atol=1e-5, msg=lambda text, m=message: f"{m}: {text}"
                )
    assert any(value.abs().max() > 1e-3 for value in one[-1].values())

    state, other = (last(home, name, run_id)["state_dict"] for run_id in ("one", "two"))
    for key in state:
        torch.testing.assert_close(other[key], state[key], rtol=1e-3, atol=1e-3)
    if name == "minegan":
        for key in ("selector.shares", "selector.count"):
            assert torch.equal(other[key], state[key])
    if name == "logistic":
        assert torch.equal(other["augment.p"], state["augment.p"])
        assert state["augment.p"] != 0.4


def test_a_signal_to_one_process_stops_both_and_they_go_on_exactly(home):
    assert two(home, "minegan", "whole") == [0, 0], logs(home)
    to_the_second = ({}, {"signal_in_iteration": [3, signal.SIGTERM]})
    assert two(home, "minegan", "stopped", to_the_second) == [128 + signal.SIGTERM] * 2
    assert last(home, "minegan", "stopped")["iteration"] == 3
    assert two(home, "minegan", "stopped") == [0, 0], logs(home)
    whole, stopped = (last(home, "minegan", run_id) for run_id in ("whole", "stopped"))
    assert len(whole["random"]) == 2
    for key, value in whole["state_dict"].items():
        assert torch.equal(stopped["state_dict"][key], value), key
    csv = [home / "runs" / "minegan" / run_id / "metrics.csv" for run_id in ("whole", "stopped")]
    assert csv[0].read_bytes() == csv[1].read_bytes()
