"""Imported sources are trained from, and what is made of them carries their licence."""

import json
import shlex

import pytest
import torch
import yaml
from public_files import filled
from tiny import CONF

from lit_synth.cli import main
from lit_synth.losses.games import Logistic
from lit_synth.methods.minegan import MineGAN
from lit_synth.methods.transfergan import TransferGAN
from lit_synth.networks.dcgan import DCGANGenerator
from lit_synth.networks.pgan import PGANCritic, PGANGenerator
from lit_synth.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from lit_synth.networks.wgan_gp_resnet import ResNetCritic
from lit_synth.releases.format import load_release
from lit_synth.releases.importers import dcgan, pgan, rosinality, stylegan2_ada
from lit_synth.releases.importers.layout import to_public
from lit_synth.stages import Stage

LICENCE = "for research only"
FRESH = {
    "class_path": "lit_synth.networks.small.SmallCritic",
    "init_args": {"image_size": 16, "image_channels": 1, "width": 4},
}


def imported(folder, layout, **networks):
    own = {
        f"{name}.{key}": tensor
        for name, network in networks.items()
        for key, tensor in filled(network).state_dict().items()
    }
    parts = layout.write(networks)
    content = {place: to_public(part, own) for place, part in parts.items()}
    torch.save(content, folder / "weights.pth")
    release = folder / layout.LAYOUT.name
    command = ["import", str(folder / "weights.pth"), "--out", str(release)]
    assert main([*command, "--license", LICENCE]) == 0
    return str(release)


def fit(tmp_path, sources, **given):
    return fit_method(tmp_path, "minegan", sources=sources, **given)


def fit_method(tmp_path, name, options=(), **given):
    config = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    config["model"]["init_args"] |= given
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(config))
    command = ["fit", "--config", str(path), "--runs_dir", str(tmp_path / "runs")]
    return main([*command, *options]), next((tmp_path / "runs").rglob("release"), None)


def test_what_is_mined_carries_the_licence(tmp_path, capsys):
    source = imported(tmp_path, dcgan, generator=DCGANGenerator(16, 1, 4, 2))
    code, release = fit(tmp_path, [source], critic=FRESH)
    assert code == 0
    card = (release / "card.md").read_text()
    assert f"\nLicence: {LICENCE}\n" in card
    assert "MineGAN and TransferGAN need a fresh one" in card  # quoted from the source's card
    assert load_release(release).network("generator").latent_dim == 5
    capsys.readouterr()


@pytest.mark.parametrize("layout", [stylegan2_ada, rosinality])
def test_an_imported_stylegan2_plays_the_logistic_game(tmp_path, layout):
    networks = StyleGAN2Generator(16, 3, 5, 5, 64, 4, 2), StyleGAN2Discriminator(16, 3, 64, 4)
    source = imported(tmp_path, layout, **dict(zip(("generator", "critic"), networks, strict=True)))
    for game in (
        MineGAN([source], [Stage("mine", 1)]).game,
        TransferGAN(None, None, [Stage("train", 1)], source).game,
    ):
        assert isinstance(game, Logistic)
        assert game.gamma == 0.0002 * 16**2 / 32


@pytest.mark.parametrize("name", ["minegan", "transfergan"])
def test_without_a_critic_the_sentence_says_what_to_paste(tmp_path, capsys, name):
    source = imported(tmp_path, dcgan, generator=DCGANGenerator(16, 1, 4, 2))
    given = {"source": source, "generator": None, "critic": None}
    given = given if name == "transfergan" else {"sources": [source]}
    code, _ = fit_method(tmp_path, name, **given)
    assert code == 2
    said = capsys.readouterr().err
    assert "brings no critic" in said
    options = shlex.split(said.partition("from scratch: ")[2])
    code, release = fit_method(tmp_path, name, options, **given)
    assert code == 0
    assert type(load_release(release).network("critic")) is ResNetCritic


def test_a_critic_that_came_along_trains_on(tmp_path):
    plan = {"channels": [8, 8, 8], "image_channels": 1}
    source = imported(tmp_path, pgan, generator=PGANGenerator(**plan), critic=PGANCritic(**plan))
    extra = load_release(source).extra["imported"]
    assert extra["licence"] == LICENCE
    assert extra["layout"] == "pgan"
    assert json.dumps(extra)
    code, release = fit(tmp_path, [source])
    assert code == 0
    assert f"\nLicence: {LICENCE}\n" in (release / "card.md").read_text()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
