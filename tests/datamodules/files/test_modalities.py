"""Files of one modality: what is read is what was written, and what is wrong is named."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.errors import DataError
from datamodules.files.modalities import FileModality, declare, read_modality, write_modality
from datamodules.items.modalities import Modality

RGB, DEPTH = Modality("image", 3), Modality("depth", 1)
SEG = Modality("labels", 3, palette=((255, 0, 0), (0, 255, 0), (0, 0, 255)))
METRES = torch.tensor([[0.0, 0.0004], [1.2344, 65.535]])[None]


def png(array):
    file = io.BytesIO()
    Image.fromarray(np.asarray(array)).save(file, "PNG")
    return file.getvalue()


def tiff(array):
    file = io.BytesIO()
    Image.fromarray(np.asarray(array, np.float32)).save(file, "TIFF")
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def jpeg(array):
    file = io.BytesIO()
    Image.fromarray(np.asarray(array)).save(file, "JPEG")
    return file.getvalue()


def read(data, modality, size=2, resize="crop"):
    return read_modality(data, "rs/x.png", modality, size, resize)


def test_an_image_returns_from_its_file(tmp_path):
    pixels = torch.randint(0, 256, (3, 5, 5), dtype=torch.uint8)
    path = write_modality(tmp_path / "new" / "v1.2", RGB, pixels / 127.5 - 1)
    assert path == tmp_path / "new" / "v1.2.png"
    assert torch.equal(read_modality(path, "v", RGB, 5), pixels)


def test_depth_returns_to_the_millimetre_and_nothing_known_becomes_unknown(tmp_path):
    path = write_modality(tmp_path / "d", DEPTH, METRES)
    assert Image.open(path).mode.startswith("I;16")
    again = read_modality(path, "d", DEPTH, 2)
    assert again.dtype == torch.float32
    torch.testing.assert_close(again, torch.tensor([[[0, 0.001], [1.234, 65.535]]]))


def test_depth_beyond_sixteen_bits_returns_too(tmp_path):
    far = METRES + 100
    path = write_modality(tmp_path / "d", DEPTH, far)
    assert torch.equal(read_modality(path, "d", DEPTH, 2), far)


def test_labels_return_and_are_seen_in_the_palette(tmp_path):
    labels = torch.tensor([[0, 1], [2, 255]])
    path = write_modality(tmp_path / "s", SEG, labels)
    assert torch.equal(read_modality(path, "s", SEG, 2), labels.to(torch.uint8))
    seen = np.asarray(Image.open(path).convert("RGB"))
    assert seen.tolist() == [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [0, 0, 0]]]


def test_classes_without_a_palette_have_colours_of_their_own(tmp_path):
    path = write_modality(tmp_path / "s", Modality("labels", 40), torch.arange(40)[None])
    assert len(np.unique(np.asarray(Image.open(path).convert("RGB"))[0], axis=0)) == 40


@pytest.mark.parametrize(
    "data",
    [
        png(np.array([[500, 0], [1500, 2000]], np.uint16)),
        tiff([[0.5, 0], [1.5, 2]]),
        npy(np.array([[[0.5, 0], [1.5, 2]]])),
        npz(depth=np.array([[0.5, 0], [1.5, 2]], np.float32)),
    ],
    ids=["png", "tiff", "npy", "npz"],
)
def test_depth_comes_in_several_formats(data):
    assert torch.equal(read(data, DEPTH), torch.tensor([[[0.5, 0], [1.5, 2]]]))


def test_depth_in_other_units():
    tum = FileModality("depth", 1, per_metre=5000)
    assert read(png(np.full((2, 2), 7500, np.uint16)), tum).unique().tolist() == [1.5]


def test_labels_are_mapped_to_classes():
    nyu = FileModality("labels", 3, label_map={7: 0, 8: 2, 300: 1, 0: 255})
    raw = np.array([[7, 8, 300], [0, 255, 8], [7, 7, 7]], np.uint16)
    assert read(png(raw), nyu, size=3).tolist() == [[0, 2, 1], [255, 255, 2], [0, 0, 0]]


@pytest.mark.parametrize(
    ("resize", "row"),
    [("crop", [0] * 4 + [1] * 8 + [2] * 4), ("stretch", [0] * 5 + [1] * 6 + [2] * 5)],
)
def test_all_modalities_of_a_scene_keep_their_edges_together(resize, row):
    labels = np.repeat(np.repeat([[0, 1, 2], [1, 2, 1]], 16, 0), 16, 1).astype(np.uint8)
    seg = read(png(labels), SEG, 16, resize).long()
    depth = read(tiff(labels + 1.0), DEPTH, 16, resize)
    grey = read(png(labels * 100), Modality("image", 1), 16, resize)
    assert seg[0].tolist() == row
    assert torch.equal(depth[0].long(), seg + 1)
    assert torch.equal((grey[0].float() / 100).round().long(), seg)


def test_photos_are_turned_upright():
    image, file, exif = Image.new("RGB", (8, 8)), io.BytesIO(), Image.Exif()
    image.paste("white", (0, 0, 8, 4))
    exif[0x0112] = 3  # upside down
    image.save(file, "PNG", exif=exif)
    assert read(file.getvalue(), RGB, 8)[0, :, 0].tolist() == [0] * 4 + [255] * 4


HOLED = np.array([[1.0, np.nan], [1, 1]], np.float32)
SHORT = png(np.random.default_rng(0).integers(0, 3, (64, 64), dtype=np.uint8))[:-40]


@pytest.mark.parametrize(
    ("modality", "data", "message"),
    [
        (SEG, png(np.array([[0, 17], [99, 2]], np.uint8)), "label 17, 99; allowed are 0 to 2, 255"),
        (SEG, png(np.zeros((2, 2, 3), np.uint8)), "no label map but of mode RGB"),
        (SEG, jpeg(np.zeros((8, 8), np.uint8)), "with loss"),
        (SEG, SHORT, "is corrupt"),
        (DEPTH, png(np.zeros((2, 2), np.uint16)), "has no known depth"),
        (DEPTH, tiff(HOLED), "NaN"),
        (DEPTH, npy(HOLED * np.inf), "infinite"),
        (DEPTH, npy(np.float32([[1, -2]])), "a depth of -2 m"),
        (DEPTH, png(np.ones((2, 2), np.uint8)), "no depth map but of mode L"),
        (DEPTH, npy(np.ones((2, 2), np.int32)), "holds int32"),
        (DEPTH, npy(np.ones((2, 2, 2))), "has the shape"),
        (DEPTH, npz(a=np.ones((2, 2)), b=np.ones((2, 2))), "holds 2 arrays"),
        (DEPTH, npy(np.ones((8, 8)))[:-9], "is corrupt"),
        (DEPTH, tiff(np.ones((8, 8)))[:-9], "is corrupt"),
        (DEPTH, tiff(np.ones((8, 8)))[:30], "is not an image|is corrupt"),
        (RGB, b"", "is empty"),
        (RGB, b"notes", "is not an image"),
    ],
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # of the cut TIFF
def test_what_cannot_be_used_is_named_with_its_file(modality, data, message):
    with pytest.raises(DataError, match=message) as caught:
        read(data, modality)
    assert str(caught.value).startswith("rs/x.png ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="x cannot be read"):
        read_modality(tmp_path / "x.png", "x", RGB, 2)


def test_declarations_have_defaults():
    assert declare("rgb", {}) == FileModality("image", 3)
    assert declare("z", {"kind": "depth", "per_metre": 256}).channels == 1
    seg = declare("s", {"kind": "labels", "class_names": ["a", "b"], "label_map": {"5": 1}})
    assert (seg.channels, seg.class_names, seg.label_map) == (2, ("a", "b"), {5: 1})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"knid": "depth"}, "'knid'"),
        ({"kind": "flow"}, "'flow'"),
        ({"channels": 4}, "4 channels"),
        ({"kind": "labels"}, "0 classes"),
        ({"kind": "labels", "channels": 3, "class_names": ["a"]}, "class_names has 1"),
        ({"kind": "labels", "channels": 3, "label_map": {1: 3}}, "maps to 3"),
        ({"kind": "depth", "per_metre": 0}, "per_metre is 0"),
    ],
)
def test_wrong_declarations_are_named(spec, message):
    with pytest.raises(DataError, match=message) as caught:
        declare("nir", spec)
    assert "modality nir" in str(caught.value)
