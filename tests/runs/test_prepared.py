"""Runs that a run needs: trained before it, found finished, gone on with, stopped with it."""

import copy
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
import yaml
from forkserver import server

from lit_synth.cli import main
from lit_synth.runs import prepared
from lit_synth.runs.folder import claim_folder

RUNS = Path("runs")


def settings(class_path, **init_args):
    return {
        "model": {
            "class_path": class_path,
            "init_args": {
                "n_critic": 1,
                "stages": [{"name": "train", "iterations": 2}],
                **init_args,
            },
        },
        "data": {
            "class_path": "Digits",
            "init_args": {"image_size": 16, "batch_size": 4, "limit": 8},
        },
        "trainer": {"accelerator": "cpu", "log_every_n_steps": 2},
        "evaluate": {"every_n_iterations": None},
        "samples": {"every_n_iterations": None},
    }


def small(kind, **init_args):
    return {"class_path": f"lit_synth.networks.small.{kind}", "init_args": init_args}


PLAIN = settings(
    "WGANGP",
    generator=small("SmallGenerator", width=4, latent_dim=4),
    critic=small("SmallCritic", width=4),
)
MINE = settings("MineGAN", sources=["$prepare.plain"], u_dim=4, hidden=[4])
MINE["prepare"] = {"plain": "plain.yaml"}  # beside it


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A current folder with two configurations, of which `mine` needs `plain`."""
    monkeypatch.chdir(tmp_path)
    write(plain=PLAIN, mine=MINE)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The runs of both, one after the other."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write(plain=PLAIN, mine=MINE)
        assert fit("plain") == fit("mine") == 0
    return folder / RUNS


@pytest.fixture
def done(home, trained):
    """Both runs, in the current folder."""
    shutil.copytree(trained, home / RUNS)


@pytest.fixture
def commands(home, monkeypatch):
    """What was started to prepare, in this process for once."""
    assert Path.cwd() == home
    started = []

    def command(arguments):
        started.append(Path(arguments[2]).stem)
        return call(*arguments)

    monkeypatch.setattr(prepared, "_command", command)
    return started


def write(**configs):
    Path("configs").mkdir(exist_ok=True)
    for name, config in configs.items():
        Path("configs", f"{name}.yaml").write_text(yaml.safe_dump(config))


def call(*argv):
    try:
        return main([str(each) for each in argv])
    except SystemExit as end:
        return end.code


def fit(name="mine", *options):
    return call("fit", "--config", f"configs/{name}.yaml", *options)


def config_of(name, run="seed0"):
    return yaml.safe_load((RUNS / name / run / "config.yaml").read_text())


def weights(name, run="seed0"):
    return (RUNS / name / run / "release" / "model.safetensors").read_bytes()


def iterations_of(name):
    path = RUNS / name / "seed0" / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)["iteration"]


def test_what_is_needed_is_trained_once_and_with_the_runs_seed(commands, capsys):
    assert fit() == 0
    assert commands == ["plain"]
    said = capsys.readouterr().out
    assert "prepare.plain: this run uses its release, so first training configs/plain.yaml" in said
    assert "prepare.plain: done in" in said
    assert fit() == 0
    assert commands == ["plain"]
    assert "prepare.plain: runs/plain/seed0/release is there." in capsys.readouterr().out
    assert fit("mine", "--seed_everything", 5) == 0
    assert commands == ["plain", "plain"]
    assert config_of("plain", "seed5")["seed_everything"] == 5


@pytest.mark.usefixtures("done")
def test_the_outcome_is_that_of_naming_the_release():
    named = copy.deepcopy(MINE)
    named["model"]["init_args"]["sources"] = ["runs/plain/seed0/release"]
    del named["prepare"]
    write(named=named)
    assert fit("named") == 0
    assert weights("named") == weights("mine")


@pytest.mark.usefixtures("done")
def test_config_yaml_keeps_the_names_and_serves_where_the_runs_have_moved(
    commands, home, monkeypatch
):
    config = config_of("mine")
    assert config["model"]["init_args"]["sources"] == ["$prepare.plain"]
    assert config["prepare"] == {"plain": "configs/plain.yaml"}
    shutil.move("runs", "elsewhere")
    monkeypatch.chdir("elsewhere/mine/seed0")  # from where no other configuration is seen
    seeds = ["--seed_everything", 3, "--run_id", "seed0"]  # other latents, the same run
    assert call("predict", "--config", "config.yaml", "--n_images", 2, *seeds) == 0
    monkeypatch.chdir(home)
    path = "elsewhere/mine/seed0/config.yaml"
    assert (home / "elsewhere/mine/seed0/predictions/000001.png").is_file()
    assert call("fit", "--config", path, "--model.init_args.stages.iterations", 3) == 0
    assert not Path("runs").exists()
    assert commands == []
    assert call("fit", "--config", path, "--runs_dir", "third", "--run_id", "new") == 0
    assert (home / "third/mine/new/release").is_dir()
    assert commands == ["plain"]


def test_what_is_prepared_may_need_something_itself(commands):
    top = {**PLAIN, "out": "$prepare.mine/x", "prepare": {"mine": "configs/mine.yaml"}}
    write(top=top)
    assert fit("top") == 0
    assert commands == ["mine", "plain"]  # as they were started
    assert (RUNS / "top/seed0/release").is_dir()


@pytest.mark.usefixtures("done")
def test_a_longer_run_is_gone_on_with_and_an_unfinished_one_too(commands, capsys):
    longer = copy.deepcopy(PLAIN)
    longer["model"]["init_args"]["stages"][0]["iterations"] = 4
    write(plain=longer)
    assert fit() == 0
    assert "so first going on with configs/plain.yaml" in capsys.readouterr().out
    assert iterations_of("plain") == 4
    later = time.time() + 5
    os.utime(RUNS / "plain/seed0/config.yaml", (later, later))  # started again, never ended
    assert fit() == 0
    assert commands == ["plain"] * 2


@pytest.mark.usefixtures("done")
def test_other_settings_are_refused_before_anything_starts(commands, capsys):
    other = copy.deepcopy(PLAIN)
    other["model"]["init_args"]["n_critic"] = 2
    write(plain=other)
    assert fit() == 2
    assert commands == []
    said = capsys.readouterr().err
    assert "prepare.plain: runs/plain/seed0 holds a run with model.init_args.n_critic = 1" in said


@pytest.mark.usefixtures("done")
def test_another_preparation_is_another_run(commands, capsys):
    write(plain2=PLAIN, mine={**MINE, "prepare": {"plain": "plain2.yaml"}})
    assert fit() == 2
    assert "holds a run with prepare.plain = configs/plain.yaml" in capsys.readouterr().err
    assert commands == []


@pytest.mark.usefixtures("commands")
def test_a_failure_stops_with_its_exit_code(capsys):
    broken = copy.deepcopy(PLAIN)
    broken["data"]["init_args"]["limit"] = 0
    write(plain=broken)
    assert fit() == 2
    said = capsys.readouterr()
    assert "limit" in said.err
    assert "prepare.plain: stopped after" in said.out
    assert not (RUNS / "mine/seed0/checkpoints").exists()


def test_other_verbs_and_other_processes_need_it_to_be_there(commands, monkeypatch, capsys):
    sentence = (
        "$prepare.plain is not trained yet, there is no runs/plain/seed0/release: run `lit-synth "
        "fit --config configs/plain.yaml --runs_dir runs --seed_everything 0` first."
    )
    for verb in ("test", "predict", "validate"):
        assert call(verb, "--config", "configs/mine.yaml") == 2
        assert sentence in capsys.readouterr().err
    for name, value in (("LOCAL_RANK", "1"), ("SLURM_NTASKS", "2")):
        monkeypatch.setenv(name, value)
        assert fit() == 2
        assert sentence in capsys.readouterr().err
        monkeypatch.delenv(name)
    assert commands == []
    assert fit() == 0
    assert call("predict", "--config", "configs/mine.yaml", "--n_images", 1) == 0


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        ({}, "the settings use $prepare.plain, but prepare has nothing"),
        ({"plain": "nowhere.yaml"}, "prepare.plain is 'nowhere.yaml', but there is no such file"),
    ],
)
def test_what_cannot_be_prepared(commands, prepare, sentence, capsys):
    write(mine={**MINE, "prepare": prepare})
    assert fit() == 2
    assert sentence in capsys.readouterr().err
    assert commands == []


def test_what_nothing_uses_is_left_alone(commands):
    write(unused={**PLAIN, "prepare": {"mine": "mine.yaml"}})
    assert fit("unused") == 0
    assert commands == []


@pytest.mark.usefixtures("home")
def test_a_signal_reaches_it_and_the_same_command_goes_on(monkeypatch, capfd):
    long = copy.deepcopy(PLAIN)
    long["model"]["init_args"]["stages"][0]["iterations"] = 10**6
    long["checkpoint"] = {"every_n_iterations": 10**6}
    write(plain=long)
    log = RUNS / "plain/seed0/metrics.csv"
    before = signal.getsignal(signal.SIGTERM)

    def stop_when_training():
        end = time.monotonic() + 60
        while not (log.is_file() and log.read_text().count("\n") > 1) and time.monotonic() < end:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop_when_training)
    thread.start()
    assert fit() == 128 + signal.SIGTERM  # in a process of its own
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before
    assert "stopped by SIGTERM and saved at iteration" in capfd.readouterr().err
    reached = iterations_of("plain")
    assert reached > 1
    assert not (RUNS / "mine/seed0/checkpoints").exists()

    long["model"]["init_args"]["stages"][0]["iterations"] = reached + 1
    write(plain=long)
    monkeypatch.setattr(prepared, "_command", lambda arguments: call(*arguments))
    assert fit() == 0
    assert iterations_of("plain") == reached + 1
    assert (RUNS / "mine/seed0/release").is_dir()


def wait_until(true, seconds=90):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="asks Linux for children")
def test_it_ends_with_a_killed_parent_and_the_same_command_takes_over(home):
    long = copy.deepcopy(PLAIN)
    long["model"]["init_args"]["stages"][0]["iterations"] = 20_000
    long["checkpoint"] = {"every_n_iterations": 10**6}
    write(plain=long)
    command = ["fit", "--config", home / "configs/mine.yaml", "--runs_dir", home / RUNS]
    parent = server().start(home / "first.log", *command)
    metrics = RUNS / "plain/seed0/metrics.csv"
    wait_until(lambda: metrics.is_file() and metrics.read_text().count("\n") > 1)
    child = int(Path(f"/proc/{parent}/task/{parent}/children").read_text())
    os.kill(parent, signal.SIGKILL)
    assert server().wait(parent) == -signal.SIGKILL
    write(plain=PLAIN)
    assert server().run(home / "second.log", *command) == 0, (home / "second.log").read_text()
    assert not Path(f"/proc/{child}").exists()
    assert "stopped by SIGTERM and saved at iteration" in (home / "first.log").read_text()
    assert iterations_of("plain") > 2  # those of the first, which were enough
    assert (RUNS / "mine/seed0/release").is_dir()


def test_a_run_that_another_process_trains_is_waited_for(commands, capsys, monkeypatch):
    folder = RUNS / "plain/seed0"
    held, hold = os.pipe()
    seen, see = os.pipe()
    say = prepared._say

    def say_and_let_go(run, words):
        say(run, words)
        if "another process" in words:
            os.write(see, b"seen")

    monkeypatch.setattr(prepared, "_say", say_and_let_go)
    pid = os.fork()
    if pid == 0:
        claim_folder(folder, {})
        (folder / "config.yaml").unlink()  # of no settings: nothing to agree with
        os.write(hold, b"held")
        signal.alarm(60)
        os.read(seen, 4)
        os._exit(0)
    assert os.read(held, 4) == b"held"
    assert fit() == 0
    os.waitpid(pid, 0)
    said = capsys.readouterr().out
    assert "prepare.plain: another process is training it in runs/plain/seed0" in said
    assert commands == ["plain"]
