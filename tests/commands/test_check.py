"""The check says what a folder is, and the command that it prints trains on that folder."""

import json
import os
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scene_trees import write_image, write_scenes

from lit_synth.cli import main

CONFIGS = Path(__file__).parent.parent.parent / "configs"
SMALL = {
    "scratch": ["generator.init_args.width=4", "critic.init_args.width=4", "n_critic=1"],
    "transfer_acgan": ["generator.init_args.width=4", "critic.init_args.width=4", "n_critic=1"],
    "cyclegan": [
        f"{network}={value}"
        for d in "ab"
        for network, value in (
            (f"generator_{'ab' if d == 'a' else 'ba'}.init_args.width", "4"),
            (f"generator_{'ab' if d == 'a' else 'ba'}.init_args.n_blocks", "1"),
            (f"discriminator_{d}.init_args.widths", "[4, 8]"),
        )
    ],
    "pix2pix": ["generator.init_args.width=4", "discriminator.init_args.widths=[4, 8]"],
    "sdit": ["generator.init_args.width=4", "discriminator.init_args.width=4"],
}
STAGES = "[{name: all, iterations: 2}]"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path_factory.mktemp("cache")))


def images(folder, n, first=0, suffix=".png", size=(36, 34)):
    for seed in range(first, first + n):
        write_image(folder / f"{seed}{suffix}", seed, size)


def plain(root):
    images(root / "holiday", 12)
    images(root, 12, 12, ".jpg")
    (root / "readme.txt").write_text("Holiday pictures.")
    return "Unconditional", "scratch", "images in nested folders"


def grey(root):
    for seed in range(40):
        pixels = np.random.default_rng(seed).integers(0, 256, (28, 28), dtype=np.uint8)
        root.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(root / f"{seed}.png")
    return "Unconditional", "scratch", "images"


def class_folders(root):
    for number, name in enumerate(("cat", "dog")):
        images(root / name, 20, 20 * number)
    return "Unconditional", "transfer_acgan", "2 class folders: cat, dog"


def stylegan_zip(root):
    images(root / "raw", 30)
    with zipfile.ZipFile(root / "set.zip", "w") as archive:
        names = [f"00000/{seed}.png" for seed in range(30)]
        for seed, name in enumerate(names):
            archive.write(root / f"raw/{seed}.png", name)
        labels = [[name, seed % 3] for seed, name in enumerate(names)]
        archive.writestr("dataset.json", json.dumps({"labels": labels}))
    return "Unconditional", "transfer_acgan", "labels in dataset.json, 3 classes"


def lettered(root):
    for number, part in enumerate(("trainA", "trainB", "testA", "testB")):
        images(root / part, 3, 3 * number)
    return "Unpaired", "cyclegan", "2 domains without partners: A, B"


def several_domains(root):
    for number, name in enumerate(("cat", "dog", "fox")):
        images(root / "train" / name, 4, 4 * number, size=(70, 66))
    return "Unpaired", "sdit", "3 domains without partners: cat, dog, fox"


def side_by_side(root):
    images(root / "train", 4, size=(72, 36))
    images(root / "val", 2, 4, size=(72, 36))
    return "Paired", "pix2pix", "pairs side by side"


def paired_folders(root):
    for number, (part, name) in enumerate((p, n) for p in ("train", "val") for n in "ab"):
        images(root / part / name, 3)
        for place, file in enumerate((root / part / name).iterdir()):
            write_image(file, 10 * number + place, (36, 36))
    return "Paired", "pix2pix", "pairs of equal names: a, b"


def masks(root):
    write_scenes(root, ["rgb", "seg"], [f"s{i}" for i in range(4)], (36, 36))
    (root / "rgb").rename(root / "images")
    (root / "seg").rename(root / "masks")
    return "Disjoint", "pix2pix", "pairs of equal names: images, masks (labels)"


def depth(root):
    write_scenes(root / "train", ["rgb", "depth"], [f"s{i}" for i in range(4)], (36, 36))
    return "Paired", "pix2pix", "pairs of equal names: depth (depth), rgb"


def table(root):
    images(root / "img", 60)
    rows = [f"{seed}.png,{seed % 2},{int(seed % 3 == 0)},{seed}" for seed in range(60)]
    (root / "people.csv").write_text("\n".join(["name,smile,hat,id", *rows]) + "\n")
    return "Attributes", "sdit", "images with a table, people.csv: attributes smile, hat"


