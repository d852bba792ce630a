import argparse

import pytest
import torch
from PIL import Image

from datamodules.datasets.digits import Digits
from lit_synth.commands import train_classifier as tool
from lit_synth.errors import InputError
from lit_synth.features.base import extract
from lit_synth.features.classifier import Recipe, ReleaseClassifier


def run(*words):
    parser = argparse.ArgumentParser()
    tool.add_parser(parser.add_subparsers())
    return tool.run(parser.parse_args(["train-classifier", *words]))


def test_digits_are_learnt_within_seconds_and_the_release_knows_what_it_saw(tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("iterations: 60\n")
    folder = tmp_path / "digits"
    assert run("--data", "digits", "--out", str(folder), "--recipe", str(recipe)) == 0
    assert "held-out" in capsys.readouterr().out
    classifier = ReleaseClassifier(folder)
    images, labels = tool.labelled_images(Digits(), "test")
    accuracy = (extract(classifier, images).logits.argmax(1) == labels).double().mean()
    assert accuracy > 0.85
    assert classifier.release.extra["held_out_accuracy"] == pytest.approx(float(accuracy))
    classifier.refuse_seen(images)
    with pytest.raises(InputError, match="was trained on 5 of the 5"):
        classifier.refuse_seen(tool.labelled_images(Digits(), "train")[0][:5])


def test_the_default_recipe_reads_97_percent_of_held_out_digits(tmp_path):
    run("--data", "digits", "--out", str(tmp_path))
    assert ReleaseClassifier(tmp_path).release.extra["held_out_accuracy"] >= 0.97


def test_class_folders_are_learnt(tmp_path, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path / "cache"))
    rng = torch.Generator().manual_seed(0)
    for name, low in {"dark": 0, "light": 150}.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(40):
            pixels = (torch.randint(100, (8, 8), generator=rng) + low).to(torch.uint8)
            Image.fromarray(pixels.numpy()).save(tmp_path / "images" / name / f"{i}.png")
    (tmp_path / "recipe.yaml").write_text("{iterations: 20, batch_size: 16}")
    words = ["--recipe", str(tmp_path / "recipe.yaml"), "--image_size", "8"]
    run("--data", str(tmp_path / "images"), "--out", str(tmp_path / "out"), *words)
    assert ReleaseClassifier(tmp_path / "out").release.extra["held_out_accuracy"] == 1


def test_objects_by_colour_and_shape(tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "OBJECTS", (132, 66))
    (tmp_path / "recipe.yaml").write_text("{iterations: 2, network: {width: 4, slope: 1e-1}}")
    words = ["--image_size", "16", "--channels", "3", "--recipe", str(tmp_path / "recipe.yaml")]
    run("--data", "objects", "--out", str(tmp_path), *words)
    network = ReleaseClassifier(tmp_path).network
    assert (network.num_classes, network.init_args["width"]) == (66, 4)
    assert network.init_args["slope"] == 0.1
    images, classes = tool.coloured_shapes(16, 3)[0]
    assert classes.bincount().tolist() == [2] * 66
    assert len(images) == 132
    with pytest.raises(InputError, match="objects have 3 channels"):
        tool.coloured_shapes(16, 1)


@pytest.mark.parametrize(
    "text",
    [
        "iteratons: 5",
        "iterations: many",
        "iterations: 2.5",
        "5",
        "a: [",
        "",
        "network: 3",
        "network: {wide: 3}",
    ],
)
def test_recipes_that_cannot_be_used(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="recipe"):
        tool.read_recipe(path)


def test_numbers_may_be_written_as_people_do(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("noise: 0\nlr: 1e-3\n")
    assert tool.read_recipe(path) == Recipe(noise=0.0, lr=0.001)
