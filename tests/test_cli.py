"""The console script: quick where it can be, strict about what it is given, true to its config."""

import subprocess
import sys
import time

import pytest
import torch
import yaml

from lit_synth import __version__
from lit_synth.cli import COMMANDS, TRAINING, main

NETWORKS = "lit_synth.networks.small"


@pytest.fixture
def config(tmp_path):
    """A tiny run: two iterations on digits."""
    settings = {
        "model": {
            "class_path": "WGANGP",
            "init_args": {
                "generator": {
                    "class_path": f"{NETWORKS}.SmallGenerator",
                    "init_args": {"width": 4, "latent_dim": 4},
                },
                "critic": {
                    "class_path": f"{NETWORKS}.SmallCritic",
                    "init_args": {"width": 4},
                },
                "stages": [{"name": "train", "iterations": 2}],
                "n_critic": 1,
                "lr": 0.001,
            },
        },
        "data": {"class_path": "Digits", "init_args": {"batch_size": 4, "limit": 8}},
        "trainer": {"accelerator": "cpu", "logger": False},
        "evaluate": {"every_n_iterations": None},
        "runs_dir": str(tmp_path / "runs"),
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def call(*argv):
    """Exit code of the command line, whether it returns it or raises it."""
    try:
        return main([str(argument) for argument in argv])
    except SystemExit as end:
        return end.code


def python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_answer_within_a_second(argument):
    seconds = []
    for _ in range(3):  # the machine may be busy with something else
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "lit_synth.cli", argument], capture_output=True, text=True
        )
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0
        assert done.stdout.startswith(f"lit-synth {__version__}")
    assert min(seconds) < 1


def test_help_and_version_import_nothing_heavy():
    code = (
        "import sys; from lit_synth.cli import main; main(['--help']); main(['--version']); "
        "print([m for m in ('torch', 'numpy', 'pytorch_lightning', 'rich') if m in sys.modules])"
    )
    assert python(code).splitlines()[-1] == "[]"


def test_help_names_every_verb(capsys):
    assert call("--help") == 0
    out = capsys.readouterr().out
    assert all(f"  {verb} " in out for verb in (*TRAINING, *COMMANDS))


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_tool_has_help(verb, capsys):
    assert call(verb, "--help") == 0
    assert verb in capsys.readouterr().out


def test_unknown_verb_is_refused_with_the_verbs_there_are(capsys):
    assert call("fitt") == 2
    err = capsys.readouterr().err
    assert "'fitt'" in err
    assert "validate" in err


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--model.init_args.n_critc=3", "n_critc"),
        ("--data.init_args.batchsize=3", "batchsize"),
        ("--trainer.max_epoch=3", "max_epoch"),
        ("--evaluat.n=3", "evaluat"),
    ],
)
def test_mistyped_option_is_refused_by_name(config, option, name, tmp_path, capsys):
    assert call("fit", "--config", config, option) == 2
    err = capsys.readouterr().err
    assert name in err
    assert "Traceback" not in err
    assert not (tmp_path / "runs").exists()


def test_option_of_the_wrong_type_is_refused_by_name(config, capsys):
    assert call("fit", "--config", config, "--model.init_args.lr=fast") == 2
    assert "lr" in capsys.readouterr().err


def test_unknown_option_of_a_tool_is_refused(capsys):
    assert call("doctor", "--jsn") == 2
    assert "--jsn" in capsys.readouterr().err


def test_a_checkpoint_never_overrides_the_configuration(config, tmp_path):
    assert call("fit", "--config", config) == 0
    trained = tmp_path / "runs/tiny/seed0/checkpoints/last.ckpt"
    settings = yaml.safe_load(config.read_text())
    settings["model"]["init_args"] |= {
        "lr": 0.0005,
        "stages": [{"name": "train", "iterations": 3}],
    }
    config.write_text(yaml.safe_dump(settings))

    assert call("fit", "--config", config, "--ckpt_path", trained, "--run_id", "other") == 0

    folder = tmp_path / "runs/tiny/other"
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["init_args"]["lr"] == 5e-4
    before, after = (
        torch.load(path, weights_only=True) for path in (trained, folder / "checkpoints/last.ckpt")
    )
    assert (before["iteration"], after["iteration"]) == (2, 3)
    assert "hyper_parameters" not in before
    rates = [group["lr"] for state in after["optimizer_states"] for group in state["param_groups"]]
    assert rates == [5e-4, 5e-4]


def test_the_command_line_overrides_the_file(config, tmp_path):
    assert call("fit", "--config", config, "--model.init_args.lr=0.002") == 0
    written = yaml.safe_load((tmp_path / "runs/tiny/seed0/config.yaml").read_text())
    assert written["model"]["init_args"]["lr"] == 0.002
