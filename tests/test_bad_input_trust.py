"""Releases, archives, plans and checkpoints of strangers: one sentence each, and bounded costs."""

import os
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
import torch
import yaml
from bad_input import BOMB, fit, refused, unconditional, write_config, write_images

from datamodules.errors import DataError
from datamodules.files import archives
from datamodules.files.archives import open_source
from datamodules.files.decoding import UnreadableError
from datamodules.unconditional import Unconditional
from lit_synth.cli import main
from lit_synth.errors import InputError
from lit_synth.releases import format
from lit_synth.releases.format import load_release


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path_factory.mktemp("cache")))


# Releases.

SMALL = "lit_synth.networks.small."


def network(class_path=SMALL + "SmallCritic", **init_args):
    return {"networks": {"critic": {"class_path": class_path, "init_args": init_args}}}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([1, 2], "holds a list"),
        (None, "holds nothing"),
        ({"lit_synth_release": 2}, "not a release of format 1"),
        ({"networks": None}, "is damaged at 'networks'"),
        ({"networks": {}}, "is damaged at 'networks'"),
        ({"networks": [1]}, "is damaged at 'networks'"),
        ({"networks": {"critic": 1}}, "is damaged at 'critic'"),
        ({"networks": {"critic": {"class_path": SMALL}}}, "is damaged at 'critic'"),
        ({"networks": {"critic": {"class_path": 1, "init_args": {}}}}, "is damaged at 'critic'"),
        ({"networks": {"critic": {"class_path": "a.b", "init_args": [1]}}}, "is damaged at"),
        ({"networks": {1: {"class_path": "a.b", "init_args": {}}}}, "is damaged at"),
        ({"extra": [1]}, "is damaged at"),
        (network("SmallCritic"), "only classes of lit_synth.networks"),
        (network("lit_synth.networks_evil.Net"), "only classes of lit_synth.networks"),
        (network("lit_synth.networksmall.Net"), "only classes of lit_synth.networks"),
        (network(SMALL + "Nobody"), "but there is none"),
        (network("lit_synth.networks.nowhere.Net"), "but there is none"),
        (network("lit_synth.networks.small"), "is not a network"),
        (network(SMALL + "records_init_args"), "is not a network"),
        (network(size=1, nobody=2), "arguments with which it cannot be built"),
        (network(width="four"), "arguments with which it cannot be built"),
        (network(width=-1), "arguments with which it cannot be built"),
        (network(width=16), "do not fit"),
    ],
    ids=lambda each: str(each)[-40:],
)
def test_a_damaged_release_is_one_sentence(workdir, changes, reason):
    shutil.copytree((workdir / "sources/plain").resolve(), workdir / "bad")
    path = workdir / "bad/config.yaml"
    whole = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**whole, **changes} if isinstance(changes, dict) else changes))
    with pytest.raises(InputError, match=reason) as error:
        load_release("bad")
    assert "\n" not in str(error.value)


def touch_marker():
    Path("marker").touch()


def test_only_networks_are_called(workdir, monkeypatch):
    """A function of a trusted package is refused before it is called."""
    monkeypatch.setenv(format.TRUST, __name__)
    shutil.copytree((workdir / "sources/plain").resolve(), workdir / "bad")
    path = workdir / "bad/config.yaml"
    config = yaml.safe_load(path.read_text()) | network(f"{__name__}.touch_marker")
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match="is not a network"):
        load_release("bad")
    assert not Path("marker").exists()


# Archives and folders of images.


def zipped(folder, **options):
    """Write some images to an archive, and return it."""
    path = folder / "images.zip"
    with zipfile.ZipFile(path, "w", **options) as archive:
        for image in sorted(write_images(folder / "images").iterdir()):
            archive.write(image, image.name)
    return path


def scanned(root):
    """Read all images of a folder or archive; return the error that names the bad ones."""
    with pytest.raises(DataError) as error:
        Unconditional(str(root), image_size=8, channels=1).split("train")
    return str(error.value)


def patched(path, found, replaced):
    """Replace bytes of a file, once for each header of an entry."""
    data = path.read_bytes()
    assert found in data
    path.write_bytes(data.replace(found, replaced))


def test_bad_crc(workdir):
    path = zipped(workdir)
    image = (workdir / "images/L3.png").read_bytes()
    patched(path, struct.pack("<I", zlib.crc32(image)), b"\0\0\0\0")
    said = scanned(path)
    assert "1 of 8 files" in said
    assert "L3.png cannot be unpacked (Bad CRC-32" in said


