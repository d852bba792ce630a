"""Freiburg Forest: colours, crops, alignment of sizes, the split, and what is wrong with a copy."""

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.datasets.freiburg_forest import CLASS_COLOURS, TREE, FreiburgForest, cover
from datamodules.errors import DataError

CLASSES = list(CLASS_COLOURS)
SCENES = {"train": ["b1-09517", "b10-495", "b100-1", "b2-7"], "test": ["b98-2008"]}
SIDE = 8


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def blocks(values, unit):
    """A picture of 3 x 2 squares of `unit` pixels."""
    return np.repeat(np.repeat(np.asarray(values, np.uint8), unit, 0), unit, 1)


GREY = np.arange(6).reshape(2, 3) * 40
COLOURS = [
    [CLASS_COLOURS["sky"], CLASS_COLOURS["trail"], CLASS_COLOURS["grass"]],
    [CLASS_COLOURS["vegetation"], TREE, CLASS_COLOURS["obstacle"]],
]


@pytest.fixture
def root(tmp_path):
    for part, scenes in SCENES.items():
        for scene in scenes:
            folder = tmp_path / part
            save(folder / f"rgb/{scene}_Clipped.jpg", np.zeros((2 * SIDE, 3 * SIDE, 3), np.uint8))
            save(folder / f"depth_gray/{scene}_Clipped_redict_depth_gray.png", blocks(GREY, 4))
            save(folder / f"nir_gray/{scene}.tif", blocks(GREY, 5))
            save(folder / f"GT_color/{scene}_mask.png", blocks(COLOURS, SIDE))
    return tmp_path


def data(root, **changes):
    return FreiburgForest(str(root), **{"image_size": SIDE, **changes})


def message(scenes, position=0):
    with pytest.raises(DataError) as caught:
        scenes.fetch([position])
    return str(caught.value)


def test_colours_become_classes_and_trees_vegetation(root):
    crops = data(root).split("test").fetch(range(6))
    named = [CLASSES[crop.unique().item()] for crop in crops["segmentation"]]
    assert named == ["sky", "trail", "grass", "vegetation", "vegetation", "obstacle"]


def test_pictures_of_other_sizes_show_the_same_crop(root):
    crops = data(root).split("test").fetch(range(6))
    expected = torch.from_numpy(GREY).flatten() / 127.5 - 1
    for name in ("depth", "nir"):
        assert crops[name].shape == (6, 1, SIDE, SIDE)
        assert torch.allclose(crops[name].mean((1, 2, 3)), expected.float(), atol=0.01), name


@pytest.mark.parametrize(("size", "across", "down"), [((1024, 768), 4, 3), ((881, 495), 4, 2)])
def test_crops_cover_the_image(tmp_path, size, across, down):
    path = tmp_path / "image.png"
    Image.new("L", size).save(path)
    windows = cover(path, 256)
    assert len(windows) == across * down
    covered = np.zeros(size[::-1], int)
    for left, top, side, *frame in windows:
        covered[top : top + side, left : left + side] += 1
        assert (left + side <= size[0], top + side <= size[1], *frame) == (True, True, *size)
    assert covered.min() == 1
    assert covered.max() == (1 if size == (1024, 768) else 4)


def test_the_official_split_with_all_crops_of_a_scene_in_one_set(root):
    made = data(root)
    made.setup("fit")
    ids = {name: made.training_set(name).ids for name in made.sets}
    assert set(made.training_set("rgb_depth_nir").modalities) == {"rgb", "depth", "nir"}
    assert [len(found) for found in ids.values()] == [12, 12]
    assert set().union(*ids.values()) == set(SCENES["train"])
    assert set(made.split("test").ids) == set(SCENES["test"])
    assert not made.has_split("val")
    dealt = [data(root, split_seed=k).training_set("rgb_segmentation").ids for k in range(5)]
    assert any(each != dealt[0] for each in dealt)


def test_a_scene_of_both_splits_is_refused(root):
    for file in list(root.glob("test/*/b98-2008*")):
        file.rename(file.with_name(file.name.replace("b98-2008", "b2-7")))
    with pytest.raises(DataError, match="and test share 1 scenes: b2-7"):
        data(root).setup("fit")


def test_an_unknown_colour_is_named_with_its_file(root):
    wrong = blocks(COLOURS, SIDE)
    wrong[-1, -1] = (1, 2, 3)
    save(root / "test/GT_color/b98-2008_mask.png", wrong)
    scenes = data(root).split("test")
    assert len(scenes.fetch([0])["rgb"]) == 1  # the first crop has none
    found = message(scenes, 5)
    assert "GT_color/b98-2008_mask.png has the colour (1, 2, 3), which is no class" in found


def test_a_missing_partner_and_a_double_are_named(root):
    (root / "train/nir_gray/b10-495.tif").unlink()
    with pytest.raises(DataError, match=r"b10-495_Clipped.jpg has no partner in train/nir_gray"):
        data(root, sets={"all": ["rgb", "nir"]}).setup("fit")
    save(root / "train/rgb/b2-7_other.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DataError, match=r"b2-7_other.png are both of scene b2-7; keep one"):
        data(root).setup("fit")


def test_a_wrong_root_and_too_large_a_crop_are_explained(root):
    with pytest.raises(DataError, match="train/rgb is missing or empty; give as root"):
        data(root / "train").setup("fit")
    with pytest.raises(DataError, match="has 24x16 pixels; it must hold a crop of 17"):
        data(root, image_size=17).split("test")
