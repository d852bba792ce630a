"""Pairs of images: two folders or two halves, any names, checked."""

import numpy as np
import pytest
import torch
from PIL import Image
from scene_trees import write_image, write_scenes

from datamodules.errors import DataError
from datamodules.paired import Paired


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path_factory.mktemp("cache")))


def message(root, **options):
    with pytest.raises(DataError) as caught:
        Paired(str(root), 12, **options).setup("fit")
    return str(caught.value)


def values(pixels):
    return torch.tensor(pixels).permute(2, 0, 1) / 127.5 - 1


def test_two_folders_of_pairs(tmp_path):
    a, b = (write_image(tmp_path / f"train/{m}/1.png", seed) for seed, m in enumerate("ab"))
    write_image(tmp_path / "test/a/1.png", 2)
    write_image(tmp_path / "test/b/1.png", 3)
    data = Paired(str(tmp_path), 12)
    data.setup("fit")
    assert data.sets == {"pairs": ["a", "b"]}
    pair = data.training_set("pairs").fetch([0])
    torch.testing.assert_close(pair["a"][0], values(a))
    torch.testing.assert_close(pair["b"][0], values(b))
    assert (data.has_split("test"), data.has_split("val")) == (True, False)


@pytest.mark.parametrize("in_memory", [True, False])
def test_two_halves_of_one_image(tmp_path, in_memory):
    pixels = write_image(tmp_path / "train/1.png", 0, (24, 12))
    data = Paired(str(tmp_path), 12, {"edges": {"channels": 1}, "photo": {}}, in_memory=in_memory)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))["pairs"]
    torch.testing.assert_close(batch["photo"][0], values(pixels[:, 12:]))
    grey = np.asarray(Image.fromarray(pixels[:, :12]).convert("L"))
    torch.testing.assert_close(batch["edges"][0], values(grey[..., None]))


def test_pairs_of_other_kinds(tmp_path):
    write_scenes(tmp_path / "train", ["depth", "seg"], ["s1"])
    specs = {"seg": {"kind": "labels", "channels": 4}, "depth": {"kind": "depth"}}
    pair = Paired(str(tmp_path), 12, specs).training_set("pairs").fetch([0])
    assert torch.equal(pair["depth"][:, 0], pair["seg"] + 1.0)


def test_load_size_crops_both_alike(tmp_path):
    pixels = write_image(tmp_path / "train/a/1.png", 0, (16, 16))
    (tmp_path / "train/b").mkdir()
    Image.fromarray(255 - pixels).save(tmp_path / "train/b/1.png")
    data = Paired(str(tmp_path), 12, load_size=16, batch_size=8)
    batch = next(iter(data.train_dataloader()))["pairs"]
    assert batch["a"].shape == (8, 3, 12, 12)
    torch.testing.assert_close(batch["a"], -batch["b"])
    assert len({tuple(image.flatten().tolist()) for image in batch["a"]}) > 4


def test_an_image_in_train_and_test_is_named(tmp_path):
    for part, name in (("train", "1"), ("test", "9")):
        write_image(tmp_path / part / f"{name}.png", 0, (24, 12))
    assert "train/1.png and test/9.png" in message(tmp_path)


def test_an_odd_width_has_no_halves(tmp_path):
    write_image(tmp_path / "train/1.png", 0, (25, 12))
    assert "train/1.png is 25 pixels wide" in message(tmp_path)


def test_folders_of_other_names_are_not_taken_for_halves(tmp_path):
    write_image(tmp_path / "train/A/1.png", 0)
    write_image(tmp_path / "train/B/1.png", 1)
    assert "has the folders A, B" in message(tmp_path)
    Paired(str(tmp_path), 12, {"A": {}, "B": {}}).setup("fit")


def test_sizes_and_partners_are_checked(tmp_path):
    write_image(tmp_path / "train/a/1.png", 0)
    write_image(tmp_path / "train/b/1.png", 1, (12, 10))
    assert "train/a/1.png has 12x12 pixels but train/b/1.png 12x10" in message(tmp_path)
    write_image(tmp_path / "train/b/2.png", 2)
    assert "2 lacks a" in message(tmp_path)


def test_a_pair_has_two_modalities(tmp_path):
    assert "give two" in message(tmp_path, modalities={"a": {}, "b": {}, "c": {}})


def test_there_must_be_training_pairs(tmp_path):
    assert f"There is no folder {tmp_path / 'train'}" in message(tmp_path)
