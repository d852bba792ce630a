"""`predict` of methods that translate: what is written, under which names, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from tiny import CONF
from tiny_scenes import MODALITIES, TinyScenes
from toy_translator import CLASS, DEPTH, TO_CLASSES, ToyTranslator

from datamodules.files.modalities import read_modality, write_modality
from lit_synth.cli import main

SIZE = 16
CHAIN = Path("runs/toy/seed0/predictions")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of the toy, and scenes in files."""
    folder = tmp_path_factory.mktemp("trained")
    settings = {
        "model": {"class_path": "toy_translator.ToyTranslator"},
        "data": {"class_path": "tiny_scenes.TinyScenes"},
        "trainer": {"accelerator": "cpu", "logger": False},
        "evaluate": {"every_n_iterations": None},
        "samples": {"every_n_iterations": None},
        "runs_dir": str(folder / "runs"),
    }
    (folder / "toy.yaml").write_text(yaml.safe_dump(settings))
    assert main(["fit", "--config", str(folder / "toy.yaml")]) == 0
    x = TinyScenes().split("test").fetch(range(3))
    for name in ("rgb", "depth"):
        for stem, values in zip(("b", "a.1", "sub/c"), x[name], strict=True):
            write_modality(folder / "scenes" / name / stem, MODALITIES[name], values)
    return folder


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """A copy of the run, in the current directory."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    shutil.copytree(trained / "scenes", tmp_path / "scenes")
    settings = yaml.safe_load((trained / "toy.yaml").read_text()) | {"runs_dir": "runs"}
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predict(*arguments):
    return main(["predict", "--config", "toy.yaml", *arguments])


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read(path, name):
    return read_modality(path, path.name, MODALITIES[name], SIZE)


def test_a_folder_keeps_its_names(run, capsys):
    arguments = ["--source", "depth", "--target", "segmentation", "--out", "out"]
    assert predict(*arguments, "--input", "scenes/depth") == 0
    names = [".predictions.json", "a.1.png", "b.png", "preview.png", "sub/c.png"]
    assert written(run / "out") == names
    assert (read(run / "out" / "b.png", "segmentation") == CLASS).all()
    facts = json.loads((run / "out" / ".predictions.json").read_text())
    assert facts["translation"] == "depth_to_segmentation"
    assert facts["checkpoint"].endswith("last.ckpt")
    assert "3 translations in out" in capsys.readouterr().out

    # The next prediction into the folder replaces all of it.
    (run / "scenes" / "depth" / "b.png").unlink()
    assert predict(*arguments, "--input", "scenes/depth") == 0
    assert written(run / "out") == [name for name in names if name != "b.png"]


def test_fused_sources_lie_beside_each_other(run):
    fused = ["--source", "rgb,depth", "--target", "segmentation", "--input", "scenes"]
    assert predict(*fused) == 0
    assert (run / CHAIN / "sub" / "c.png").is_file()
    (run / "scenes" / "rgb" / "b.png").unlink()
    assert predict(*fused) == 2


def test_the_test_split_by_default_and_one_translation_after_another(run):
    # The toy offers rgb to depth and depth to classes, but not all of the way.
    assert predict("--source", "rgb", "--via", "depth", "--target", "segmentation") == 0
    stems = [f"{index:06d}.png" for index in range(8)]
    assert written(run / CHAIN) == [".predictions.json", *stems, "preview.png"]
    assert (read(run / CHAIN / "000007.png", "segmentation") == CLASS).all()
    assert predict("--source", "rgb", "--target", "depth", "--n_images", "2") == 0
    assert written(run / CHAIN) == [".predictions.json", *stems[:2], "preview.png"]
    assert (read(run / CHAIN / "000001.png", "depth") == DEPTH).all()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "say what to translate with --source and --target: the method has rgb, depth, segm"),
        (["--target", "depth"], "say what to translate with --source and --target"),
        (
            ["--source", "sound", "--target", "depth"],
            "there is no modality 'sound' to translate: the method has rgb, depth, segmentation.",
        ),
        (
            ["--source", "segmentation", "--target", "depth"],
            "does not translate segmentation_to_depth: it offers rgb_to_depth, depth_to_segm",
        ),
        (
            ["--source", "depth", "--target", "rgb", "--input", "nothing"],
            "There is no folder nothing",
        ),
    ],
)
def test_what_is_refused(run, arguments, sentence, capsys):
    assert predict(*arguments) == 2
    assert sentence in capsys.readouterr().err
    assert not (run / CHAIN).exists()


def test_an_empty_folder(run, capsys):
    (run / "empty").mkdir()
    assert predict("--source", "depth", "--target", "rgb", "--input", "empty") == 2
    err = capsys.readouterr().err
    assert "empty holds no files" in err
    assert "Traceback" not in err


class OfImages(ToyTranslator):
    """Translates between images alone."""

    def translations(self):
        return [type(TO_CLASSES)(("rgb",), ("nir",)), type(TO_CLASSES)(("nir",), ("rgb",))]

    def translate(self, x, translation):
        assert torch.is_inference_mode_enabled()
        return x["rgb"].mean(1, keepdim=True) if translation.target == "nir" else x["nir"]


def test_images_alone_have_a_first_translation(run):
    settings = yaml.safe_load(Path("toy.yaml").read_text())
    settings["model"]["class_path"] = f"{__name__}.OfImages"
    Path("toy.yaml").write_text(yaml.safe_dump(settings))
    assert predict("--input", "scenes/rgb") == 0
    facts = json.loads((run / CHAIN / ".predictions.json").read_text())
    assert facts["translation"] == "rgb_to_nir"


@pytest.mark.usefixtures("workdir")
def test_generators_have_no_translations(capsys):
    config = ["--config", str(CONF / "wgan_gp.yaml")]
    assert main(["predict", *config, "--source", "depth"]) == 2
    assert "--source is for methods that translate between modalities" in capsys.readouterr().err
