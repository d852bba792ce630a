"""The bench trains what the trainer trains, and what it compares has one gradient."""

import json
import math

import pytest
import pytorch_lightning as pl
import torch
import yaml

from datamodules import Digits
from lit_synth.baselines import WGANGP
from lit_synth.cli import main
from lit_synth.commands.bench import minegan as forms
from lit_synth.commands.bench.loop import PlainTrainer, trained_by
from lit_synth.commands.bench.minegan import selective_against_full
from lit_synth.methods import MineGAN
from lit_synth.networks.small import SmallCritic, SmallGenerator
from lit_synth.releases.format import save_release
from lit_synth.stages import Stage

NETWORKS = "lit_synth.networks.small"


@pytest.fixture
def config(tmp_path):
    settings = {
        "model": {
            "class_path": "WGANGP",
            "init_args": {
                "generator": {
                    "class_path": f"{NETWORKS}.SmallGenerator",
                    "init_args": {"width": 4, "latent_dim": 4},
                },
                "critic": {"class_path": f"{NETWORKS}.SmallCritic", "init_args": {"width": 4}},
                "stages": [{"name": "train", "iterations": 100}],
                "n_critic": 2,
            },
        },
        "data": {"class_path": "Digits", "init_args": {"batch_size": 4, "limit": 8}},
        "trainer": {"accelerator": "cpu"},
        "evaluate": {"extractor": "random", "n_fake": 4, "batch_size": 4},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def minegan(tmp_path):
    """Three members that differ, in the stage that freezes the generators."""
    torch.manual_seed(0)
    sources = [
        save_release(
            tmp_path / f"{i}",
            {"generator": SmallGenerator(width=4), "critic": SmallCritic(width=4)},
            "Random weights.",
        )
        for i in range(3)
    ]
    method = MineGAN([str(source) for source in sources], [Stage("mine", 9)], n_critic=2)
    method.generators.requires_grad_(False)
    method.trainer = method.kept = PlainTrainer(method.configure_optimizers())
    return method


def bench(config, capsys, *argv):
    code = main(["bench", "--config", str(config), "--iterations", "4", "--json", *argv])
    out = capsys.readouterr().out
    return code, json.loads(out)


def test_report_of_a_tiny_run(config, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, report = bench(config, capsys)
    assert code == 0
    assert set(report) == {
        "images/s", "ms per iteration", "ms per iteration, plain loop", "trainer overhead, %",
        "data wait, %", "ms per critic step", "ms per generator step", "ms per evaluation",
        "peak memory of the process, MiB",
    }  # fmt: skip
    assert all(math.isfinite(value) for value in report.values())
    assert report["images/s"] == pytest.approx(4000 / report["ms per iteration"])
    assert 0 < report["data wait, %"] < 100
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]  # no run was started


def test_random_sources_are_mined_and_compared(config, capsys):
    settings = yaml.safe_load(config.read_text())
    stages = [{"name": "mine", "iterations": 100, "freeze": ["generators"]}]
    settings["model"] = {
        "class_path": "MineGAN",
        "init_args": {"sources": ["nowhere"], "stages": stages, "n_critic": 2},
    }
    config.write_text(yaml.safe_dump(settings))
    code, report = bench(config, capsys, "--random_sources", "3", "--width", "4")
    assert code == 0
    assert report["ms per miners step"] > 0  # the generators are frozen
    speed_ups = [name for name in report if name.startswith("selective speed-up")]
    assert len(speed_ups) == 4
    assert all(report[name] > 0 for name in speed_ups)


def test_overrides_reach_the_config(config, capsys):
    _, report = bench(config, capsys, "data.init_args.batch_size=2")
    assert report["images/s"] == pytest.approx(2000 / report["ms per iteration"])


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--iterations", "60"], "100 iterations, but 6 blocks of 60 need 360"),
        (["--iterations", "0"], "--iterations is 0"),
    ],
)
def test_too_few_iterations_are_refused(config, capsys, argv, said):
    assert main(["bench", "--config", str(config), *argv]) == 2
    assert said in capsys.readouterr().err


def test_the_plain_loop_trains_as_the_trainer_does():
    def wgan_gp():
        torch.manual_seed(0)
        networks = SmallGenerator(width=4), SmallCritic(width=4)
        return WGANGP(*networks, [Stage("train", 5)], n_critic=2)

    data = Digits(batch_size=4, limit=8)
    trained, plain = wgan_gp(), wgan_gp()
    pl.Trainer(
        accelerator="cpu", max_epochs=-1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0,
    ).fit(trained, Digits(batch_size=4, limit=8))  # fmt: skip
    trainer = PlainTrainer(plain.configure_optimizers())
    plain.trainer = trainer
    for trainer.processed, batch in zip(range(5), data.train_dataloader(), strict=False):
        plain.training_step(batch)

    expected = trained.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in plain.state_dict().items())


def test_players_are_named_by_what_they_train(minegan):
    opt_m, opt_d = minegan.optimizers()
    assert trained_by(minegan, opt_m) == "miners"
    assert trained_by(minegan, opt_d) == "critic"
    minegan.generators.requires_grad_(True)
    assert trained_by(minegan, opt_m) == "generators and miners"


@pytest.mark.parametrize("finetune", [False, True])
def test_all_forms_have_one_gradient(minegan, finetune):
    minegan.generators.requires_grad_(finetune)
    report = selective_against_full(minegan, torch.randn(6, 1, 16, 16), pairs=1)
    assert len(report) == 4  # it compares gradients and would have raised


@pytest.mark.parametrize("form", ["full_critic_loss", "full_critic_loss_all_slopes", "miner_loss"])
def test_a_wrong_gradient_stops_the_bench(minegan, form, monkeypatch):
    right = getattr(forms, form)

    def wrong(method, draws):
        return 1.001 * right(method, draws)

    monkeypatch.setattr(forms, form, wrong)
    with pytest.raises(AssertionError, match="has a gradient"):
        selective_against_full(minegan, torch.randn(6, 1, 16, 16), pairs=1)
