"""Every documented command on data of one's own trains on a folder that is as it says."""

import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from bad_input import refused
from PIL import Image
from scene_trees import write_image

from lit_synth.cli import main

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("configs/*.yaml"), ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
COMMAND = re.compile(r"^(?:# *| {4})?(lit-synth fit (?:.*\\\n)*.*)$", re.MULTILINE)
SMALL = {
    "pix2pix": ["generator.init_args.image_size=16", "generator.init_args.width=4",
                "discriminator.init_args.widths=[4, 8]"],
    "cyclegan": [f"{network}.init_args.{what}" for network, what in (
        ("generator_ab", "width=4"), ("generator_ba", "width=4"), ("generator_ab", "n_blocks=1"),
        ("generator_ba", "n_blocks=1"), ("discriminator_a", "widths=[4]"),
        ("discriminator_b", "widths=[4]"))],
    "bicyclegan": ["generator.init_args.image_size=64", "generator.init_args.width=4"],
    "step": ["k_near=1", "generator.init_args.width=4", "encoder.init_args.widths=[4, 8]"],
    "munit": [f"{network}.init_args.width=4" for network in ("content_encoder", "decoder")],
    "udit": [f"{network}.init_args.width=4" for network in ("content_encoder", "decoder")],
    "sdit": ["generator.init_args.width=4", "discriminator.init_args.width=4"],
    "stargan": ["generator.init_args.width=4", "discriminator.init_args.width=4"],
    "seg2eye": ["generator.init_args.hidden=4", "encoder.init_args.widths=[4, 4]"],
    "icgan": ["generator.init_args.width=4", "discriminator.init_args.width=4"],
    "stargan_v2": [f"{network}.init_args.width=4" for network in
                   ("generator", "style_encoder", "discriminator")],
}  # fmt: skip
SIZE = {"pix2pix": 16, "cyclegan": 16, "munit": 16, "mmnets_recolour": 16}


def documented():
    """Return, for each command on own data, its config and its words, once each."""
    found = {}
    for page in PAGES:
        for match in COMMAND.finditer(page.read_text()):
            line = re.sub(r"\\\n(?:# *| *)", "", match[1])
            words = shlex.split(line, comments=True)
            if "fit" in words and "--data.init_args.root" in words and "my-gan" not in line:
                config = Path(words[words.index("--config") + 1]).stem
                found[" ".join(words)] = config, words
    return sorted(found.values())


COMMANDS = documented()


def folder(config):
    """Write the folder that the config is documented for."""
    if config in ("segmenter", "seg2eye"):
        people()
        return
    pairs = {name: ["train/a", "train/b"] for name in ("pix2pix", "bicyclegan", "step")}
    parts = {**pairs, "udit_extractor": ["flat", "textured"]}
    letters = config in ("cyclegan", "munit", "udit", "drit")
    several = [f"{part}/{name}" for part in ("train", "test") for name in ("cat", "dog", "fox")]
    names = ["trainA", "trainB"] if letters else parts.get(config, several)
    n = {"udit_extractor": 30, "step": 14}.get(config, 2)
    for number, name in enumerate(names):
        for i in range(n):
            write_image(Path("own data", name, f"{i}.png"), n * number + i, (34, 33))


def people():
    """Write pictures and masks of three people, one for each part of the data."""
    ids = np.arange(80 * 64).reshape(80, 64) % 4
    for number, person in enumerate(("train/ann", "val/ben", "test/cem")):
        for i in range(2):
            write_image(Path("own data", person, "image", f"{i}.png"), 2 * number + i, (64, 80))
            mask = Path("own data", person, "mask", f"{i}.png")
            mask.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(ids.astype(np.uint8)).save(mask)


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    """Be in an empty directory, but for `configs`, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path / "cache"))
    os.symlink(ROOT / "configs", "configs")


def run(config, words):
    """Run a documented command, small and for a few iterations; return its exit code."""
    given = dict.fromkeys(("FOLDER", "CLASSES"), "own data")
    small = [
        word for each in SMALL.get(config, []) for word in f"--model.init_args.{each}".split("=")
    ]
    if config in SIZE:
        small += ["--data.init_args.image_size", str(SIZE[config])]
    if config in ("cyclegan", "pix2pix"):
        small += ["--data.init_args.load_size", str(SIZE[config])]
    return main([
        *(given.get(word, word) for word in words[1:]), *small, "--iterations", "4",
        "--trainer.accelerator", "cpu", "--trainer.precision", "32-true",
        "--trainer.logger", "false", "--samples.n", "4",
    ])  # fmt: skip


def extractor():
    """Train the extractor that the page of UDIT trains on class folders."""
    config, words = next(each for each in COMMANDS if each[0] == "udit_extractor")
    folder(config)
    assert run(config, words) == 0
    os.rename("own data", "classes")


def test_commands_are_found():
    assert {config for config, _ in COMMANDS} >= {
        "pix2pix", "cyclegan", "munit", "drit", "udit", "udit_extractor", "sdit", "stargan",
        "icgan", "mmnets_recolour", "stargan_v2",
    }  # fmt: skip


@pytest.mark.parametrize(("config", "words"), COMMANDS, ids=[config for config, _ in COMMANDS])
def test_documented_command_trains(capsys, config, words):
    if config == "udit":
        extractor()
    folder(config)
    assert run(config, words) == 0, capsys.readouterr().err
    others = {"udit": {"udit", "udit_extractor"}}.get(config, {config})
    assert {each.name for each in Path("runs").iterdir()} == others
    (release,) = Path("runs", config).glob("*/release")
    assert (release / "model.safetensors").is_file()


def test_a_wrong_extractor_is_said_before_anything_is_prepared(capsys):
    said = refused(
        capsys, "fit", "--config", "configs/udit.yaml", "--model.init_args.extractor", "nowhere"
    )
    assert "no release at 'nowhere'" in said
    assert not Path("runs/munit").exists()
    assert not Path("runs/udit_extractor").exists()


def test_an_extractor_of_another_size(capsys):
    folder("udit_extractor")
    said = refused(
        capsys, "fit", "--config", "configs/udit_extractor.yaml", "--data", "Unconditional",
        "--data.init_args.root", "own data", "--data.init_args.labels", "folders",
        "--data.init_args.image_size", "48",
    )  # fmt: skip
    assert said == (
        "the method is for images of 32x32 px, but Unconditional gives 3 channels of 48x48 px: "
        "give --data.init_args.image_size 32."
    )
