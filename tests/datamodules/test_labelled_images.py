"""Labelled images: balanced labels, images that no translation learns from."""

import pytest
import torch
from tiny_world import TinyWorld

from datamodules.biased import Biased
from datamodules.errors import DataError
from datamodules.labelled_images import LabelledImages

COUNTS = {"n_train": 24, "n_val": 8, "n_test": 8}


def small(**changes):
    return LabelledImages(**{"source": TinyWorld(), "attribute": "texture", **COUNTS, **changes})


def test_the_label_is_the_attribute_and_balanced():
    data = small(batch_size=24)
    assert data.class_names == ["flat", "textured"]
    assert data.num_classes == 2
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (24, 3, 16, 16)
    assert batch["label"].bincount().tolist() == [12, 12]
    assert torch.equal(batch["label"], batch["texture"])
    assert data.describe()["splits"]["test"]["per_class"] == {"flat": 4, "textured": 4}


def test_what_is_balanced_with_it_tells_nothing_of_it():
    fields = small(balance=["colour"]).split("train").fields
    assert (2 * fields["colour"] + fields["texture"]).bincount().tolist() == [6] * 4


def test_all_images_have_the_values_that_are_asked_for_alone():
    data = small(only={"colour": "red"})
    for split in ("train", "val", "test"):
        fields = data.split(split).fields
        assert set(fields["colour"].tolist()) == {list(TinyWorld.attributes["colour"]).index("red")}
        assert fields["texture"].unique().tolist() == [0, 1]


def test_extractors_see_no_image_of_biased_domains_nor_of_judges():
    domains = {name: [{"images": 20, "colour": name}] for name in ("black", "red")}
    biased = Biased(TinyWorld(), "colour", ["texture"], domains, n_val=5, n_test=5, n_judging=8)
    others = [biased.training_set(name).fetch(range(20))[name] for name in domains]
    others += [biased.split(s).fetch(range(5))[name] for s in ("val", "test") for name in domains]
    others += [biased.judging_set(attribute, 1)[0] for attribute in ("colour", "texture")]
    own = [
        small(part=part).split(split).fetch(range(8))["image"]
        for part in ("extractor", "generic")
        for split in ("train", "val", "test")
    ]
    images = torch.cat([*others, *own])
    assert len(images.flatten(1).unique(dim=0)) == len(images)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attribute": "hue"}, "no attribute 'hue'; there are colour, texture"),
        ({"balance": ["size"]}, "no attribute 'size'"),
        ({"part": "train"}, "part is 'train'; give a name without /"),
        ({"part": "judge3"}, "part is 'judge3'"),
        ({"n_test": 0}, "n_test is 0"),
        ({"only": {"colour": "mauve"}}, "colour has no value 'mauve'"),
        ({"only": {"texture": "flat"}}, "drop it from one of them"),
    ],
)
def test_impossible_requests_are_named(arguments, message):
    with pytest.raises(DataError, match=message):
        small(**arguments)
