"""OpenEDS in one HDF5 file, in miniature."""

import h5py
import numpy as np
import pytest
import torch

from datamodules.datasets.openeds_file import OpenEDSFile
from datamodules.errors import DataError


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "openeds.h5", "w") as file:
        for group, people in (("train", ("U1", "U2")), ("validation", ("U3", "U4"))):
            for person in people:
                own = file.create_group(f"{group}/{person}")
                own["images_ss"] = rng.integers(0, 256, (2, 16, 10), dtype=np.uint8)
                own["labels_ss"] = rng.integers(0, 4, (2, 16, 10), dtype=np.uint8)
                own["images_gen"] = rng.integers(0, 256, (3, 16, 10), dtype=np.uint8)
    return tmp_path / "openeds.h5"


def openeds(path, **options):
    return OpenEDSFile(str(path), (16, 10), **{"test_persons": 1, "references": 1, **options})


def change(path, name, values):
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = values


def test_rows_of_people_are_pairs_and_pools(path):
    data = openeds(path)
    data.setup("fit")
    pair = data.pairs("train").fetch([2])
    with h5py.File(path) as file:
        image, label = (file[f"train/U2/{name}"][0] for name in ("images_ss", "labels_ss"))
        pool = file["train/U2/images_gen"][1]
    torch.testing.assert_close(pair["image"][0, 0], torch.from_numpy(image) / 127.5 - 1)
    assert torch.equal(pair["mask"][0], torch.from_numpy(label).long())
    assert data.person_name(int(pair["person"])) == "U2"
    assert data.references("train").of(2).tolist() == [3, 4, 5]
    found = data.pool("train").fetch([4])["image"][0, 0]
    torch.testing.assert_close(found, torch.from_numpy(pool) / 127.5 - 1)
    assert data.pairs("test").fetch([0])["image"].shape == (1, 1, 16, 10)


def test_a_label_of_no_class_is_named(path):
    change(path, "train/U1/labels_ss", np.full((2, 16, 10), 7, np.uint8))
    with pytest.raises(DataError, match=r"labels_ss\[0\] has the label 7"):
        openeds(path).pairs("train").fetch([0])


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("train/U1/images_ss", np.zeros((2, 16, 10), np.float32), "uint8"),
        ("train/U1/images_ss", np.zeros((3, 16, 10), np.uint8), "other shapes"),
        ("train/U1/images_ss", h5py.ExternalLink("other.h5", "/secret"), "of its own"),
        ("train/U1/images_ss", h5py.SoftLink("/train/U2/images_ss"), "of its own"),
    ],
)
def test_what_holds_no_pictures_is_named(path, name, values, said):
    change(path, name, values)
    with pytest.raises(DataError, match=said):
        openeds(path).setup("fit")


def test_a_person_in_two_groups_is_named(path):
    with h5py.File(path, "a") as file:
        file.copy("train/U1", "validation/U1")
    with pytest.raises(DataError, match="train and val share 1 persons: U1"):
        openeds(path).setup("fit")


def test_a_file_that_is_none_is_named(tmp_path):
    (tmp_path / "no.h5").write_bytes(b"no")
    with pytest.raises(DataError, match="no readable HDF5 file"):
        openeds(tmp_path / "no.h5").setup("fit")