def celeba(root):
    images(root / "img_align_celeba", 60, suffix=".jpg")
    rows = [f"{s}.jpg {1 - 2 * (s % 2)} {1 - 2 * (s % 3 == 0)}" for s in range(60)]
    (root / "list_attr_celeba.txt").write_text("\n".join(["60", "Male Young", *rows]) + "\n")
    parts = [f"{s}.jpg {0 if s < 30 else 1 + s % 2}" for s in range(60)]
    (root / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    return "Attributes", "sdit", "CelebA with 2 attributes"


LAYOUTS = (
    plain, grey, class_folders, stylegan_zip, lettered, several_domains, side_by_side,
    paired_folders, masks, depth, table, celeba,
)  # fmt: skip


def checked(capsys, *argv):
    capsys.readouterr()
    assert main(["check", *map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_each_layout_is_known_and_its_command_trains(layout, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my data"  # a space has to be quoted
    folder.mkdir()
    data, config, what = layout(folder)
    root = "my data/set.zip" if layout is stylegan_zip else "my data"
    found = checked(capsys, root)
    assert what in found["what"]
    assert found["mend"] == []
    assert found["data"]["class_path"] == data
    words = shlex.split(found["command"])
    assert words[:4] == ["lit-synth", "fit", "--config", f"configs/{config}.yaml"]
    os.symlink(CONFIGS, "configs")
    small = [word for each in SMALL[config] for word in f"--model.init_args.{each}".split("=")]
    code = main([
        *words[1:], *small, "--model.init_args.stages", STAGES, "--trainer.accelerator", "cpu",
        "--trainer.logger", "false", "--samples.n", "4", "--evaluate.every_n_iterations", "null",
    ])  # fmt: skip
    assert code == 0, capsys.readouterr().err
    (run,) = Path("runs", config).iterdir()
    assert (run / "release").is_dir()


def test_what_is_wrong_is_named(tmp_path, capsys):
    lettered(tmp_path)
    (tmp_path / "testB/copy.png").write_bytes((tmp_path / "trainA/1.png").read_bytes())
    (tmp_path / "trainB/broken.jpg").write_bytes(b"no image")
    Image.new("RGB", (32, 32), "red").save(tmp_path / "trainB/red.png")
    (tmp_path / "trainB/notes.txt").touch()
    found = checked(capsys, tmp_path)
    assert found["leaks"] == [["trainA/1.png", "testB/copy.png"]]
    assert found["nearly_one_colour"] == ["trainB/red.png"]
    assert found["skipped"] == ["trainB/notes.txt"]
    assert "trainB/broken.jpg is not an image" in found["mend"]
    assert "trainB/red.png is of one colour" in found["mend"]
    assert any("keep one" in each for each in found["mend"])
    assert main(["check", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "Mend first, a run would refuse it (3):" in out
    assert out.count("lit-synth fit") == 1
    assert len(out.splitlines()) < 40


@pytest.mark.parametrize("content", ["missing", "empty", "only others", "only broken"])
def test_nothing_usable_is_one_sentence(tmp_path, capsys, content):
    folder = tmp_path / "data"
    if content != "missing":
        folder.mkdir()
    if content == "only others":
        (folder / "notes.txt").touch()
    if content == "only broken":
        (folder / "a.png").write_bytes(b"no image")
    assert main(["check", str(folder)]) == 2
    err = capsys.readouterr().err
    said = {
        "missing": "does not exist",
        "empty": "holds no image that can be read, nothing",
        "only others": "only notes.txt",
        "only broken": "only a.png is not an image",
    }
    assert said[content] in err
    assert err.count("\n") == 1


def test_a_sheet_is_written_only_where_it_is_asked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    masks(tmp_path / "data")
    assert main(["check", "data"]) == 0
    assert [each.name for each in tmp_path.iterdir()] == ["data"]
    assert main(["check", "data", "--sheet", "out/sheet.png"]) == 0
    assert "Examples: out/sheet.png" in capsys.readouterr().out
    sheet = np.asarray(Image.open("out/sheet.png"))
    assert len(np.unique(sheet[sheet.shape[0] // 2 + 20 :, :96].reshape(-1, 3), axis=0)) > 3


def test_too_much_for_memory_asks_for_workers(tmp_path, capsys, monkeypatch):
    from datamodules.inspection import report

    plain(tmp_path)
    assert "num_workers" not in checked(capsys, tmp_path)["data"]["init_args"]
    monkeypatch.setattr(report, "IN_MEMORY_BYTES", 1000)
    found = checked(capsys, tmp_path)
    assert found["data"]["init_args"]["num_workers"] == report.workers()
    assert found["decoded_mib"] == round(24 * 3 * 32**2 / 2**20, 1)
