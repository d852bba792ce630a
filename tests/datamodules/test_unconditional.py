"""Folders and archives: formats, labels, splits, sizes, and one error that names every bad file."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.errors import DataError
from datamodules.files import images
from datamodules.unconditional import Unconditional, held_out


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path_factory.mktemp("cache")))


def picture(seed=0, size=(12, 9), mode="RGB"):
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    return Image.fromarray(values, "RGBA" if mode == "RGBA" else None).convert(mode)


def save(path, image=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or picture(abs(hash(path.name)) % 999)).save(path, **options)
    return path


def everything(root, **options):
    """Return the training split with all images of the root."""
    options = {"image_size": 8, "val_fraction": 0, "test_fraction": 0, **options}
    return Unconditional(str(root), **options).split("train")


def message(root, **options):
    with pytest.raises(DataError) as caught:
        everything(root, **options)
    return str(caught.value)


def test_nested_folders_of_mixed_formats_and_sizes(tmp_path):
    for i, name in enumerate(["a.png", "deep/er/b.jpg", "deep/c.bmp", "d.webp", "e.gif", "f.tiff"]):
        save(tmp_path / name, picture(i, (10 + i, 20 - i)))
    save(tmp_path / ".hidden.png")
    (tmp_path / "Thumbs.db").write_bytes(b"clutter")
    batch = everything(tmp_path).fetch(range(6))
    assert batch["image"].shape == (6, 3, 8, 8)
    assert batch["image"].dtype == torch.float32
    assert batch["image"].abs().max() <= 1
    assert "label" not in batch


def test_crop_takes_the_centre_and_stretch_the_whole(tmp_path):
    stripes = Image.new("RGB", (24, 8), "black")
    stripes.paste("white", (8, 0, 16, 8))
    save(tmp_path / "wide.png", stripes)
    assert everything(tmp_path, resize="crop").fetch([0])["image"].min() == 1
    stretched = everything(tmp_path, resize="stretch").fetch([0])["image"]
    assert stretched[..., 0].max() < -0.9
    assert stretched[..., 4].min() > 0.9


def test_an_image_of_the_right_size_is_untouched(tmp_path):
    image = picture(size=(8, 8))
    save(tmp_path / "a.png", image)
    pixels = ((everything(tmp_path).fetch([0])["image"][0] + 1) * 127.5).round()
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), np.asarray(image))


def test_downsizing_is_antialiased(tmp_path):
    fine = Image.fromarray((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8))
    save(tmp_path / "board.png", fine)
    assert everything(tmp_path, channels=1).fetch([0])["image"].abs().max() < 0.1


def test_photos_are_turned_upright(tmp_path):
    image = Image.new("RGB", (16, 16), "black")
    image.paste("white", (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    save(tmp_path / "a.jpg", image, exif=exif)
    upright = everything(tmp_path).fetch([0])["image"][0]
    assert upright[:, 0].max() < -0.9 < 0.9 < upright[:, -1].min()


@pytest.mark.parametrize("mode", ["1", "L", "RGBA", "LA", "P", "CMYK", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_pixels_is_converted(tmp_path, mode, channels):
    image = (
        Image.new("I;16", (8, 8), 65535) if mode == "I;16" else Image.new("RGB", (8, 8), "white")
    )
    save(tmp_path / "a.tiff", image if mode == "I;16" else image.convert(mode))
    assert torch.equal(
        everything(tmp_path, channels=channels).fetch([0])["image"], torch.ones(1, channels, 8, 8)
    )


def test_transparent_pixels_show_white(tmp_path):
    save(tmp_path / "a.png", Image.new("RGBA", (8, 8), (255, 0, 0, 0)))
    assert everything(tmp_path).fetch([0])["image"].min() == 1


def test_one_error_names_every_bad_file(tmp_path):
    for i in range(3):
        save(tmp_path / f"good{i}.png")
    whole = save(tmp_path / "x/cut.jpg", picture(size=(64, 64))).read_bytes()
    (tmp_path / "x/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes.txt").write_text("not pixels")
    save(tmp_path / "grey.png", picture(mode="L"))
    save(tmp_path / "float.tiff", Image.new("F", (8, 8)))
    error = message(tmp_path)
    assert "5 of 8 files cannot be used" in error
    assert "empty.png is empty" in error
    assert "notes.txt is not an image" in error
    assert "x/cut.jpg is corrupt (" in error
    assert "float.tiff has floating-point pixels" in error
    assert "grey.png is grey among colour images" in error
    assert "set on_mismatch: convert" in error
    assert "remove or replace the unreadable ones" in error
    assert "good" not in error


def test_the_list_of_bad_files_ends_with_a_count(tmp_path):
    for i in range(23):
        (tmp_path / f"{i:02d}.png").touch()
    error = message(tmp_path)
    assert error.count("is empty") == 20
    assert error.endswith("and 3 more")


def test_mismatches_can_be_converted(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "b.png", picture(mode="L"))
    assert "1 of 2" in message(tmp_path)
    assert everything(tmp_path, on_mismatch="convert").fetch([0, 1])["image"].shape[1] == 3


def test_class_folders(tmp_path):
    for name in ("dog/1.png", "dog/old/2.png", "cat/3.png"):
        save(tmp_path / name)
    data = Unconditional(
        str(tmp_path), 8, labels="folders", val_fraction=0, test_fraction=0, batch_size=3
    )
    assert (data.class_names, data.num_classes) == (["cat", "dog"], 2)
    assert data.split("train").fields["label"].tolist() == [0, 1, 1]
    assert data.describe()["splits"]["train"]["per_class"] == {"cat": 1, "dog": 2}
    (tmp_path / "fish").mkdir()
    assert "class folder fish holds no images" in message(tmp_path, labels="folders")
    save(tmp_path / "loose.png")
    assert "loose.png lies outside" in message(tmp_path, labels="folders")


def archive(path, labels, names=("00000/a.png", "00000/b.png", "00001/c.png")):
    with zipfile.ZipFile(path, "w") as target:
        for i, name in enumerate(names):
            data = io.BytesIO()
            picture(i, (8, 8)).save(data, "png")
            target.writestr(name, data.getvalue())
        if labels != "absent":
            target.writestr("dataset.json", json.dumps(labels))
    return path


def test_stylegan_zip_with_labels(tmp_path):
    labels = [["00000/b.png", 2], ["00000/a.png", 0], ["00001/c.png", 2]]
    path = archive(tmp_path / "set.zip", {"labels": labels})
    split = everything(path)
    assert split.fields["label"].tolist() == [0, 2, 2]
    expected = torch.from_numpy(np.array(picture(1, (8, 8)))).permute(2, 0, 1)
    assert torch.equal(split.pixels[1], expected)
    assert "label" not in everything(path, labels="none").fields


def test_zip_workers_and_memory_agree(tmp_path):
    path = archive(tmp_path / "set.zip", {"labels": None})
    lazy = Unconditional(str(path), 8, in_memory=False, num_workers=2, batch_size=5,
                         val_fraction=0, test_fraction=0)  # fmt: skip
    eager = Unconditional(str(path), 8, batch_size=5, val_fraction=0, test_fraction=0)
    batches = zip(lazy.train_dataloader(), eager.train_dataloader(), strict=False)
    for _, (a, b) in zip(range(3), batches, strict=False):
        assert all(torch.equal(a[key], b[key]) for key in ("image", "index"))
    assert lazy.describe() == eager.describe()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("absent", "dataset.json is missing"),
        ({"labels": None}, "has no labels"),
        ({"tags": []}, "not of the form"),
        ({"labels": [["00000/a.png"]]}, "not of the form"),
        ({"labels": [["00000/a.png", 0.5]]}, "the label 0.5"),
        ({"labels": [["00000/a.png", -1]]}, "the label -1"),
        ({"labels": [["00000/a.png", 1]]}, "no label for 00000/b.png"),
    ],
)
def test_bad_label_files_are_explained(tmp_path, labels, expected):
    assert expected in message(archive(tmp_path / "set.zip", labels), labels="dataset.json")


def test_missing_empty_and_broken_roots(tmp_path):
    assert "does not exist" in message(tmp_path / "nowhere")
    (tmp_path / "void").mkdir()
    assert "holds no files" in message(tmp_path / "void")
    (tmp_path / "bad.zip").write_bytes(b"PK nonsense")
    assert "not a readable zip" in message(tmp_path / "bad.zip")


def test_nothing_moves_between_splits_when_files_are_added(tmp_path):
    def where(data):
        return {v.name: data._split_of(v) for v in data._scanned(str(tmp_path))[1]}

    for i in range(40):
        save(tmp_path / f"{i:02d}.png", picture(i))
    before = where(Unconditional(str(tmp_path), 8, val_fraction=0.2, test_fraction=0.2))
    for i in range(40, 60):
        save(tmp_path / f"0{i}.png", picture(i))  # sorts before the rest
    after = where(Unconditional(str(tmp_path), 8, val_fraction=0.2, test_fraction=0.2))
    assert set(before.values()) == {"train", "val", "test"}
    assert {name: after[name] for name in before} == before


def test_splits_cover_all_images_and_duplicates_stay_together(tmp_path):
    for i in range(30):
        save(tmp_path / f"{i}.png", picture(i))
        save(tmp_path / f"copy/{i}.png", picture(i))
    data = Unconditional(str(tmp_path), 8, val_fraction=0.3, test_fraction=0.3)
    splits = [data.split(name) for name in ("train", "val", "test")]
    assert sum(len(split) for split in splits) == 60
    contents = [{bytes(p.numpy()) for p in split.pixels} for split in splits]
    assert sum(len(content) for content in contents) == 30


def test_fractions_are_kept_in_the_long_run():
    names = [held_out(str(i), 0.1, 0.2, seed=0) for i in range(5000)]
    assert abs(names.count("val") / 5000 - 0.1) < 0.015
    assert abs(names.count("test") / 5000 - 0.2) < 0.02
    assert names != [held_out(str(i), 0.1, 0.2, seed=1) for i in range(5000)]


def test_own_roots_leave_the_training_images_whole(tmp_path):
    for i in range(6):
        save(tmp_path / f"train/{'ab'[i % 2]}/{i}.png", picture(i))
    save(tmp_path / "val/b/9.png", picture(9))
    data = Unconditional(
        str(tmp_path / "train"),
        8,
        labels="folders",
        val_root=str(tmp_path / "val"),
        test_fraction=0,
    )
    assert [len(data.split(name)) for name in ("train", "val")] == [6, 1]
    assert data.split("val").fields["label"].tolist() == [1]
    assert not data.has_split("test")
    with pytest.raises(DataError, match="test_fraction is 0; raise it or give test_root"):
        data.split("test")
    save(tmp_path / "val/c/10.png")
    with pytest.raises(DataError, match="of class c, which the training images lack"):
        Unconditional(
            str(tmp_path / "train"), 8, labels="folders", val_root=str(tmp_path / "val")
        ).split("val")


def test_fractions_that_leave_nothing_are_refused(tmp_path):
    with pytest.raises(DataError, match="leave some images to train on"):
        Unconditional(str(tmp_path), 8, val_fraction=0.5, test_fraction=0.5)
    save(tmp_path / "only.png", picture(0))
    name = held_out(images.scan(folders_source(tmp_path))[0].sha256, 0.4, 0.4, 0)
    absent = next(n for n in ("train", "val", "test") if n != name)
    with pytest.raises(DataError, match=f"has 1 images and none falls to {absent}"):
        Unconditional(str(tmp_path), 8, val_fraction=0.4, test_fraction=0.4).split(absent)


def folders_source(root: Path):
    from datamodules.files.archives import open_source

    return open_source(root)


def test_a_second_scan_decodes_only_what_is_new(tmp_path, monkeypatch):
    save(tmp_path / "a.png", picture(0))
    first = images.scan(folders_source(tmp_path))
    decoded = []
    monkeypatch.setattr(images, "open_image", lambda data: decoded.append(data) or picture())
    assert images.scan(folders_source(tmp_path)) == first
    assert decoded == []
    added = save(tmp_path / "b.png", picture(1)).read_bytes()
    images.scan(folders_source(tmp_path))
    assert decoded == [added]


def test_the_hash_follows_content_size_and_labels_not_names(tmp_path):
    save(tmp_path / "one/a/x.png", picture(0))
    save(tmp_path / "two/a/y.png", picture(0))
    save(tmp_path / "three/a/x.png", picture(1))
    hashes = [everything(tmp_path / name).sha256 for name in ("one", "two", "three")]
    assert hashes[0] == hashes[1] != hashes[2]
    assert everything(tmp_path / "one", image_size=16).sha256 != hashes[0]
    assert everything(tmp_path / "one", labels="folders").sha256 != hashes[0]


def test_a_file_lost_during_training_is_named(tmp_path):
    save(tmp_path / "a.png", picture(0))
    split = everything(tmp_path, in_memory=False)
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.png could be read when training began"):
        split.fetch([0])


def test_links_that_loop_end(tmp_path):
    save(tmp_path / "a/1.png")
    (tmp_path / "a/again").symlink_to(tmp_path, target_is_directory=True)
    assert len(everything(tmp_path)) == 1
