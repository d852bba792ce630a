"""What one look at a file finds, which files are copies, and how labels are counted."""

import io

import numpy as np
import pytest
from PIL import Image

from datamodules.files.archives import Directory
from datamodules.inspection.copies import across, exact, near
from datamodules.inspection.layouts import read
from datamodules.inspection.looks import classes, look
from datamodules.inspection.readings import Folder
from datamodules.inspection.scenes import declared, kind_of


def encoded(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def photo(seed=0, size=(120, 90)):
    """Return a smooth random picture, as photos are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    ("mode", "form", "pixels"),
    [
        ("RGB", "JPEG", "RGB"),
        ("CMYK", "JPEG", "CMYK"),
        ("L", "JPEG", "grey"),
        ("1", "PNG", "grey"),
        ("P", "PNG", "palette"),
        ("RGBA", "PNG", "RGBA"),
        ("F", "TIFF", "float"),
    ],
)
def test_every_kind_is_named(mode, form, pixels):
    found = look("a", encoded(photo().convert(mode), form))
    assert (found.problem, found.pixels, found.size, found.flat) == (None, pixels, (120, 90), False)


def test_sixteen_bits_and_arrays():
    deep = Image.fromarray(np.arange(0, 60000, 100, dtype=np.uint16).reshape(20, 30))
    assert look("a.png", encoded(deep)).pixels == "16-bit grey"
    file = io.BytesIO()
    np.save(file, np.ones((20, 30)))
    assert look("a.npy", file.getvalue()).size == (30, 20)
    assert "is corrupt" in look("a.npy", file.getvalue()[:-9]).problem


def test_turned_photos_are_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = look("a.jpg", encoded(photo().rotate(90, expand=True), "JPEG", exif=exif, quality=95))
    upright = look("b.jpg", encoded(photo(), "JPEG", quality=95))
    assert (turned.turned, upright.turned) == (True, False)
    assert turned.size == upright.size == (120, 90)
    assert near([turned, upright]) == [["a.jpg", "b.jpg"]]


def test_a_cut_jpeg_is_corrupt_though_only_a_small_one_is_made_of_it():
    whole = encoded(photo(size=(800, 600)), "JPEG")
    assert look("a.jpg", whole).problem is None
    assert "is corrupt" in look("a.jpg", whole[: len(whole) // 2]).problem
    assert look("a.jpg", b"").problem == "is empty"


def test_copies_and_near_copies():
    looks = [look(f"{seed}.png", encoded(photo(seed))) for seed in range(20)]
    looks.append(look("copy.png", encoded(photo(3))))
    looks.append(look("small.jpg", encoded(photo(3).resize((60, 45)), "JPEG", quality=70)))
    looks.append(look("grey.png", encoded(photo(4).convert("L"))))
    assert exact(looks) == [["3.png", "copy.png"]]
    assert near(looks) == [["3.png", "small.jpg"]]
    owners = {each.name: "train" for each in looks} | {"small.jpg": "test"}
    assert across(near(looks), owners) == [["3.png", "small.jpg"]]
    assert across(exact(looks), owners) == []


def test_nearly_one_colour():
    nearly = np.full((40, 40, 3), 100, np.uint8)
    nearly[::2] += 5
    assert look("a.png", encoded(Image.fromarray(nearly))).flat
    nearly[0, 0] = 200
    assert not look("a.png", encoded(Image.fromarray(nearly))).flat


def maps(*arrays):
    return [
        look(f"{i}.png", encoded(Image.fromarray(np.array(array, np.uint8))))
        for i, array in enumerate(arrays)
    ]


def test_label_ids_are_counted_and_255_ignored():
    assert classes(maps([[0, 1], [2, 255]], [[0, 1], [1, 1]])) == {
        0: ["0.png", "1.png"], 1: ["0.png", "1.png"], 2: ["0.png"],
    }  # fmt: skip
    assert list(classes(maps([[0, 255]]))) == [0, 255]  # a mask of two
    assert classes([look("a.jpg", encoded(photo(), "JPEG"))]) is None


def test_labels_become_classes():
    assert declared("m", "labels", maps([[0, 1], [2, 255]]))[0] == {"kind": "labels", "channels": 3}
    two = declared("m", "labels", maps([[0, 255]]))[0]
    assert two == {"kind": "labels", "channels": 2, "label_map": {0: 0, 255: 1}}
    gaps = declared("m", "labels", maps([[7, 11]], [[11, 23]]))[0]
    assert gaps == {"kind": "labels", "channels": 3, "label_map": {7: 0, 11: 1, 23: 2}}


def test_an_id_out_of_range_is_named_and_ignored():
    spec, notes = declared("m", "labels", maps(*[[[0, 1, 2]]] * 14, [[0, 1, 40]]))
    assert spec["channels"] == 3
    assert spec["label_map"] == {0: 0, 1: 1, 2: 2, 40: 255}
    assert "m has the label 40 in 1 of 15 files: 14.png; proposed: ignore it" in notes


def test_what_is_called_labels_or_depth_and_is_neither_is_told():
    photos = [look("a.jpg", encoded(photo(), "JPEG"))]
    for name, sentence in (("masks", "labels are PNGs"), ("depth", "depth has 16 bits")):
        assert kind_of(name, photos) == "image"
        spec, (note,) = declared(name, "image", photos)
        assert spec == {}
        assert sentence in note


def test_kinds_of_folders():
    assert kind_of("x", maps([[0, 1], [2, 3]])) == "labels"
    assert kind_of("edges", maps([[0, 255]])) == "image"
    assert kind_of("mask", maps([[0, 255]])) == "labels"
    deep = Image.fromarray(np.arange(0, 60000, 100, dtype=np.uint16).reshape(20, 30))
    assert kind_of("z", [look("a.png", encoded(deep))]) == "depth"


def write(root, name, image):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(image))


def reading(root):
    source = Directory(root)
    return read(Folder(root, source, [look(name, source.read(name)) for name in source.names]))


def test_numbered_classes_are_no_pairs(tmp_path):
    for seed in range(8):
        write(tmp_path, f"{['cat', 'dog'][seed % 2]}/{seed // 2}.png", photo(seed))
    assert reading(tmp_path).task == "classes"
    for name in ("cat", "dog"):
        (tmp_path / name).rename(tmp_path / {"cat": "photo", "dog": "sketch"}[name])
    assert reading(tmp_path).pair == ("photo", "sketch")


def test_missing_partners_and_unlike_sizes_are_to_be_mended(tmp_path):
    for seed in range(6):
        write(tmp_path, f"train/a/{seed}.png", photo(seed))
        if seed:
            write(tmp_path, f"train/b/{seed}.png", photo(seed + 10, (120, 90 + (seed == 5))))
    assert list(reading(tmp_path).mend) == [
        "train/a/0.png has no partner in train/b",
        "train/a/5.png and train/b/5.png are not of one size",
    ]


def test_disjoint_sets(tmp_path):
    for number, (part, names) in enumerate({"rs": "rgb seg", "rd": "rgb depth"}.items()):
        for name in names.split():
            for seed in range(3):
                write(tmp_path, f"{part}/{name}/{part}{seed}.png", photo(seed + 10 * number))
    found = reading(tmp_path)
    assert found.data == "Disjoint"
    assert found.options["sets"] == {"rd": ["depth", "rgb"], "rs": ["rgb", "seg"]}


def test_a_table_names_what_is_missing(tmp_path):
    for seed in range(4):
        write(tmp_path, f"{seed}.png", photo(seed))
    rows = ["file,hat", *(f"{seed}.png,{seed % 2}" for seed in (0, 1, 2, 2, 9))]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    assert list(reading(tmp_path).mend) == [
        "labels.csv names 9.png, which is missing",
        "labels.csv has several rows of 2.png",
        "labels.csv has no row of 3.png",
    ]


def test_folders_beside_train_are_told_and_not_taken_for_classes(tmp_path):
    for seed, name in enumerate(("train/1", "train/2", "valid/3", "test/4")):
        write(tmp_path, f"{name}.png", photo(seed))
    found = reading(tmp_path)
    assert found.options["root"] == str(tmp_path / "train")
    assert found.options["test_root"] == str(tmp_path / "test")
    assert found.notes == ["valid is not read: only train, val, test are"]


def test_only_what_has_one_colour_is_refused(tmp_path):
    for seed in range(3):
        write(tmp_path, f"trainA/{seed}.png", photo(seed))
        write(tmp_path, f"trainB/{seed}.png", photo(seed + 3))
    write(tmp_path, "trainA/red.png", Image.new("RGB", (20, 20), "red"))
    nearly = Image.new("RGB", (20, 20), "red")
    nearly.putpixel((3, 3), (250, 0, 0))
    write(tmp_path, "trainA/nearly.png", nearly)
    assert list(reading(tmp_path).mend) == ["trainA/red.png is of one colour"]
