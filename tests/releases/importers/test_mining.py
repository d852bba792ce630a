"""Imported sources are trained from, and what is made of them carries their licence."""

import json

import pytest
import torch
import yaml
from public_files import filled
from tiny import CONF

from lit_synth.cli import main
from lit_synth.networks.dcgan import DCGANGenerator
from lit_synth.networks.pgan import PGANCritic, PGANGenerator
from lit_synth.releases.format import load_release
from lit_synth.releases.importers import dcgan, pgan
from lit_synth.releases.importers.layout import to_public

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
    config = yaml.safe_load((CONF / "minegan.yaml").read_text())
    config["model"]["init_args"] |= {"sources": sources, **given}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(config))
    code = main(["fit", "--config", str(path), "--runs_dir", str(tmp_path / "runs")])
    return code, next((tmp_path / "runs").rglob("release"), None)


def test_what_is_mined_carries_the_licence(tmp_path, capsys):
    source = imported(tmp_path, dcgan, generator=DCGANGenerator(16, 1, 4, 2))
    code, release = fit(tmp_path, [source], critic=FRESH)
    assert code == 0
    card = (release / "card.md").read_text()
    assert f"\nLicence: {LICENCE}\n" in card
    assert "MineGAN and TransferGAN need a fresh one" in card  # quoted from the source's card
    assert load_release(release).network("generator").latent_dim == 5
    capsys.readouterr()


def test_without_a_critic_one_is_asked_for(tmp_path, capsys):
    source = imported(tmp_path, dcgan, generator=DCGANGenerator(16, 1, 4, 2))
    code, _ = fit(tmp_path, [source])
    assert code == 2
    assert "brings no critic" in capsys.readouterr().err


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
