"""Augmentation: seeded by the draw, independent transforms, errors that name the transform."""

import importlib
import sys

import pytest
import torch

from datamodules.augment.images import build_augment
from datamodules.errors import DataError

CORNER = torch.full((1, 1, 2, 2), -1.0)
CORNER[0, 0, 0, 0] = 1.0  # shows which flips were done


def flipped(augment, seed):
    image = augment({"image": CORNER}, [seed])["image"][0, 0]
    row, column = divmod(int(image.argmax()), 2)
    return row, column


def test_a_draw_is_reproduced_by_its_seed_alone():
    noise = build_augment([{"class_path": "GaussNoise", "init_args": {"p": 1.0}}])
    batch = {"image": torch.zeros(3, 1, 8, 8), "index": torch.arange(3)}
    together = noise(batch, [5, 6, 7])
    alone = noise({"image": batch["image"][:1], "index": batch["index"][:1]}, [7])
    assert torch.equal(together["image"][2], alone["image"][0])
    assert not torch.equal(together["image"][0], together["image"][1])
    assert torch.equal(together["index"], batch["index"])


def test_transforms_decide_independently():
    augment = build_augment([{"class_path": "HorizontalFlip"}, {"class_path": "VerticalFlip"}])
    assert {flipped(augment, seed) for seed in range(40)} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_containers_nest():
    either = {
        "class_path": "OneOf",
        "init_args": {
            "transforms": [
                {"class_path": "HorizontalFlip", "init_args": {"p": 1.0}},
                {"class_path": "albumentations.VerticalFlip", "init_args": {"p": 1.0}},
            ],
            "p": 1.0,
        },
    }
    assert {flipped(build_augment([either]), seed) for seed in range(20)} == {(0, 1), (1, 0)}


def test_no_transform_leaves_pixels_as_they_are():
    image = (torch.arange(256).reshape(1, 1, 16, 16) / 127.5) - 1
    kept = build_augment([{"class_path": "HorizontalFlip", "init_args": {"p": 0.0}}])
    torch.testing.assert_close(kept({"image": image}, [0])["image"], image)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"class_path": "HorizontalFlop"}, "no transform HorizontalFlop"),
        (
            {"class_path": "HorizontalFlip", "init_args": {"prob": 0.5}},
            "HorizontalFlip does not accept",
        ),
        ({"class_path": "HorizontalFlip", "init_args": {"p": 2}}, "less than or equal to 1"),
        ({"class_path": "json.dumps"}, "not a transform"),
        ({"p": 0.5}, "give class_path"),
    ],
)
def test_wrong_transforms_are_named(spec, message):
    with pytest.raises(DataError, match=message):
        build_augment([spec])


def test_a_changed_size_is_refused():
    crop = build_augment(
        [{"class_path": "RandomCrop", "init_args": {"height": 4, "width": 4, "p": 1.0}}]
    )
    with pytest.raises(DataError, match="keep the size"):
        crop({"image": torch.zeros(1, 1, 8, 8)}, [0])


def test_albumentations_is_imported_only_when_used(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "datamodules"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "albumentations", None)  # importing it now fails
    fresh = importlib.import_module("datamodules")
    assert len(fresh.Digits().split("val")) == 120
    with pytest.raises(ImportError):
        fresh.Digits(augment=[{"class_path": "HorizontalFlip"}])