def headers(data):
    """Yield where the flags of each entry lie."""
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(signature)
        while start >= 0:
            yield start + offset
            start = data.find(signature, start + 1)


@pytest.mark.parametrize(
    ("offset", "value", "reason"), [(0, 1, "encrypted"), (2, 77, "compression method")]
)
def test_encryption_and_unknown_compression(workdir, offset, value, reason):
    path = zipped(workdir)
    data = bytearray(path.read_bytes())
    for start in headers(bytes(data)):
        data[start + offset] = value
    path.write_bytes(data)
    said = scanned(path)
    assert "8 of 8 files" in said
    assert reason in said


@pytest.mark.parametrize(
    ("kind", "most", "lies"),
    [
        (zipfile.ZIP_BZIP2, 2**20, False),
        (zipfile.ZIP_DEFLATED, 2**20, False),
        (zipfile.ZIP_DEFLATED, 2**20, True),
        (zipfile.ZIP_DEFLATED, archives.MOST_BYTES, False),
    ],
)
def test_a_zip_bomb_is_not_unpacked(workdir, monkeypatch, kind, most, lies):
    """Not even where the archive tells that an entry is small."""
    monkeypatch.setattr(archives, "MOST_BYTES", most)
    path, mib = workdir / "bomb.zip", 96
    with zipfile.ZipFile(path, "w", kind) as archive, archive.open("a.png", "w") as entry:
        for _ in range(mib):
            entry.write(bytes(2**20))
    if lies:
        patched(path, struct.pack("<I", mib * 2**20), struct.pack("<I", 1000))
    source = open_source(path)
    peak_kb()
    before = peak_kb()
    with pytest.raises(UnreadableError, match=r"96 MiB, more|cannot be unpacked|100 times"):
        source.read("a.png")
    assert peak_kb() - before < 16 * 2**10


