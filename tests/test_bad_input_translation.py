"""What translation is given wrong, as commands: one sentence that names it, exit code 2."""

from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_scenes
import yaml
from PIL import Image
from scene_trees import write_scenes

from lit_synth.cli import main

SPECS = {
    "rgb": {},
    "depth": {"kind": "depth"},
    "seg": {"kind": "labels", "channels": tiny_scenes.CLASSES},
}
SETS = {"rs": ["rgb", "seg"], "rd": ["rgb", "depth"]}


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    """A folder with scenes in files, and a configuration that trains on them."""
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_scenes(Path("scenes/rs"), SETS["rs"], ["s1", "s2", "s3"])
    write_scenes(Path("scenes/rd"), SETS["rd"], ["s11", "s12", "s13"])
    write_scenes(Path("scenes/test"), SPECS, ["s21", "s22"])
    config = yaml.safe_load((tiny.CONF / "translation" / "mmnets.yaml").read_text())
    model = config["model"]["init_args"]
    model["modalities"]["seg"] = model["modalities"].pop("segmentation")
    model["also"] = []
    for stage in model["stages"]:
        stage["weights"]["seg"] = stage["weights"].pop("segmentation")
    settings = {"root": "scenes", "modalities": SPECS, "sets": SETS, "image_size": 16}
    config["data"] = {"class_path": "Disjoint", "init_args": settings | {"batch_size": 2}}
    config["evaluate"] = config["samples"] = {"every_n_iterations": None}
    Path("tiny.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def refused(capsys, *command):
    """Return the one sentence that a command is refused with."""
    assert main([*command, "--config", "tiny.yaml"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    sentence = next(line for line in lines if line.startswith("lit-synth: "))
    assert "Traceback" not in "".join(lines)
    return sentence + " ".join(lines[lines.index(sentence) + 1 :])


def repaint(path, change):
    """Change the values of a picture in place."""
    with Image.open(path) as picture:
        values, palette = np.array(picture), picture.getpalette()
    new = Image.fromarray(change(values))
    if palette is not None:
        new.putpalette(palette)
    new.save(path)


def test_trains_on_folders():
    assert main(["fit", "--config", "tiny.yaml"]) == 0


def test_label_out_of_range(capsys):
    repaint("scenes/rs/seg/s2.png", lambda ids: np.where(ids == ids[0, 0], 77, ids).astype("uint8"))
    said = refused(capsys, "fit")
    assert "seg/s2.png" in said
    assert "77" in said
    assert "0 to 4" in said


def test_pictures_of_one_scene_in_two_sizes(capsys):
    with Image.open("scenes/rd/depth/s12.png") as picture:
        picture.resize((24, 12)).save("scenes/rd/depth/s12.png")
    said = refused(capsys, "fit")
    assert "rgb/s12.png" in said
    assert "depth/s12.png" in said
    assert "24x12" in said.replace(" ", "")


def test_missing_partner(capsys):
    Path("scenes/rd/depth/s13.png").unlink()
    said = refused(capsys, "fit")
    assert "s13" in said
    assert "depth" in said


def test_depth_of_zeros(capsys):
    repaint("scenes/rd/depth/s11.png", np.zeros_like)
    assert "depth/s11.png" in refused(capsys, "fit")


def test_depth_that_is_not_a_number(capsys):
    Path("scenes/rd/depth/s11.png").unlink()
    np.save("scenes/rd/depth/s11.npy", np.full((12, 12), np.nan, np.float32))
    assert "depth/s11.npy" in refused(capsys, "fit")


def test_overlapping_scenes(capsys):
    write_scenes(Path("scenes/rd"), SETS["rd"], ["s2"])
    assert "set rs and set rd share 1 scenes: s2" in refused(capsys, "fit")


def test_a_translation_that_was_never_trained(capsys):
    assert main(["fit", "--config", "tiny.yaml"]) == 0
    said = refused(capsys, "predict", "--source", "nir", "--target", "seg")
    assert "nir" in said
    assert "the method has rgb, depth, seg" in said
