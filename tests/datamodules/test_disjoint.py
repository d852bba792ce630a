"""Disjoint sets from folders: what is read, what is checked before training, what is named."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from scene_trees import MODALITIES, SPECS, scene, write_scenes

from datamodules.disjoint import Disjoint
from datamodules.errors import DataError
from datamodules.files import scenes

SETS = {"rs": ["rgb", "seg"], "rd": ["rgb", "depth"]}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def root(tmp_path):
    write_scenes(tmp_path / "rs", SETS["rs"], ["s1", "s2", "s3"])
    write_scenes(tmp_path / "rd", SETS["rd"], ["s11", "s12", "deep/s13"])
    write_scenes(tmp_path / "val", MODALITIES, ["s21", "s22"])
    return tmp_path


def disjoint(root, **options):
    given = {"modalities": SPECS, "sets": SETS, "image_size": 12, "batch_size": 2, **options}
    return Disjoint(str(root), **given)


def assert_alike(batch):
    """Red runs from -1 to 1 as depth does from 1 to 4 metres; see `scene_trees`."""
    torch.testing.assert_close(batch["depth"][:, 0] * 2 / 3 - 5 / 3, batch["rgb"][:, 0])


def message(root, **options):
    with pytest.raises(DataError) as caught:
        disjoint(root, **options).setup("fit")
    return str(caught.value)


def test_sets_and_hidden_tuples_are_what_the_files_hold(root):
    data = disjoint(root)
    data.setup("fit")
    assert data.training_set("rd").ids == ["deep/s13", "s11", "s12"]
    assert list(data.training_set("rs").modalities) == SETS["rs"]
    hidden = data.split("val").fetch([1, 0])
    for i, seed in enumerate((22, 21)):
        made = scene(seed)
        torch.testing.assert_close(hidden["rgb"][i], made["rgb"], atol=0.01, rtol=0)
        assert torch.equal(hidden["depth"][i], made["depth"])
        assert torch.equal(hidden["seg"][i], made["seg"])
    assert data.aligned
    assert not data.has_split("test")
    assert data.test_dataloader() == []


def test_a_training_batch_has_scenes_of_every_set(root):
    batch = next(iter(disjoint(root).train_dataloader()))
    assert {name: sorted(set(part) - {"index"}) for name, part in batch.items()} == {
        name: sorted(modalities) for name, modalities in SETS.items()
    }
    assert batch["rs"]["seg"].shape == (2, 12, 12)
    assert_alike(batch["rd"])


def test_in_memory_or_not_changes_nothing(root):
    kept, read = disjoint(root, in_memory=True), disjoint(root, in_memory=False)
    one, other = next(iter(kept.train_dataloader())), next(iter(read.train_dataloader()))
    assert all(torch.equal(one[s][m], other[s][m]) for s in one for m in one[s])
    assert kept.describe() == read.describe()


def test_the_hash_follows_content_size_and_meaning(root):
    def hashes(**options):
        splits = disjoint(root, **options).describe()["splits"]
        return {name: split["sha256"] for name, split in splits.items()}

    before = hashes()
    mapped = {**SPECS, "seg": {**SPECS["seg"], "label_map": {0: 1, 1: 1, 2: 1, 3: 1}}}
    assert not set(before.values()) & set(hashes(image_size=6).values())
    changed = hashes(modalities=mapped)
    assert [name for name in before if before[name] != changed[name]] == ["train/rs", "val"]
    shutil.copy(root / "rd/depth/s11.png", root / "rd/depth/s12.png")
    after = hashes()
    assert [name for name in before if before[name] != after[name]] == ["train/rd"]


def test_augmentation_and_crop_keep_modalities_together(root):
    flip = [{"class_path": "HorizontalFlip"}]
    data = disjoint(root, load_size=12, image_size=8, augment=flip, batch_size=6)
    batch = next(iter(data.train_dataloader()))["rd"]
    assert batch["rgb"].shape == (6, 3, 8, 8)
    assert_alike(batch)
    assert len({tuple(x.flatten().tolist()) for x in batch["depth"]}) > 3  # of three scenes
    assert data.split("val").fetch([0])["rgb"].shape == (1, 3, 8, 8)


def test_all_missing_partners_are_named(root):
    (root / "rs/seg/s2.png").unlink()
    (root / "rs/rgb/s3.png").unlink()
    text = message(root)
    assert "2 of 3 scenes are incomplete" in text
    assert "s2 lacks seg" in text
    assert "s3 lacks rgb" in text


def test_pictures_of_different_sizes_are_named(root):
    write_scenes(root / "rd", ["depth"], ["s12"], (6, 12))
    assert "rd/rgb/s12.png has 12x12 pixels but rd/depth/s12.png 12x6" in message(root)


def test_all_unusable_files_are_named_in_one_error(root):
    Image.fromarray(np.full((12, 12), 9, np.uint8)).save(root / "rs/seg/s1.png")
    (root / "rs/rgb/s2.png").write_bytes(b"")
    text = message(root)
    assert "2 problems" in text
    assert "rs/seg/s1.png has the label 9; allowed are 0 to 3, 255" in text
    assert "rs/rgb/s2.png is empty" in text


def test_depth_without_a_known_pixel_is_named(root):
    Image.fromarray(np.zeros((12, 12), np.uint16)).save(root / "val/depth/s21.png")
    assert "val/depth/s21.png has no known depth" in message(root)


def test_two_files_of_one_scene_are_named(root):
    (root / "rs/rgb/s1.jpg").write_bytes((root / "rs/rgb/s1.png").read_bytes())
    assert "has s1.jpg and s1.png for one scene" in message(root)


def test_a_scene_in_two_sets_is_named(root):
    write_scenes(root / "rd", SETS["rd"], ["s3"])
    assert "set rs and set rd share 1 scenes: s3" in message(root)


def test_a_copied_image_of_another_name_is_named(root):
    write_scenes(root / "rd", ["depth"], ["s14"])
    shutil.copy(root / "val/rgb/s21.png", root / "rd/rgb/s14.png")
    text = message(root)
    assert "1 images are in two of set rs, set rd, val" in text
    assert "rd/rgb/s14.png and val/rgb/s21.png" in text


def test_equal_label_maps_are_no_copies(root):
    shutil.copy(root / "rs/seg/s1.png", root / "val/seg/s21.png")
    disjoint(root).setup("fit")


def test_frames_of_one_video_are_one_scene(tmp_path):
    write_scenes(tmp_path / "rs", SETS["rs"], ["v1_f1", "v1_f2", "v2_f3"])
    write_scenes(tmp_path / "rd", SETS["rd"], ["v3_f4", "v2_f5"])
    disjoint(tmp_path).setup("fit")  # by their stems they are all different
    video = disjoint(tmp_path, scene=r"(v\d+)_")
    assert video.training_set("rs").ids == ["v1", "v1", "v2"]
    assert "share 1 scenes: v2" in message(tmp_path, scene=r"(v\d+)_")
    assert "does not match rs/v1_f1" in message(tmp_path, scene=r"(w\d+)")


def test_equal_names_may_be_different_scenes(tmp_path):
    for name, modalities in SETS.items():
        write_scenes(tmp_path / name, modalities, ["1"])
    Image.new("RGB", (12, 12), "red").save(tmp_path / "rd/rgb/1.png")
    assert "share 1 scenes: 1" in message(tmp_path)
    disjoint(tmp_path, scene="(.+)").setup("fit")


@pytest.mark.parametrize("part", ["rs/seg", "val/depth", "rd"])
def test_missing_and_empty_folders_are_named(root, part):
    shutil.rmtree(root / part)
    assert f"There is no folder {root / part}" in message(root)
    (root / part).mkdir()
    expected = f"There is no folder {root / part / 'rgb'}" if part == "rd" else "holds no files"
    assert expected in message(root)


def test_a_modality_of_no_set_is_not_needed(root):
    data = disjoint(root, modalities={**SPECS, "nir": {"channels": 1}})
    data.setup("fit")
    assert "nir" not in data.split("val").modalities


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sets": {"rs": ["rgb", "normals"]}}, "'normals'"),
        ({"sets": {"val": ["rgb"]}}, "called val"),
        ({"scene": "v1"}, "no group"),
        ({"scene": "(v"}, "no regular expression"),
        ({"image_size": 12, "load_size": 8}, "load_size 8"),
        ({"modalities": {"rgb": {"kind": "colour"}}}, "'colour'"),
    ],
)
def test_wrong_options_are_named(root, options, expected):
    assert expected in message(root, **options)


def test_a_missing_root_is_named(tmp_path):
    assert f"There is no folder {tmp_path / 'nowhere'}; give the one" in message(
        tmp_path / "nowhere"
    )


def test_a_file_is_decoded_again_only_when_its_content_is_new(root, monkeypatch):
    disjoint(root, in_memory=False).setup("fit")
    decoded = []
    plain = scenes.decode
    monkeypatch.setattr(scenes, "decode", lambda data, m: decoded.append(m.kind) or plain(data, m))
    disjoint(root, in_memory=False).setup("fit")
    assert decoded == []
    Image.fromarray(np.full((12, 12), 500, np.uint16)).save(root / "rd/depth/s12.png")
    disjoint(root, in_memory=False).setup("fit")
    assert decoded == ["depth"]


def test_what_was_allowed_under_another_declaration_is_judged_anew(root):
    disjoint(root).setup("fit")
    fewer = {**SPECS, "seg": {**SPECS["seg"], "label_map": {0: 0, 1: 1, 2: 2}}}
    assert "has the label 3; allowed are 0 to 2, 255" in message(root, modalities=fewer)


def test_a_file_that_vanishes_during_training_is_named(root):
    data = disjoint(root, in_memory=False)
    data.setup("fit")
    (root / "val/seg/s21.png").unlink()
    with pytest.raises(DataError, match=r"s21\.png could be read when it was checked"):
        data.split("val").fetch([0])
