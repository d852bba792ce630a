"""Every launch line of configs/paper parses, and builds the run that it names, but narrow."""

import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import tiny
import torch
import torchvision
import yaml
from jsonargparse import ArgumentParser
from torch import nn

from lit_synth.methods import minegan, udit
from lit_synth.networks import extractor, segnet
from lit_synth.networks.biggan import BigGANCritic, BigGANGenerator
from lit_synth.networks.extractor import ConvBackbone, ExtractorHead, VGGFaceBackbone, map_shape
from lit_synth.networks.parts.pretrained import vgg_face_convolutions
from lit_synth.networks.pgan import PGANCritic, PGANGenerator
from lit_synth.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from lit_synth.releases.format import Release, save_release
from lit_synth.runs import prepared
from lit_synth.training.cli import SynthCLI

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs/paper").glob("*.yaml"))
WIDTH = 2  # of the networks, which are 64 wide in the files


def launch_lines(path):
    """Commands in a file's header, without the program's name."""
    header = path.read_text().partition("\n\n")[0]
    text = header.replace("\\\n#", " ").replace("#", "")
    lines = (line.strip() for line in text.splitlines())
    return [shlex.split(line)[1:] for line in lines if line.startswith("lit-synth ")]


def class_path(path):
    return yaml.safe_load(path.read_text())["model"]["class_path"]


LAUNCHES = [(path.stem, launch) for path in CONFIGS for launch in launch_lines(path)]
GANS = {"WGANGP", "TransferGAN", "TransferACGAN", "MineGAN"}
NAMED = {path.stem: class_path(path) for path in CONFIGS}
OF_GANS = [launch for launch in LAUNCHES if NAMED[launch[0]] in GANS]
OF_IMPORTED = list(
    {
        stem: launch for stem, launch in OF_GANS if "- releases/" in (ROOT / launch[2]).read_text()
    }.items()
)
OF_EXTRACTORS = [launch for launch in LAUNCHES if NAMED[launch[0]] == "SemanticExtractor"]
OF_TRANSLATORS = [
    (stem, launch)
    for stem, launch in LAUNCHES
    if NAMED[stem] not in GANS | {"SemanticExtractor"} and launch[0] == "fit"
]


def pgan_pair(*channels):
    return {"generator": PGANGenerator(channels), "critic": PGANCritic(channels)}


def biggan_pair(**size):
    return {"generator": BigGANGenerator(**size), "critic": BigGANCritic(**size)}


def stylegan2_pair(**size):
    return {"generator": StyleGAN2Generator(**size), "critic": StyleGAN2Discriminator(**size)}


def networks(path):
    """The networks of a config, narrow."""
    settings = yaml.safe_load(path.read_text())["model"]["init_args"]
    parser = ArgumentParser()
    for name in ("generator", "critic"):
        parser.add_subclass_arguments(nn.Module, name)
        settings[name]["init_args"]["width"] = WIDTH
    return parser.instantiate(
        parser.parse_object({name: settings[name] for name in ("generator", "critic")})
    ).as_dict()


# Public GANs that configs mine: as published, narrow, and narrow of few pixels.
PGAN_256 = [512, 512, 512, 512, 256, 128, 64]
NARROW_BIGGAN = {"width": WIDTH, "num_classes": 3, "attention": ()}
IMPORTED = {
    "pgan_celebahq_256": [
        partial(pgan_pair, *channels) for channels in (PGAN_256, [WIDTH] * 7, [WIDTH] * 3)
    ],
    "pgan_celebahq_1024": [
        partial(pgan_pair, *channels)
        for channels in ([*PGAN_256, 32, 16], [WIDTH] * 9, [WIDTH] * 3)
    ],
    "biggan_imagenet_128": [
        biggan_pair,
        partial(biggan_pair, **NARROW_BIGGAN),
        partial(biggan_pair, image_size=64, **NARROW_BIGGAN),
    ],
    "stylegan2_ffhq_256": [
        stylegan2_pair,
        partial(stylegan2_pair, channel_max=WIDTH),
        partial(stylegan2_pair, image_size=16, channel_max=WIDTH),
    ],
}
PUBLISHED, NARROW, SMALL = range(3)


