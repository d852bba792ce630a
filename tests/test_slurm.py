"""SLURM's signal before the time limit: save, be requeued, and go on as the same run."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
import torch
import yaml
from forkserver import server

from lit_synth.runs.environment import wandb_id

SCRIPTS = sorted((Path(__file__).parents[1] / "configs" / "slurm").glob("*.sbatch"))


def program(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Programs that stand in for SLURM's, and for ours: they write down what they are given."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program(programs, "srun", 'exec "$@"')
    program(programs, "scontrol", f'echo "$@" >> {tmp_path}/scontrol.log')
    program(programs, "lit-synth", f'printf "%s\\n" "$@" > {tmp_path}/command')
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("VENV", str(tmp_path / "none"))  # one here would put its own programs first
    return tmp_path


def directives(script):
    """Return the #SBATCH options of a script."""
    found = re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?", script.read_text(), re.MULTILINE)
    return dict(found)


def command_of(cluster, script, *arguments):
    """Run a batch script; return the arguments that it starts lit-synth with."""
    env = os.environ | {"SLURM_CPUS_PER_TASK": "4", "SLURM_ARRAY_TASK_ID": "7"}
    subprocess.run(["bash", script, *arguments], env=env, check=True)
    return (cluster / "command").read_text().splitlines()


def test_all_scripts_are_tested():
    assert [path.stem for path in SCRIPTS] == ["multi_node", "requeue", "seeds", "single_node"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_ask_for_what_they_start(cluster, script):
    asked = directives(script)
    command = command_of(cluster, script, "configs/minegan.yaml", "--run_id", "a b")
    assert command[:3] == ["fit", "--config", "configs/minegan.yaml"]
    assert command[-2:] == ["--run_id", "a b"]  # last: what is asked for overrides
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--trainer.devices"] == asked["ntasks-per-node"] == asked["gpus-per-node"]
    assert options.get("--trainer.num_nodes", "1") == asked["nodes"]
    assert asked["signal"] == "SIGUSR1@120"
    assert "requeue" in asked
    assert asked["open-mode"] == "append"
    assert {"mem", "partition"} <= asked.keys()
    if script.stem == "seeds":
        assert asked["array"] == "0-7"
        assert options["--seed_everything"] == "7"


def test_the_environment_is_activated(cluster, monkeypatch):
    script = next(path for path in SCRIPTS if path.stem == "requeue")
    venv = cluster / "a venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "activate").write_text(f"PATH='{venv}':$PATH")
    program(venv, "lit-synth", f"echo activated > {cluster}/command")
    monkeypatch.setenv("VENV", str(venv.parent))
    assert command_of(cluster, script, "configs/minegan.yaml") == ["activated"]


def task():
    """Return the environment of the only task of job 4242."""
    return {
        "SLURM_JOB_ID": "4242",
        "SLURM_JOB_NAME": "lit-synth",
        "SLURM_NTASKS": "1",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
        "SLURM_NNODES": "1",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_NODELIST": "localhost",
        "PATH": os.environ["PATH"],
    }


@pytest.fixture
def config(tmp_path, sources):
    settings = {
        "model": {
            "class_path": "MineGAN",
            "init_args": {
                "sources": [str(sources / "plain"), str(sources / "other")],
                "u_dim": 4,
                "hidden": [8],
                "n_critic": 2,
                "stages": [{"name": "mine", "iterations": 8}],
            },
        },
        "data": {
            "class_path": "Digits",
            "init_args": {"limit": 30, "batch_size": 8, "num_workers": 1},
        },
        "trainer": {"accelerator": "cpu", "log_every_n_steps": 3},
        "evaluate": {"every_n_iterations": None},
        "samples": {"every_n_iterations": None},
        "runs_dir": str(tmp_path / "runs"),
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_a_requeued_job_goes_on_as_the_same_run(cluster, config):
    script = next(path for path in SCRIPTS if path.stem == "requeue")
    command = command_of(cluster, script, str(config))
    folder = cluster / "runs" / "tiny" / "seed0"
    log, env = cluster / "job.log", task()

    code = server().run(log, *command, env=env, signal_in_iteration=[5, signal.SIGUSR1])
    assert code == 128 + signal.SIGUSR1, log.read_text()
    assert (cluster / "scontrol.log").read_text() == "requeue 4242\n"
    assert "job 4242 is requeued" in log.read_text()
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["iteration"] == 5
    assert not list(folder.glob("hpc_ckpt*"))

    assert server().run(log, *command, env=env | {"SLURM_RESTART_COUNT": "1"}) == 0, log.read_text()
    assert (cluster / "scontrol.log").read_text().count("requeue") == 1
    assert [path.name for path in folder.parent.iterdir()] == ["seed0"]

    assert server().run(log, *command, "--run_id", "whole") == 0
    requeued, whole = (
        torch.load(folder.with_name(name) / "checkpoints" / "last.ckpt", weights_only=True)
        for name in ("seed0", "whole")
    )
    for key, value in whole["state_dict"].items():
        assert torch.equal(requeued["state_dict"][key], value), key
    files = [folder.with_name(name) / "metrics.csv" for name in ("seed0", "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_task_of_an_array_that_slurm_does_not_requeue(cluster, config):
    program(cluster / "bin", "scontrol", f'echo "$@" >> {cluster}/scontrol.log; exit 1')
    log = cluster / "job.log"
    command = ["fit", "--config", config]
    env = task() | {"SLURM_ARRAY_JOB_ID": "4200", "SLURM_ARRAY_TASK_ID": "7"}
    code = server().run(log, *command, env=env, signal_in_iteration=[5, signal.SIGUSR1])
    assert code == 128 + signal.SIGUSR1
    assert (cluster / "scontrol.log").read_text() == "requeue 4200_7\n"
    assert "SLURM did not requeue job 4200_7: submit it again" in log.read_text()


def test_a_requeue_that_ends_its_own_command_is_one(cluster, config):
    """SLURM ends a job that it requeues at once, and with it the command that has asked for it."""
    program(cluster / "bin", "scontrol", f'echo "$@" >> {cluster}/scontrol.log; kill -TERM $$')
    log = cluster / "job.log"
    signalled = {"signal_in_iteration": [1, signal.SIGUSR1]}
    code = server().run(log, "fit", "--config", config, env=task(), **signalled)
    assert code == 128 + signal.SIGUSR1
    assert "saved at iteration 1; job 4242 is requeued" in log.read_text()


EVALUATED = "--evaluate.every_n_iterations=4 --evaluate.n_fake=8 --evaluate.extractor=random"


@pytest.mark.parametrize(
    ("when", "saved"), [("signal_before_training", None), ("signal_in_evaluation", 4)]
)
def test_a_signal_outside_of_a_step_requeues_too(cluster, config, when, saved):
    command = ["fit", "--config", config, *EVALUATED.split(), "--evaluate.metrics=[fid]"]
    log, folder = cluster / "job.log", cluster / "runs" / "tiny" / "seed0"
    code = server().run(log, *command, env=task(), **{when: signal.SIGUSR1})
    assert code == 128 + signal.SIGUSR1, log.read_text()
    assert (cluster / "scontrol.log").read_text() == "requeue 4242\n"
    assert "job 4242 is requeued" in log.read_text()
    if saved is None:
        assert not list(folder.glob("checkpoints/*"))
    else:
        last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
        assert last["iteration"] == saved
        assert (folder / "cards" / f"val-{saved:08d}.json").is_file()
    assert server().run(log, *command, env=task()) == 0, log.read_text()


def test_the_wandb_run_is_kept(cluster, config):
    """The id that the loggers of both starts get is the one in the folder."""
    folder = cluster / "runs" / "tiny" / "seed0"
    log = cluster / "job.log"
    command = ["fit", "--config", config, "--trainer.logger", "WandbLogger"]
    env = task() | {"WANDB_SILENT": "true", "HOME": str(cluster)}
    signalled = {"signal_in_iteration": [5, signal.SIGUSR1]}
    assert server().run(log, *command, env=env, **signalled) == 128 + signal.SIGUSR1
    first = wandb_id(folder)
    assert server().run(log, *command, env=env) == 0, log.read_text()
    started = sorted(path.name for path in (folder / "wandb").glob("offline-run-*"))
    assert len(started) == 2
    assert all(name.endswith(first) for name in started)