def peak_kb():
    """Return the memory of this process now, after its peak was set back."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return int(status.split("VmHWM:")[1].split()[0])


def test_an_image_of_too_many_pixels(workdir):
    """A PNG of 30,000 by 30,000 pixels is some kilobytes."""
    write_images(workdir / "images")
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    (workdir / "images/huge.png").write_bytes(png)
    smaller = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 0, 0, 0, 0)
    crc = [struct.pack(">I", zlib.crc32(b"IHDR" + each)) for each in (header, smaller)]
    (workdir / "images/large.png").write_bytes(png.replace(header, smaller).replace(crc[0], crc[1]))
    said = scanned(workdir / "images")
    assert "huge.png has more than the 89478485 pixels that are decoded" in said
    assert "large.png has more than the 89478485 pixels that are decoded" in said


def test_what_is_no_file(workdir, capsys):
    """A pipe, which nobody writes to, and links that lead nowhere, round and up."""
    folder = write_images(workdir / "images")
    os.mkfifo(folder / "pipe.png")
    (folder / "round.png").symlink_to("round.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "up").symlink_to(".")
    config = write_config(workdir, data=unconditional(folder))
    said = refused(capsys, *fit(config), lines=4)
    assert "pipe.png is no regular file" in said
    assert "round.png cannot be read (Too many levels of symbolic links)" in said
    assert "gone.png cannot be read (No such file or directory)" in said
    os.mkfifo(workdir / "data")
    assert "data is no folder or file" in scanned(workdir / "data")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"labels": [["L0.png", 1000000000]]}', "give whole numbers from 0 to 99999"),
        ('{"labels": ' + "[" * 10**5, "is not of the form"),
        ("\x00\x01", "is not of the form"),
        ("[]", "is not of the form"),
    ],
    ids=["number", "depth", "binary", "list"],
)
def test_labels_in_a_file(workdir, content, reason):
    folder = write_images(workdir / "images")
    (folder / "dataset.json").write_text(content)
    with pytest.raises(DataError, match=reason):
        Unconditional(str(folder), image_size=8, channels=1).split("train")


# Configurations and plans.


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (BOMB, "stand for more than 100000 values"),
        ("", "holds nothing"),
        ("- 1\n", "holds a list"),
        ("\x00\x01", "cannot be read"),
        ("a: " + "[" * 10**4, "nested more than 50 deep"),
    ],
    ids=["bomb", "empty", "list", "binary", "deep"],
)
def test_hostile_yaml(workdir, capsys, content, reason):
    Path("bad.yaml").write_text(content)
    assert reason in refused(capsys, *fit("bad.yaml"))
    assert reason in refused(capsys, "study", "run", "bad", "--studies", ".")
    config = write_config(workdir)
    if reason.startswith(("stand", "nested")):  # of the others, jsonargparse has its own sentences
        assert reason in refused(capsys, *fit(config), "--data", "bad.yaml")
        assert reason in refused(capsys, *fit(config), "--model.init_args.stages", content)
    settings = yaml.safe_load(config.read_text()) | {"prepare": {"p": "bad.yaml"}}
    settings["out"] = "$prepare.p"
    config.write_text(yaml.safe_dump(settings))
    assert reason in refused(capsys, *fit(config))
    shutil.copytree((workdir / "sources/plain").resolve(), workdir / "bad")
    (workdir / "bad/config.yaml").write_text(content)
    with pytest.raises(InputError, match=reason):
        load_release("bad")


# Checkpoints.


def without_optimizers(state):
    state["optimizer_states"] = []


def without_groups(state):
    state["optimizer_states"] = [{}, {}]


def without_moments(state):
    for each in state["optimizer_states"]:
        each["state"] = {}


def with_one_optimizer(state):
    del state["optimizer_states"][0]


def without_loops(state):
    state["loops"] = {}


def at_another_iteration(state):
    state["iteration"] = 1


def without_number(state):
    state["iteration"] = None


def without_rng(state):
    del state["rng"]


def with_text_for_rng(state):
    state["rng"] = torch.ones(3)


def without_tracked(state):
    del state["tracked"]


def of_another_architecture(state):
    name = next(iter(state["state_dict"]))
    state["state_dict"][name] = torch.zeros(2, 3)


def with_text_for_a_tensor(state):
    name = next(iter(state["state_dict"]))
    state["state_dict"][name] = "text"


def without_weights(state):
    state["state_dict"] = {}


SPOILT = [
    *(without_optimizers, without_groups, without_moments, with_one_optimizer, without_loops),
    *(at_another_iteration, without_number, without_rng, with_text_for_rng, without_tracked),
    *(of_another_architecture, with_text_for_a_tensor, without_weights),
]


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_checkpoint_that_cannot_be_gone_on_from(saved, workdir, capsys, spoil):
    last = saved / "checkpoints/last.ckpt"
    state = torch.load(last, weights_only=True)
    spoil(state)
    torch.save(state, last)
    config = write_config(workdir)
    said = refused(capsys, *fit(config, "--ckpt_path", "last"))
    assert "--ckpt_path last cannot be used: runs/wgan_gp/seed0/checkpoints/last.ckpt " in said


def test_the_previous_checkpoint_is_gone_on_from(saved, workdir, capsys):
    folder = saved / "checkpoints"
    shutil.copy(folder / "last.ckpt", folder / "previous.ckpt")
    state = torch.load(folder / "last.ckpt", weights_only=True)
    of_another_architecture(state)
    torch.save(state, folder / "last.ckpt")
    longer = write_config(workdir, model={"stages": [{"name": "train", "iterations": 5}]})
    assert main(["fit", "--config", str(longer)]) == 0
    assert "last.ckpt does not fit: the checkpoint is of another" in capsys.readouterr().err
    assert torch.load(folder / "last.ckpt", weights_only=True)["iteration"] == 5


def test_lost_rows_are_told_where_the_run_goes_on(workdir, capsys):
    config = write_config(workdir)
    settings = yaml.safe_load(config.read_text())
    settings["trainer"] |= {"logger": True, "log_every_n_steps": 1}
    config.write_text(yaml.safe_dump(settings))
    assert main(["fit", "--config", str(config)]) == 0
    folder = Path("runs/wgan_gp/seed0")
    rows = (folder / "metrics.csv").read_text().count("\n") - 1
    (folder / "metrics.csv").unlink()
    assert main(["fit", "--config", str(config), "--run_id", "other", "--ckpt_path",
                 str(folder / "checkpoints/last.ckpt")]) == 0  # fmt: skip
    assert "has lost" not in capsys.readouterr().err
    assert main(["fit", "--config", str(config)]) == 0
    assert f"has lost {rows} of the {rows} rows up to iteration 4" in capsys.readouterr().err
