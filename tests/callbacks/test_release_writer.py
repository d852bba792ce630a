"""The release at the end of training, and the list of callbacks that every run has."""

import pytest
import torch
import yaml
from torch import nn
from toy_run import ToyGAN, fit

from lit_synth.callbacks import always_on
from lit_synth.callbacks.ema import EMA
from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.callbacks.release_writer import ReleaseWriter, method_settings
from lit_synth.releases.format import load_release


@pytest.fixture(autouse=True)
def trust_the_toy(monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_TRUST", "toy_run")


class Selecting(ToyGAN):
    def release(self):
        return {"generator": self.generator}, {"selector": [0.25, 0.75]}


def test_averaged_weights_facts_and_card(tmp_path):
    ema = EMA(half_life_kimg=0.02)
    judge = Evaluate(8, n_fake=8, batch_size=8, extractor="random")
    method, _ = fit(tmp_path / "toy" / "seed0", judge, ema, ReleaseWriter(), method=Selecting)
    release = load_release(tmp_path / "toy" / "seed0" / "release")
    assert list(release.networks) == ["generator"]
    assert release.extra == {"selector": [0.25, 0.75]}
    weight = release.network("generator").fc.weight
    assert torch.equal(weight, ema.average["generator.fc.weight"])
    assert not torch.equal(weight, method.generator.fc.weight)
    card = (release.folder / "card.md").read_text()
    assert card.startswith("# Selecting: toy/seed0\n")
    assert "- second: 4 iterations, critic frozen" in card
    assert "an average over training of generator" in card
    assert f"- fid: {judge.latest['fid']:.4g}" in card
    assert "extractor: random" in card


def test_live_weights_without_ema(tmp_path):
    method, _ = fit(tmp_path, ReleaseWriter())
    release = load_release(tmp_path / "release")
    assert torch.equal(release.network("critic").fc.weight, method.critic.fc.weight)
    assert "the weights at the end of training" in (tmp_path / "release" / "card.md").read_text()


def test_a_network_that_cannot_be_built_again(tmp_path):
    class Bare(ToyGAN):
        def release(self):
            return {"generator": nn.Linear(1, 1)}, {}

    with pytest.warns(UserWarning, match="no release is written: 'generator' does not know"):
        fit(tmp_path, ReleaseWriter(), method=Bare)
    assert not (tmp_path / "release").exists()


class Pretrained(nn.Module):
    """A network that starts from weights of elsewhere, which nobody needs who has its own."""

    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, 1)
        self.init_args = {"width": width, "weights": None}


def test_settings_do_not_ask_for_weights_that_the_release_has(tmp_path):
    specs = [
        {"class_path": f"{__name__}.Pretrained", "init_args": {"width": width, "weights": "net"}}
        for width in (2, 3)
    ]
    model = {"class_path": "toy_run.ToyGAN", "init_args": {"first": specs[1], "names": ["net"]}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": model, "seed_everything": 0}))
    method = ToyGAN()
    method.backbones = nn.ModuleList([Pretrained(2), Pretrained(3)])
    settings, made_from = method_settings(method, tmp_path)
    assert settings["class_path"] == "toy_run.ToyGAN"
    recorded = {"class_path": f"{__name__}.Pretrained", "init_args": {"width": 3, "weights": None}}
    assert settings["init_args"] == {"first": recorded, "names": ["net"]}
    assert made_from == []


def test_always_on(tmp_path):
    fit(tmp_path, *always_on())
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "metrics.csv").is_file()
    config = yaml.safe_load((tmp_path / "release" / "config.yaml").read_text())
    assert config["networks"].keys() == {"generator", "critic"}
