"""Labelled sources: what is asked for is dealt, and no two parts share an image."""

from itertools import combinations

import pytest
import torch
from tiny_world import TinyWorld

from datamodules.errors import DataError
from datamodules.items.splits import to_unit_range
from datamodules.labelled.source import balanced

RED = {"images": 5, "colour": "red"}
PARTS = {
    "train/red": [{**RED, "texture": "flat"}, {"images": 3, "colour": "red"}],
    "train/black": [{"images": 40, "colour": "black"}],
    "test/red": [RED],
}


def test_a_hand_has_what_its_portions_ask_for():
    world = TinyWorld()
    hands = world.deal(PARTS)
    assert hands["train/red"].given["colour"].tolist() == [1] * 8
    assert hands["train/red"].given["texture"].tolist() == [0] * 5 + [-1] * 3
    images = world.load(hands["train/red"])
    assert images.fields["colour"].tolist() == [1] * 8
    assert images.fields["texture"][:5].tolist() == [0] * 5
    assert torch.equal(images.fields["number"], hands["train/red"].index)
    texture = world.load(hands["train/black"]).fields["texture"]
    assert 5 < texture.sum() < 35  # rolled where nobody asked


def test_parts_share_no_image():
    hands = TinyWorld().deal({**PARTS, "extractor/train": [RED], "judge1/colour": [RED]})
    for one, other in combinations(hands.values(), 2):
        assert not set(one.index.tolist()) & set(other.index.tolist())


def test_a_part_is_the_same_whatever_else_is_dealt():
    world = TinyWorld()
    alone = world.deal({"test/red": [RED]})["test/red"]
    assert torch.equal(alone.index, world.deal(PARTS)["test/red"].index)
    assert world.load(alone).sha256 == world.load(world.deal(PARTS)["test/red"]).sha256
    assert world.load(alone).sha256 != TinyWorld(world_seed=1).load(alone).sha256


def test_balanced_portions_have_every_combination_equally_often():
    attributes = {"colour": ("black", "red"), "size": ("s", "m", "l"), "hat": ("no", "yes")}
    portions = balanced(attributes, ["colour", "size"], 25)
    assert [portion.pop("images") for portion in portions] == [4] * 6
    assert portions == [
        {"colour": colour, "size": size} for colour in ("black", "red") for size in ("s", "m", "l")
    ]
    assert [p["images"] for p in balanced(attributes, ["size"], 1)] == [1, 1, 1]


def test_true_styles_change_the_wanted_attribute_and_the_style_alone():
    world = TinyWorld()
    images = world.load(world.deal({"test/red": [RED]})["test/red"])
    styles = world.true_styles(images.fields, {"colour": "black"}, 4)
    assert styles.shape == (5, 4, 3, 16, 16)
    mask = images.fields["mask"][:, None].expand_as(styles) == 1
    outside = styles == images.pixels[:, None]
    assert outside[~mask].all()
    assert styles.float().std(1).amax((1, 2, 3)).min() > 0
    for k in range(4):
        verdicts = world.verdicts(to_unit_range(styles[:, k]), images.fields)
        assert verdicts["colour"].tolist() == [0] * 5
        assert torch.equal(verdicts["texture"], images.fields["texture"])


@pytest.mark.parametrize(
    ("portion", "message"),
    [
        ({"images": 2, "hue": "red"}, "no attribute 'hue'; there are colour, texture"),
        ({"images": 2, "colour": "beige"}, "no value 'beige'; its values are black, red"),
        ({"colour": "red"}, "train/red has a portion with images: None; give 1 or more"),
        ({"images": 0}, "images: 0"),
        ({"images": 1_000_001}, "at most 1000000"),
    ],
)
def test_what_cannot_be_dealt_is_named(portion, message):
    with pytest.raises(DataError, match=message):
        TinyWorld().deal({"train/red": [portion]})
