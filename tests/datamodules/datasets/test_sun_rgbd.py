"""SUN RGB-D: lists, label numbers, rotated depth, the split, and what is wrong with a copy."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.datasets.sun_rgbd import LISTS, THIRTEEN_OF_37, SunRGBD, rotated_depth
from datamodules.errors import DataError

TESTING = [f"SUNRGBD/kv2/kinect2data/{i:06d}-resize/image/{i:07d}.jpg" for i in range(4)]
TRAINING = [f"SUNRGBD/xtion/sun3ddata/hall/hall_1/{i}-000/image/{i}-000.jpg" for i in range(6)]


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def rotated(millimetres):
    """What the data set stores: the 16 bits rotated left by three."""
    bits = format(millimetres, "016b")
    return int(bits[3:] + bits[:3], 2)


@pytest.fixture
def root(tmp_path):
    for name, images in zip(LISTS, (TESTING, TRAINING), strict=True):
        (tmp_path / name).write_text("\n".join(images) + "\n")
    for number, image in enumerate(TESTING + TRAINING, start=1):
        scene = (tmp_path / image).parent.parent
        save(tmp_path / image, np.full((4, 6, 3), number, np.uint8))
        stored = np.full((4, 6), rotated(1000 + number), np.uint16)
        save(scene / "depth_bfx" / f"named-otherwise-{number}.png", stored)
        save(tmp_path / f"labels37/img-{number:06d}.png", np.full((4, 6), number, np.uint8))
    return tmp_path


def data(root, **changes):
    return SunRGBD(str(root), **{"image_size": 4, "test_scenes": 2, **changes})


def message(scenes):
    with pytest.raises(DataError) as caught:
        scenes.fetch([0])
    return str(caught.value)


def test_depth_is_unrotated_to_metres_and_cut_at_eight():
    stored = np.array([[rotated(2345), rotated(7), rotated(0), rotated(61_234)]], np.uint16)
    assert stored[0, 0] == 2345 * 8
    metres = rotated_depth(Image.fromarray(stored))
    assert metres.dtype == np.float32
    assert np.allclose(metres, [[2.345, 0.007, 0, 8]])


def test_every_scene_keeps_its_own_depth_and_label(root):
    """The pictures of scene n tell n, so any wrong partner shows."""
    made = data(root)
    triplets = made.split("test").fetch(range(2))
    numbers = (triplets["depth"][:, 0, 0, 0] * 1000 - 1000).round().long()
    classes = list(made.modalities["segmentation"].class_names)
    names = list(THIRTEEN_OF_37.values())
    assert [classes[c] for c in triplets["segmentation"][:, 0, 0]] == [
        names[n - 1] for n in numbers
    ]
    assert torch.equal(((triplets["rgb"][:, 0, 0, 0] + 1) * 127.5).round().long(), numbers)


def test_the_test_is_drawn_from_the_official_and_the_rest_is_dealt(root):
    made = data(root)
    made.setup("fit")
    test = set(made.split("test").ids)
    parts = [set(made.training_set(name).ids) for name in made.sets]
    scenes = {str(Path(image).parent.parent) for image in TESTING}
    assert len(test) == 2
    assert test <= scenes
    assert [len(part) for part in parts] == [4, 4]
    assert len(test.union(*parts)) == 10
    ids = made.training_set("rgb_depth").ids
    assert ids != sorted(ids)  # shuffled: neighbours in a walk are dealt by chance
    assert data(root, split_seed=1).training_set("rgb_depth").ids != ids
    assert not made.has_split("val")


def test_unlabelled_pixels_are_ignored(root):
    for number in range(1, 11):
        save(root / f"labels37/img-{number:06d}.png", np.zeros((4, 6), np.uint8))
    batch = next(iter(data(root, batch_size=2).train_dataloader()))
    assert batch["rgb_segmentation"]["segmentation"].unique().tolist() == [255]
    assert set(batch["rgb_depth"]) == {"rgb", "depth", "index"}


def test_37_classes_become_the_numbers_of_the_published_table():
    """Numbers from the README of SceneNetv1.0, which are those of SceneNet's label files."""
    published = [12, 5, 6, 1, 4, 9, 10, 12, 13, 6, 8, 6, 13, 10, 6, 13, 6, 7, 7, 5, 7, 3, 2, 6, 11]
    published += [7, 7, 7, 7, 7, 7, 6, 7, 7, 7, 7, 7]
    classes = SunRGBD("nowhere").modalities["segmentation"].class_names
    assert [classes.index(name) + 1 for name in THIRTEEN_OF_37.values()] == published


def test_a_scene_in_both_lists_is_refused(root):
    (root / LISTS[1]).write_text("\n".join([*TRAINING, TESTING[2]]))
    with pytest.raises(DataError, match=r"000002-resize.* twice, so it would be trained on"):
        data(root).setup("fit")


def test_missing_partners_are_named(root):
    (root / "labels37/img-000007.png").unlink()
    sets = {"rgb_segmentation": ["rgb", "segmentation"]}
    with pytest.raises(DataError, match=r"lacks 1 of the files.*labels37/img-000007.png"):
        data(root, sets=sets).setup("fit")
    next((root / TESTING[0]).parent.parent.glob("depth_bfx/*")).unlink()
    with pytest.raises(DataError, match="000000-resize/depth_bfx has 0 PNG files and must have"):
        data(root, test_scenes=4).split("test")


def test_a_class_out_of_range_and_a_foreign_size_are_named(root):
    save(root / "labels37/img-000001.png", np.full((4, 6), 38, np.uint8))
    scenes = data(root, test_scenes=4).split("test")
    assert "img-000001.png has the class number 38; they go from 0 to 37" in message(scenes)
    save(root / "labels37/img-000001.png", np.full((5, 6), 1, np.uint8))
    assert "0000000.jpg has 6x4 but labels37/img-000001.png has 6x5" in message(scenes)


def test_a_missing_list_and_a_foreign_line_are_explained(root):
    with pytest.raises(DataError, match=r"test_scenes is 5; .* has 4 scenes"):
        data(root, test_scenes=5).split("test")
    (root / LISTS[0]).write_text("img-000001.jpg")
    with pytest.raises(DataError, match=r"names img-000001.jpg; expected SUNRGBD/"):
        data(root).split("test")
    (root / LISTS[0]).unlink()
    with pytest.raises(DataError, match=r"sunrgbd_testing_images.txt cannot be read; fetch it"):
        data(root).split("test")
