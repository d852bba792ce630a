"""The console script: quick where it can be, strict about what it is given, true to its config."""

import re
import subprocess
import sys
import time

import pytest
import torch
import yaml
from jsonargparse import _typehints
from torch import nn

from lit_synth import __version__
from lit_synth.cli import COMMANDS, TRAINING, main
from lit_synth.stages import share_iterations

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


def test_unknown_verb_is_refused_with_what_was_meant_or_the_verbs_there_are(capsys):
    assert call("fitt") == 2
    assert capsys.readouterr().err == "lit-synth: there is no verb 'fitt'; did you mean fit?\n"
    assert call("frobnicate") == 2
    err = capsys.readouterr().err
    assert "'frobnicate'" in err
    assert "validate" in err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--model.init_args.n_critc=3", "did you mean n_critic?"),
        ("--data.init_args.batchsize=3", "did you mean batch_size?"),
        ("--trainer.max_epoch=3", "did you mean trainer.max_epochs?"),
        ("--evaluat.every_n_iterations=3", "did you mean evaluate.every_n_iterations?"),
        ("--model=WGANPG", "did you mean WGANGP?"),
        ("--data=Digts", "did you mean Digits?"),
        ("--trainer.logger=WandbLoger", "did you mean WandbLogger?"),
        ("--model.init_args.lr=fast", "expected float, but it is fast."),
        ("--model.init_args.stages=[{name: a, iteratons: 2}]", "did you mean iterations?"),
        ("--model.init_args.stages=[{name: a, iterations: b}]", "expected int, but it is b."),
        ("--evaluate.every_n_iterations=x", "expected int or null, but it is x."),
        ("stray", "'stray' belongs to no option"),
        ("--config=nowhere.yaml", "nowhere.yaml"),
    ],
)
def test_a_mistake_is_one_sentence_and_says_what_was_meant(config, given, said, tmp_path, capsys):
    assert call("fit", "--config", config, given) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.startswith("lit-synth: ")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("n_critic", "n_critc", "did you mean n_critic?"),
        ("WGANGP", "WGANPG", "did you mean WGANGP?"),
        ("evaluate", "evaluat", "did you mean evaluate"),
        ("lr: 0.001", "lr: fast", "expected float, but it is fast."),
    ],
)
def test_so_is_a_mistake_in_the_file(config, right, wrong, said, capsys):
    config.write_text(config.read_text().replace(right, wrong))
    assert call("fit", "--config", config) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


def test_an_argument_that_was_left_out_is_named(config, capsys):
    settings = yaml.safe_load(config.read_text())
    del settings["model"]["init_args"]["stages"]
    config.write_text(yaml.safe_dump(settings))
    assert call("fit", "--config", config) == 2
    said = "lit-synth: model: WGANGP also needs stages: say them in its init_args.\n"
    assert capsys.readouterr().err == said


def test_the_configuration_can_be_printed(config, capsys):
    assert call("fit", "--config", config, "--print_config") == 0
    printed = yaml.safe_load(capsys.readouterr().out.partition("\n\n")[0])
    assert printed["model"]["init_args"]["n_critic"] == 1


def test_a_network_is_found_by_its_name_without_a_look_through_all_of_torch(
    config, capsys, monkeypatch
):
    looked, look = [], _typehints.get_all_subclass_paths
    monkeypatch.setattr(
        _typehints,
        "get_all_subclass_paths",
        lambda cls, **settings: (looked.append(cls), look(cls, **settings))[1],
    )
    given = "--model.init_args.critic={class_path: SmallCritic, init_args: {width: 4}}"
    assert call("fit", "--config", config, given, "--print_config") == 0
    printed = yaml.safe_load(capsys.readouterr().out.partition("\n\n")[0])
    assert printed["model"]["init_args"]["critic"]["class_path"] == "lit_synth.networks.SmallCritic"
    assert looked
    assert nn.Module not in looked


def test_help_of_a_verb_fits_a_screen_and_names_options_that_there_are(capsys):
    for verb in TRAINING:
        assert call(verb, "--help") == 0
        short = capsys.readouterr().out
        assert len(short.splitlines()) < 45
        assert call(verb, "--help_all") == 0
        full = capsys.readouterr().out
        named = set(re.findall(r"--[\w.]+", short)) - {"--help_all"}
        assert all(name.partition(".init_args")[0] in full for name in named)


def test_iterations_are_shared_over_the_stages_and_may_grow(config, tmp_path, capsys):
    settings = yaml.safe_load(config.read_text())
    stages = [{"name": "first", "iterations": 300}, {"name": "second", "iterations": 100}]
    settings["model"]["init_args"]["stages"] = stages
    config.write_text(yaml.safe_dump(settings))

    def lengths():
        written = yaml.safe_load((tmp_path / "runs/tiny/seed0/config.yaml").read_text())
        return [stage["iterations"] for stage in written["model"]["init_args"]["stages"]]

    assert call("fit", "--config", config, "--iterations", "1") == 2
    assert "--iterations is 1, but there are 2 stages" in capsys.readouterr().err
    assert call("fit", "--config", config, "--iterations", "2") == 0
    assert lengths() == [1, 1]
    assert call("fit", "--config", config, "--iterations", "5") == 0
    assert lengths() == [4, 1]
    assert "done, 5 iterations" in capsys.readouterr().out


def test_a_run_ends_with_where_it_is_and_what_to_type_next(config, tmp_path, capsys):
    assert call("fit", "--config", config) == 0
    out = capsys.readouterr().out
    folder = tmp_path / "runs/tiny/seed0"
    ending = out[out.index("lit-synth: done, 2 iterations") :]
    assert f"run     {folder}\n" in ending
    assert (folder / "report.html").is_file()
    assert f"report  {folder / 'report.html'}\n" in ending
    commands = re.findall(r"next    lit-synth (.*)", ending)
    assert [command.split()[0] for command in commands] == ["test", "predict"]
    assert call(*commands[1].split(), "--n_images", "2") == 0
    assert len(list((folder / "predictions").glob("*.png"))) == 2


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


@pytest.mark.parametrize(
    ("total", "lengths", "shares"),
    [
        (1800, [1500, 300], [1500, 300]),
        (100, [1500, 300], [83, 17]),
        (7, [1, 1, 1], [3, 2, 2]),
        (3, [1000, 1, 1], [1, 1, 1]),
        (10, [1000, 1, 1], [8, 1, 1]),
    ],
)
def test_shares_are_in_proportion_and_add_up(total, lengths, shares):
    assert share_iterations(total, lengths) == shares
