"""SceneNet RGB-D: layout, splits by video, class maps, and what is wrong with a copy."""

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.datasets import scenenet_labels
from datamodules.datasets.scenenet import SceneNet, frame_numbers
from datamodules.errors import DataError

VIDEOS = {"train": [(0, 2), (0, 10), (1, 0), (1, 1), (1, 7)], "val": [(0, 0), (0, 1)]}
BED, WINDOW = 1, 13  # as stored


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_frame(video, frame, size=(8, 6)):
    """A frame of one colour, one depth, and classes that are unknown in the upper half."""
    width, height = size
    brightness = 10 * int(video.parent.name) + int(video.name)
    save(video / f"photo/{frame}.jpg", np.full((height, width, 3), brightness, np.uint8))
    save(video / f"depth/{frame}.png", np.full((height, width), 1000 + frame, np.uint16))
    classes = np.full((height, width), BED, np.uint8)
    classes[: height // 2] = 0
    save(video / f"label13/{frame}.png", classes)


@pytest.fixture
def root(tmp_path):
    for part, found in VIDEOS.items():
        for group, video in found:
            for frame in frame_numbers(2):
                write_frame(tmp_path / part / str(group) / str(video), frame)
    return tmp_path


def data(root, **changes):
    settings = {"train_videos": 4, "val_videos": 1, "frames_per_video": 2, "held_out_frames": 1}
    return SceneNet(str(root), image_size=4, **{**settings, **changes})


def message(scenes, position=0):
    with pytest.raises(DataError) as caught:
        scenes.fetch([position])
    return str(caught.value)


def test_frames_are_evenly_spaced_over_the_300_of_a_video():
    assert frame_numbers(10) == [750 * k for k in range(10)]  # every 30th of 0, 25, ..., 7475
    assert frame_numbers(300)[-2:] == [7450, 7475]
    with pytest.raises(DataError, match=r"301 frames.* ask for 1 to 300"):
        frame_numbers(301)


def test_videos_are_split_in_numeric_order_and_dealt_to_the_sets(root):
    made = data(root)
    assert made.training_set("rgb_segmentation").ids == ["train/0/2"] * 2 + ["train/1/0"] * 2
    assert made.training_set("rgb_depth").ids == ["train/0/10"] * 2 + ["train/1/1"] * 2
    assert made.split("val").ids == ["train/1/7"]
    assert made.split("test").ids == ["val/0/0", "val/0/1"]
    assert set(made.training_set("rgb_depth").fetch([0])) == {"rgb", "depth", "index"}


def test_a_video_in_two_parts_is_refused(root, monkeypatch):
    made = data(root)
    made.setup("fit")
    monkeypatch.setattr(
        "datamodules.datasets.scenenet.deal", lambda found, names: dict.fromkeys(names, found)
    )
    with pytest.raises(DataError, match="share 4 scenes: train/0/10"):
        data(root).setup("fit")


def test_values_are_those_of_the_files(root):
    made = data(root)
    triplet = made.split("test").fetch([1, 0])
    assert torch.allclose(triplet["rgb"][0], torch.tensor(1 / 127.5 - 1), atol=0.01)
    assert triplet["depth"].shape == (2, 1, 4, 4)
    assert triplet["segmentation"].tolist() == [[[255] * 4] * 2 + [[BED - 1] * 4] * 2] * 2
    second_frame = made.training_set("rgb_depth").fetch([1])["depth"]
    assert torch.equal(second_frame, torch.full((1, 1, 4, 4), (1000 + 25 * 150) / 1000))


def test_one_batch_of_training(root):
    batch = next(iter(data(root, batch_size=3).train_dataloader()))
    assert {name: set(part) - {"index"} for name, part in batch.items()} == {
        "rgb_segmentation": {"rgb", "segmentation"},
        "rgb_depth": {"rgb", "depth"},
    }
    assert all(len(part["rgb"]) == 3 for part in batch.values())


def test_pictures_are_central_squares(root):
    columns = np.tile(np.arange(1, 9, dtype=np.uint8), (6, 1))
    save(root / "val/0/0/label13/0.png", columns)
    scenes = SceneNet(str(root), image_size=6, held_out_frames=1).split("test")
    assert scenes.fetch([0])["segmentation"][0, 0].tolist() == [1, 2, 3, 4, 5, 6]


def test_resizing_mixes_neither_classes_nor_unknown_depth(root):
    stripes = np.tile([True, False], (6, 4))
    video = root / "val/0/0"
    save(video / "label13/0.png", np.where(stripes, BED, WINDOW).astype(np.uint8))
    save(video / "depth/0.png", np.where(stripes, 0, 8000).astype(np.uint16))
    triplet = SceneNet(str(root), image_size=5, held_out_frames=1).split("test").fetch([0])
    assert triplet["segmentation"].unique().tolist() == [BED - 1, WINDOW - 1]
    assert triplet["depth"].unique().tolist() == [0, 8]


def test_a_missing_partner_is_named_before_training(root):
    (root / "train/1/0/label13/3750.png").unlink()
    with pytest.raises(DataError, match=r"lacks 1 of the files.*train/1/0/label13/3750.png"):
        data(root).setup("fit")


def test_a_class_out_of_range_is_named_with_its_file(root):
    save(root / "val/0/0/label13/0.png", np.full((6, 8), 14, np.uint8))
    found = message(data(root).split("test"))
    assert "val/0/0/label13/0.png has the class number 14; they go from 0 to 13" in found


def test_pictures_of_another_kind_or_size_are_named(root):
    video = root / "val/0/0"
    save(video / "depth/0.png", np.zeros((6, 8), np.uint8))
    assert "depth/0.png has L pixels where 16-bit grey" in message(data(root).split("test"))
    save(video / "depth/0.png", np.zeros((6, 7), np.uint16))
    assert "photo/0.jpg has 8x6 but val/0/0/depth/0.png has 7x6" in message(
        data(root).split("test")
    )
    (video / "photo/0.jpg").write_bytes(b"")
    assert "photo/0.jpg is empty; replace it" in message(data(root).split("test"))


def test_too_few_videos_and_a_wrong_root_are_explained(root, tmp_path):
    with pytest.raises(DataError, match=r"has 5 videos but .* ask for 6"):
        data(root, val_videos=2).setup("fit")
    with pytest.raises(DataError, match="has no videos in folders <group>/<video>"):
        data(tmp_path / "elsewhere").setup("fit")


def test_the_hash_knows_files_and_settings(root):
    before = data(root).describe()["splits"]
    assert data(root).describe()["splits"] == before
    save(root / "val/0/0/photo/0.jpg", np.zeros((60, 80, 3), np.uint8))
    after = data(root).describe()["splits"]
    assert [after[name] == before[name] for name in ("test", "val")] == [False, True]
    assert (
        data(root, frames_per_video=1).describe()["splits"]["train/rgb_depth"]
        != (before["train/rgb_depth"])
    )


# --- the converter, on a protobuf that is encoded here by hand


def varint(value):
    parts = []
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def number_field(field, value):
    return varint(field << 3) + varint(value)


def text_field(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def instance(number, wordnet_id, kind):
    coded = number_field(1, number) + text_field(2, wordnet_id) + text_field(3, b"plain name")
    floats = varint(7 << 3 | 5) + b"\xff" * 4 + varint(8 << 3 | 1) + b"\xff" * 8  # to be skipped
    return text_field(2, coded + floats + number_field(4, kind))


def trajectory(folder, instances):
    layout, view = text_field(1, number_field(1, 2)), text_field(3, number_field(1, 7475))
    return text_field(1, layout + b"".join(instances) + view + text_field(4, folder))


CLASSES = "wnid name 13_classes\n2818832 bed.n.01 Bed\n04587648 window.n.01 Window\n"


@pytest.fixture
def extracted(tmp_path):
    """A video as extracted, its protobuf, and the table of classes."""
    instances = [
        instance(0, b"", 1),
        instance(3, b"02818832", 4),
        instance(300, b"04587648", 2),
    ]
    (tmp_path / "a.pb").write_bytes(trajectory(b"0/5", instances))
    (tmp_path / "classes.txt").write_text(CLASSES)
    save(tmp_path / "train/0/5/instance/0.png", np.array([[0, 3], [300, 9]], np.uint16))
    return tmp_path


def convert(folder):
    names = [folder / "train", folder / "classes.txt", folder / "a.pb"]
    return scenenet_labels.main([*map(str, names), "--frames_per_video", "1"])


def test_instances_become_classes(extracted):
    assert convert(extracted) == 0
    written = np.asarray(Image.open(extracted / "train/0/5/label13/0.png"))
    # The background, a bed, a window, and an instance that the protobuf does not know.
    assert written.tolist() == [[0, BED], [WINDOW, 0]]
    assert written.dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("classes.txt", CLASSES.replace("04587648", "04587649"), "id 04587648, which wnid_to"),
        ("classes.txt", CLASSES.replace("Window", "Windscreen"), "a row without one of bed,"),
        ("a.pb", "\x0a\x20short", "breaks off or is none"),
        ("a.pb", "no protobuf", "fetched again"),
    ],
)
def test_wrong_inputs_of_the_converter_are_explained(extracted, capsys, name, content, complaint):
    (extracted / name).write_text(content)
    assert convert(extracted) == 2
    assert complaint in capsys.readouterr().err
