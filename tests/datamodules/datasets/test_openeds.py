"""OpenEDS in the layout of its publication, in miniature."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.datasets.openeds import OpenEDS
from datamodules.errors import DataError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path_factory.mktemp("cache")))


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 10), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path):
    number = 0
    for split, people in (("train", ("U111", "U112")), ("validation", ("U113", "U114", "U115"))):
        entries = []
        for person in people:
            entry = {"id": person, "semantic_segmenation_images": [], "generative_images": []}
            entry["sequence_images"] = []
            for _ in range(2):
                number += 1
                name = f"{number:012d}.png"
                entry["semantic_segmenation_images"].append(name)
                labelled = tmp_path / "Semantic_Segmentation_Dataset" / split
                picture(labelled / "images" / name, number)
                labels = np.random.default_rng(number).integers(0, 4, (16, 10))
                (labelled / "labels").mkdir(exist_ok=True)
                np.save(labelled / "labels" / f"{number:012d}.npy", labels.astype(np.uint8))
                other = f"{number:03d}.png"
                entry["generative_images"].append(other)
                picture(tmp_path / "Generative_Dataset" / split / other, 1000 + number)
            entries.append(entry)
        entries.append({**entry, "id": f"{split}-nobody", "semantic_segmenation_images": []})
        (tmp_path / f"OpenEDS_{split}_userID_mapping_to_images.json").write_text(
            json.dumps(entries)
        )
    return tmp_path


def test_people_masks_and_pools_are_those_of_the_lists(root):
    data = OpenEDS(str(root), (16, 10), test_persons=1, references=1)
    data.setup("fit")
    names = {
        part: [data.person_name(n) for n in data.pairs(part).fields["person"].unique().tolist()]
        for part in ("train", "val", "test")
    }
    assert names == {"train": ["U111", "U112"], "val": ["U113", "U114"], "test": ["U115"]}
    pair = data.pairs("train").fetch([2])
    labels = np.load(root / "Semantic_Segmentation_Dataset/train/labels/000000000003.npy")
    assert torch.equal(pair["mask"][0], torch.from_numpy(labels).long())
    assert data.references("train").of(2).tolist() == [2, 3]
    pool = root / "Generative_Dataset/train/003.png"
    own = torch.from_numpy(np.array(Image.open(pool))) / 127.5 - 1
    torch.testing.assert_close(data.pool("train").fetch([2])["image"][0, 0], own)
    assert not OpenEDS(str(root), test_persons=0).has_split("test")


def test_people_may_be_left_out(root):
    data = OpenEDS(str(root), (16, 10), test_persons=1, leave_out=["U111"])
    assert data.pairs("train").ids == ["train/000000000003.png", "train/000000000004.png"]


def test_a_person_of_both_lists_is_named(root):
    file = root / "OpenEDS_validation_userID_mapping_to_images.json"
    file.write_text(file.read_text().replace("U113", "U112"))
    with pytest.raises(DataError, match="share 1 persons: U112"):
        OpenEDS(str(root), (16, 10), test_persons=1).setup("fit")


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/passwd.png", "a.jpg"])
def test_names_do_not_lead_out_of_their_folder(root, name):
    file = root / "OpenEDS_train_userID_mapping_to_images.json"
    file.write_text(file.read_text().replace("000000000001.png", name))
    with pytest.raises(DataError, match="is no list of people and images"):
        OpenEDS(str(root), (16, 10), test_persons=1).setup("fit")


def test_what_is_missing_is_named(root):
    with pytest.raises(DataError, match="leave some for val"):
        OpenEDS(str(root), (16, 10), test_persons=3).setup("fit")
    (root / "OpenEDS_train_userID_mapping_to_images.json").unlink()
    with pytest.raises(DataError, match=r"no list .*OpenEDS_train"):
        OpenEDS(str(root), (16, 10)).setup("fit")