# Of the generators that these configs mine, in millions.
PARAMETERS = {
    "minegan_ffhq-women_256": 23.1,
    "minegan_ffhq-women_1024": 23.1,
    "minegan_biggan_128": 70.4,
    "minegan_stylegan2_256": 30.0,
}


def sources(path):
    """The paths of the releases that a config starts from."""
    arguments = yaml.safe_load(path.read_text())["model"]["init_args"]
    given = [arguments.get("source"), *arguments.get("sources", [])]
    return [Path(source) for source in given if source is not None]


def write_sources(path, size=NARROW):
    """Write, where a config expects them, the releases that others would have written."""
    for source in sources(path):
        if source.parts[0] == "releases":
            save_release(source, IMPORTED[source.name][size](), "Random weights.")
            continue
        runs, config, seed, release = source.parts
        assert (runs, seed, release) == ("runs", "seed0", "release")
        trained_by = ROOT / "configs/paper" / f"{config}.yaml"
        save_release(source, networks(trained_by), "Random weights.")


def test_all_configs_and_launch_lines_are_found():
    of_kinds = [OF_GANS, OF_IMPORTED, OF_TRANSLATORS, OF_EXTRACTORS]
    assert all(of_kinds)
    tried = {stem for kind in of_kinds for stem, _ in kind}
    assert tried == {path.stem for path in CONFIGS}
    assert {stem for stem, _ in LAUNCHES} == {path.stem for path in CONFIGS}


def test_launch_lines_name_their_own_file():
    for stem, (verb, option, config, *_) in LAUNCHES:
        assert verb in ("fit", "test", "predict")
        assert (option, config) == ("--config", f"configs/paper/{stem}.yaml")


