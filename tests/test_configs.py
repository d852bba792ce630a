"""Every training config that ships parses and builds its method through the real parser."""

from functools import partial
from pathlib import Path

import pytest
import torch
import torchvision
import yaml

import lit_synth.methods
from lit_synth.method import Method
from lit_synth.methods import (
    minegan,
    seg2eye_refiner,
    sisug_mapper,
    transfer_acgan,
    transfergan,
    udit,
)
from lit_synth.networks import extractor, segnet
from lit_synth.networks.biggan import BigGANCritic, BigGANGenerator
from lit_synth.networks.parts.pretrained import vgg_face_convolutions
from lit_synth.networks.pgan import PGANCritic, PGANGenerator
from lit_synth.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from lit_synth.releases.format import Release, load_release
from lit_synth.runs import prepared
from lit_synth.training.cli import SynthCLI

CONFIGS = Path(__file__).parent.parent / "configs"
FOLDERS = [".", "paper", "rooms", "thesis"]
TRAINING = sorted(path for path in CONFIGS.rglob("*.yaml") if path.parent.name != "studies")


def parse(path):
    """Build everything that a config asks for; at full scale, without memory for the weights.

    `Biased` counts its portions when it is built, which takes numbers.
    """
    counts = "class_path: Biased" in path.read_text()
    with torch.device("meta" if path.parent.name == "paper" and not counts else "cpu"):
        return SynthCLI.build(["fit", "--config", str(path)])


def pgan_pair(*channels):
    return {"generator": PGANGenerator(channels), "critic": PGANCritic(channels)}


PGAN_256 = (512, 512, 512, 512, 256, 128, 64)
PUBLIC = {  # what `lit-synth import` makes of the files that configs name
    "pgan_celebahq_256": partial(pgan_pair, *PGAN_256),
    "pgan_celebahq_1024": partial(pgan_pair, *PGAN_256, 32, 16),
    "biggan_imagenet_128": lambda: {"generator": BigGANGenerator(), "critic": BigGANCritic()},
    "stylegan2_ffhq_256": lambda: {
        "generator": StyleGAN2Generator(),
        "critic": StyleGAN2Discriminator(),
    },
}


def promised_release(name):
    """Return a release that exists, or the one that an import or a shipped run will leave."""
    parts = Path(name).parts
    if parts[0] == "releases":
        return Release(Path(name), PUBLIC[parts[1]]())
    if parts[0] != "runs":
        return load_release(name)
    (config,) = CONFIGS.rglob(f"{parts[1]}.yaml")
    assert parts[2:] == (f"seed{yaml.safe_load(config.read_text())['seed_everything']}", "release")
    method = parse(config).method
    if isinstance(method, lit_synth.methods.SemanticExtractor):
        return untrained_extractor(method, name)
    return Release(Path(name), *method.release())


def untrained_extractor(method, name):
    """Return what the release of an extractor's run will hold, with the widest head."""
    backbone = next(iter(method.backbones.values()))
    networks = {"backbone": backbone, "head": method.heads[method.names[-1]]}
    scale = {"reduced": 1.0, "naive": 1.0}
    facts = {"attribute": method.attribute, "scale": scale, "trained_on": {"images": []}}
    return Release(Path(name), networks, facts)


def zeros(layers):
    """Return weights of the published shapes of some of VGG-Face's layers."""
    shapes = vgg_face_convolutions()
    weights = {f"{name}.weight": torch.zeros(*shapes[name][::-1], 3, 3) for name in layers}
    return weights | {f"{name}.bias": torch.zeros(shapes[name][1]) for name in layers}


@pytest.fixture(autouse=True)
def _promised(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for module in (minegan, seg2eye_refiner, sisug_mapper, transfergan, transfer_acgan, udit):
        monkeypatch.setattr(module, "load_release", promised_release)
    monkeypatch.setattr(
        extractor,
        "_torchvision",
        lambda name, weights: torchvision.models.get_model(name, weights=None),  # noqa: ARG005
    )
    monkeypatch.setattr(extractor, "read_vgg_face", lambda path, argument, layers: zeros(layers))  # noqa: ARG005
    monkeypatch.setattr(prepared, "train", lambda run, *_: None)  # noqa: ARG005
    monkeypatch.setattr(segnet, "load_vgg16", lambda encoder, source: None)  # noqa: ARG005 - no download


def test_each_folder_has_configs():
    found = {folder: len(list((CONFIGS / folder).glob("*.yaml"))) for folder in FOLDERS}
    assert all(found.values()), found
    assert sum(found.values()) == len(TRAINING), "configs lie in a folder that is not known here"


@pytest.mark.filterwarnings("ignore:.*no-op.*")
@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_config_builds_its_method(path):
    built = parse(path)
    assert isinstance(built.method, Method)
    assert path.read_text().startswith("# "), "the header says what it is"
    assert f"lit-synth fit --config configs/{path.relative_to(CONFIGS)}" in path.read_text()
    built.method.configure_optimizers()
    assert not list(Path.cwd().rglob("*.ckpt"))


@pytest.mark.parametrize("method", [*lit_synth.methods.__all__, *lit_synth.baselines.__all__])
def test_every_method_has_an_example(method):
    class_paths = {
        yaml.safe_load(path.read_text())["model"]["class_path"].rpartition(".")[2]
        for path in TRAINING
        if path.parent.name != "paper"
    }
    assert method in class_paths
