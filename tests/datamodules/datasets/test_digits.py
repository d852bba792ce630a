"""Digits: fixed splits, mixes by count, and honest errors."""

import pytest
import torch
from torch.utils.data import DataLoader

from datamodules.datasets.digits import Digits, split_positions
from datamodules.errors import DataError


def counts(data, name):
    return data.describe()["splits"][name]["per_class"]


def test_splits_are_fixed_disjoint_and_stratified():
    labels = torch.arange(10).repeat(180)[:1797]
    positions = split_positions(labels)
    assert {name: len(p) for name, p in positions.items()} == {
        "train": 1437,
        "val": 120,
        "test": 240,
    }
    assert torch.equal(torch.cat(list(positions.values())).sort().values, torch.arange(1797))
    data = Digits()
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [1437, 120, 240]
    assert set(counts(data, "val").values()) == {12}
    assert set(counts(data, "test").values()) == {24}


def test_the_content_is_pinned():
    assert Digits(image_size=8).split("test").sha256.startswith("c27f4be0bed8")


@pytest.mark.parametrize("size", [8, 16, 28])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_have_the_promised_shape_and_range(size, channels):
    batch = next(iter(Digits(image_size=size, channels=channels).train_dataloader()))
    assert batch["image"].shape == (64, channels, size, size)
    assert batch["image"].min() == -1
    assert batch["image"].max() == 1
    assert torch.equal(batch["image"][:, 0], batch["image"][:, -1])


def test_a_mix_takes_the_first_images_of_each_class_and_holds_out_the_same_proportions():
    everything, mix = Digits().split("train"), Digits(counts={2: 50, 7: 100})
    assert counts(mix, "train") == {str(d): {2: 50, 7: 100}.get(d, 0) for d in range(10)}
    assert counts(mix, "test")["2"] == 12
    assert counts(mix, "test")["7"] == 24
    twos = everything.pixels[everything.fields["label"] == 2][:50]
    split = mix.split("train")
    assert torch.equal(split.pixels[split.fields["label"] == 2], twos)


def test_relabel_numbers_the_kept_classes():
    data = Digits(classes=[7, 2], relabel=True)
    assert data.class_names == ["2", "7"]
    assert data.num_classes == 2
    plain = Digits(classes=[2, 7]).split("val").fields["label"]
    assert torch.equal(data.split("val").fields["label"], (plain == 7).long())


def test_limit_keeps_the_first_training_images_only():
    data = Digits(limit=25)
    assert len(data.split("train")) == 25
    assert len(data.split("val")) == 120
    assert torch.equal(data.split("train").pixels, Digits().split("train").pixels[:25])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"counts": {7: 150}}, "150 training images of class 7 but there are 143"),
        ({"counts": {7: 0}}, "0 images of 7"),
        ({"counts": {11: 5}}, "no class 11"),
        ({"counts": {1: 5}, "limit": 3}, "counts already says"),
        ({"classes": []}, "empty"),
        ({"classes": [3, 3]}, "twice"),
        ({"limit": 0}, "limit is 0"),
        ({"limit": 2000}, "there are 1437"),
        ({"image_size": 0}, "image_size is 0"),
        ({"channels": 2}, "channels is 2"),
    ],
)
def test_impossible_requests_say_what_is_possible(arguments, message):
    with pytest.raises(DataError, match=message):
        Digits(**arguments).split("train")


def test_an_unknown_split_is_named():
    with pytest.raises(DataError, match="no split 'dev'"):
        Digits().split("dev")


def test_a_stock_loader_reads_a_split():
    split = Digits().split("test")
    batch = next(iter(DataLoader(split, batch_size=5)))
    assert {key: value.tolist() for key, value in batch.items()} == {
        key: value.tolist() for key, value in split.fetch(range(5)).items()
    }


def test_the_hash_follows_the_content():
    data = Digits(limit=10)
    same, other = Digits(limit=10, seed=9, batch_size=2), Digits(limit=11)
    assert data.split("train").sha256 == same.split("train").sha256 != other.split("train").sha256