@pytest.mark.parametrize(
    ("stem", "launch"), OF_GANS, ids=[" ".join([stem, *launch[3:]]) for stem, launch in OF_GANS]
)
def test_launch_line_of_a_gan_builds_its_run(stem, launch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    path = ROOT / "configs/paper" / f"{stem}.yaml"
    settings = yaml.safe_load(path.read_text())
    model = settings["model"]["init_args"]
    write_sources(path)
    given = [name for name in ("generator", "critic") if name in model]
    narrow = [f"--model.init_args.{name}.init_args.width={WIDTH}" for name in given]

    built = SynthCLI.build([*launch, *narrow, "--trainer.accelerator=cpu"])

    assert type(built.method).__name__ == settings["model"]["class_path"]
    assert built.method.total_iterations == sum(stage["iterations"] for stage in model["stages"])
    assert built.trainer.default_root_dir.startswith(f"runs/{stem}/")
    networks, _ = built.method.release()
    assert networks["critic"].image_size == built.data.image_size
    assert networks["critic"].image_channels == built.data.image_channels


def build_without_weights(launch, monkeypatch):
    """Build the run of a launch line from public GANs at full size, on no device."""

    def load(source):
        return Release(Path(source), IMPORTED[Path(source).name][PUBLISHED]())

    monkeypatch.setattr(minegan, "load_release", load)
    with torch.device("meta"):
        return SynthCLI.build([*launch, "--trainer.accelerator=cpu"])


@pytest.mark.parametrize(("stem", "launch"), OF_IMPORTED, ids=[stem for stem, _ in OF_IMPORTED])
def test_public_gans_are_mined_at_full_size_and_run_small(stem, launch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    with monkeypatch.context() as patched:
        built = build_without_weights(launch, patched)
    (generator,) = built.method.generators
    assert generator.image_size == built.method.critic.image_size == built.data.image_size
    assert built.method.critic.num_classes == 0
    count = sum(parameter.numel() for parameter in generator.parameters())
    assert round(count / 1e6, 1) == PARAMETERS[stem]
    assert built.method.miners[0].latent_dim == generator.latent_dim

    write_sources(ROOT / "configs/paper" / f"{stem}.yaml", SMALL)
    method = SynthCLI.build([*launch, "--trainer.accelerator=cpu"]).method
    method.stages = [replace(stage, iterations=1) for stage in method.stages]
    before, size = tiny.state(method), method.critic.image_size
    tiny.fit(method, [{"image": torch.rand(4, 3, size, size)} for _ in range(2)])
    moved = tiny.changed_networks(before, tiny.state(method))
    more = {"minegan_biggan_128": {"class_miners"}, "minegan_stylegan2_256": {"semantic_miners"}}
    assert moved == {"miners", "critic", "generators", "selector"} | more.get(stem, set())


@pytest.mark.parametrize(
    ("stem", "launch"), OF_TRANSLATORS, ids=[stem for stem, _ in OF_TRANSLATORS]
)
def test_launch_line_of_a_translator_builds_its_run(stem, launch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(segnet, "load_vgg16", lambda encoder, source: None)  # noqa: ARG005 - no download
    monkeypatch.setattr(prepared, "train", lambda run, *_: None)  # noqa: ARG005
    monkeypatch.setattr(udit, "load_release", lambda folder: an_extractor(folder))
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    settings = yaml.safe_load((ROOT / "configs/paper" / f"{stem}.yaml").read_text())

    # Full width, without memory for the weights; but Biased counts its portions when it is built.
    with torch.device("cpu" if settings["data"]["class_path"] == "Biased" else "meta"):
        built = SynthCLI.build([*launch, "--trainer.accelerator=cpu"])

    assert type(built.method).__name__ == settings["model"]["class_path"]
    stages = settings["model"]["init_args"]["stages"]
    assert built.method.total_iterations == sum(stage["iterations"] for stage in stages)
    known = built.data.modalities
    assert all(
        name in known
        for translation in built.method.translations()
        for name in (*translation.sources, *translation.route)
    )


def an_extractor(folder):
    """The release of a prepared extractor: VGG-Face's shape, or one that nothing depends on."""
    if "udit_extractor_faces" in str(folder):
        backbone, shape = VGGFaceBackbone(None), (512, 8, 8)
    else:
        backbone = ConvBackbone(3, [WIDTH])
        shape = map_shape(backbone, 8)
    networks = {"backbone": backbone, "head": ExtractorHead(shape, 1, 2)}
    scale = {"reduced": 1.0, "naive": 1.0}
    facts = {"attribute": "any", "scale": scale, "trained_on": {"images": []}}
    return Release(Path(folder), networks, facts)


@pytest.mark.parametrize(("stem", "launch"), OF_EXTRACTORS, ids=[stem for stem, _ in OF_EXTRACTORS])
def test_launch_line_of_an_extractor_builds_its_run(stem, launch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(extractor, "_torchvision", random_model)
    write_vgg_face(tmp_path / "weights" / "vgg_face_dag.pth")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    built = SynthCLI.build([*launch, "--trainer.accelerator=cpu"])
    arguments = class_arguments(stem)
    assert [head.reduce.out_channels for head in built.method.heads.values()] == arguments["widths"]
    users = [p for p in CONFIGS if f"extractor: {stem}.yaml" in p.read_text()]
    assert users
    assert built.data.image_size == arguments["image_size"]


def random_model(name, weights):
    """A model of torchvision as the published one, but for the weights, which nobody downloads."""
    assert weights == "imagenet"
    return torchvision.models.get_model(name, weights=None)


def write_vgg_face(path):
    """Write weights of the published shapes where a config expects them."""
    shapes = vgg_face_convolutions()
    state = {
        f"{name}.weight": torch.zeros(c_out, c_in, 3, 3) for name, (c_in, c_out) in shapes.items()
    }
    state |= {f"{name}.bias": torch.zeros(c_out) for name, (_, c_out) in shapes.items()}
    path.parent.mkdir()
    torch.save(state, path)


def class_arguments(stem):
    path = ROOT / "configs/paper" / f"{stem}.yaml"
    return yaml.safe_load(path.read_text())["model"]["init_args"]
