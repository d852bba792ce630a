"""Folders of people: pairs, pools, and what must not be in two splits."""

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.errors import DataError
from datamodules.persons import Persons

CLASSES = {"channels": 4}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path_factory.mktemp("cache")))


def write(root, part, person, stems, kinds=("mask", "image"), size=(10, 8), label=3):
    """Write pictures whose every pixel is random, from a seed of their name."""
    for kind in kinds:
        folder = root / part / person / kind
        folder.mkdir(parents=True, exist_ok=True)
        for stem in stems:
            rng = np.random.default_rng(list(f"{part}{person}{kind}{stem}".encode()))
            most = label + 1 if kind == "mask" else 256
            pixels = rng.integers(0, most, size, dtype=np.uint8)
            pixels[0, 0] = most - 1
            Image.fromarray(pixels).save(folder / f"{stem}.png")


@pytest.fixture
def root(tmp_path):
    for part, people in (("train", "ab"), ("val", "c"), ("test", "d")):
        for person in people:
            write(tmp_path, part, person, "12")
    return tmp_path


def persons(root, **options):
    return Persons(str(root), (10, 8), CLASSES, **options)


def message(root, **options):
    with pytest.raises(DataError) as caught:
        persons(root, **options).setup("fit")
    return str(caught.value)


@pytest.mark.parametrize("in_memory", [True, False])
def test_pairs_keep_their_shape_and_know_their_person(root, in_memory):
    data = persons(root, in_memory=in_memory, batch_size=2)
    data.setup("fit")
    pairs = data.pairs("train")
    assert pairs.ids == ["train/a/1", "train/a/2", "train/b/1", "train/b/2"]
    batch = pairs.fetch([2])
    mask = np.array(Image.open(root / "train/b/mask/1.png"))
    image = np.array(Image.open(root / "train/b/image/1.png"))
    assert torch.equal(batch["mask"][0], torch.from_numpy(mask).long())
    torch.testing.assert_close(batch["image"][0, 0], torch.from_numpy(image) / 127.5 - 1)
    assert data.person_name(int(batch["person"])) == "b"
    assert next(iter(data.train_dataloader()))["pairs"]["image"].shape == (2, 1, 10, 8)


def test_the_pool_of_a_pair_are_the_persons_other_pairs_or_its_own_folder(root):
    data = persons(root, references=1)
    data.setup("fit")
    assert data.references("train").of(2).tolist() == [3]
    for part, people in (("train", "ab"), ("val", "c"), ("test", "d")):
        for person in people:
            write(root, part, person, "789", ["pool"])
    data = persons(root, references=2)
    data.setup("fit")
    assert data.references("train").of(2).tolist() == [3, 4, 5]
    assert data.pool("train").ids[3] == "train/b/pool/7"
    assert data.split("val").fetch([0])["references"].shape == (1, 2, 1, 10, 8)


def test_other_sizes_are_stretched_or_cut(root):
    data = Persons(str(root), (5, 4), CLASSES)
    assert data.pairs("val").fetch([0])["image"].shape == (1, 1, 5, 4)
    cut = Persons(str(root), (8, 8), CLASSES, resize="crop").pairs("val").fetch([0])["mask"]
    mask = np.array(Image.open(root / "val/c/mask/1.png"))
    assert torch.equal(cut[0], torch.from_numpy(mask[1:9]).long())


def test_masks_may_be_arrays(root):
    file = root / "train/a/mask/1.png"
    labels = np.array(Image.open(file))
    np.save(file.with_suffix(".npy"), labels.astype(np.int64))
    file.unlink()
    assert torch.equal(
        persons(root).pairs("train").fetch([0])["mask"][0], torch.from_numpy(labels).long()
    )
    np.save(file.with_suffix(".npy"), labels.astype(np.float32))
    assert "train/a/mask/1.npy holds float32; give labels as whole numbers" in message(root)


def test_a_person_in_two_splits_is_named(root):
    write(root, "val", "a", "56")
    assert "train and val share 1 persons: a; give each person to one of them" in message(root)


def test_a_class_that_no_mask_may_have_is_named(root):
    labels = np.zeros((10, 8), dtype=np.uint8)
    labels[3, 4] = 7
    Image.fromarray(labels).save(root / "train/a/mask/1.png")
    assert "train/a/mask/1.png has the label 7; allowed are 0 to 3, 255" in message(root)


def test_a_mask_of_another_size_is_named(root):
    write(root, "train", "a", "1", ["mask"], size=(8, 8))
    assert "train/a/mask/1.png has 8x8 pixels but train/a/image/1.png 8x10" in message(root)


def test_an_image_without_mask_is_named(root):
    write(root, "train", "a", "9", ["image"])
    assert "9 lacks mask" in message(root)


def test_pools_are_given_to_all_or_to_none(root):
    write(root, "train", "a", "7", ["pool"])
    assert "1 of 2 persons of train have no pool, such as b" in message(root, references=1)
    (root / "train/a/pool/7.png").unlink()
    assert "holds no pictures" in message(root, references=1)


def test_a_target_copied_into_its_pool_is_named(root):
    for part, people in (("train", "ab"), ("val", "c"), ("test", "d")):
        for person in people:
            write(root, part, person, "7", ["pool"])
    (root / "train/a/pool/7.png").write_bytes((root / "train/a/image/1.png").read_bytes())
    assert "train/a/image/1.png and train/a/pool/7.png" in message(root, references=1)


def test_a_person_with_a_single_image_has_no_style(root):
    (root / "val/c/mask/2.png").unlink()
    (root / "val/c/image/2.png").unlink()
    assert "no image but its own for the style of val/c/1" in message(root, references=1)
