"""Whatever is wrong: one sentence, exit code 2, and what was saved before is still there.

The run folder that cannot be written is a path under a regular file, because permissions stop
nobody who runs the tests as root. The full disk is the kernel's limit on the size of a file.
"""

import pickle
import resource
import shutil
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
import yaml
from bad_input import SHAPE, digests, fit, refused, unconditional, write_config, write_images
from torch.utils.data import DataLoader

from lit_synth.cli import main
from lit_synth.networks.small import SmallCritic, SmallGenerator
from lit_synth.networks.wgan_gp_resnet import ResNetCritic, ResNetGenerator
from lit_synth.releases.format import save_release


def test_missing_source(workdir, capsys):
    config = write_config(workdir, "minegan", model={"sources": ["sources/nowhere"]})
    said = refused(capsys, *fit(config))
    assert "no release at 'sources/nowhere'" in said
    assert "expected a folder with model.safetensors and config.yaml" in said


@pytest.mark.parametrize(
    ("networks", "given"),
    [
        ((ResNetGenerator(16, 1, 8, 4), ResNetCritic(16, 1, 4)), "tensor 'body.0"),
        ((SmallGenerator(16, 1, 5, 4), SmallCritic(16, 1, 4)), "(256, 5)"),
    ],
    ids=["architecture", "latent size"],
)
def test_source_that_does_not_fit(workdir, capsys, networks, given):
    generator, critic = networks
    save_release(workdir / "other", {"generator": generator, "critic": critic}, "Random.")
    config = write_config(workdir, "transfergan", model={"source": "other"})
    said = refused(capsys, *fit(config))
    assert given in said
    assert "build the network with the source's arguments" in said


def test_sources_of_different_image_sizes(workdir, capsys):
    sources = ["sources/plain", "sources/larger"]
    config = write_config(workdir, "minegan", model={"sources": sources})
    said = refused(capsys, *fit(config))
    assert "1 x 16 x 16" in said
    assert "1 x 32 x 32" in said


# Data.


def test_empty_folder(saved, workdir, capsys):
    (workdir / "empty").mkdir()
    config = write_config(workdir, data=unconditional("empty"))
    before = digests(saved)
    said = refused(capsys, *fit(config, "--run_id", "new"))
    assert "empty holds no images" in said
    assert digests(saved) == before


def test_corrupt_png(workdir, capsys):
    folder = write_images(workdir / "images")
    whole = (folder / "L3.png").read_bytes()
    (folder / "L3.png").write_bytes(whole[: len(whole) // 2])
    config = write_config(workdir, data=unconditional(folder))
    said = refused(capsys, *fit(config), lines=2)
    assert "1 of 8 files cannot be used" in said
    assert "L3.png is corrupt" in said


def test_grey_among_colour_images_where_it_is_to_be_an_error(workdir, capsys):
    folder = write_images(workdir / "images", mode="RGB")
    write_images(workdir / "grey", n=1)
    shutil.move(workdir / "grey/L0.png", folder)
    data = unconditional(folder, channels=3, on_mismatch="error")
    config = write_config(workdir, data=data)
    said = refused(capsys, *fit(config), lines=2)
    assert "L0.png is grey among colour images" in said
    assert "leave out on_mismatch: error" in said


def test_class_without_images(workdir, capsys):
    write_images(workdir / "images/cats")
    (workdir / "images/dogs").mkdir()
    config = write_config(workdir, data=unconditional(workdir / "images", labels="folders"))
    said = refused(capsys, *fit(config))
    assert "the class folder dogs holds no images" in said


def test_mix_that_asks_for_more_images_than_there_are(workdir, capsys):
    data = {"class_path": "Digits", "init_args": {"counts": {2: 60, 7: 1000}, **SHAPE}}
    said = refused(capsys, *fit(write_config(workdir, data=data)))
    assert "counts asks for 1000 training images of class 7" in said
    assert "ask for at most" in said


class NaNImages(pl.LightningDataModule):
    """Images that are not numbers."""

    def train_dataloader(self):
        return DataLoader([{"image": torch.full((4, 1, 16, 16), torch.nan)}] * 4, batch_size=None)


def test_nan_in_the_data(saved, workdir, capsys):
    data = {"class_path": f"{__name__}.NaNImages"}
    config = write_config(workdir, data=data)
    before = digests(saved)
    said = refused(capsys, *fit(config, "--run_id", "new"))
    assert "diverged at iteration 1" in said
    assert "d_adv" in said
    assert digests(saved) == before
    assert not list((saved.parent / "new").rglob("*.ckpt"))


# Configurations.


def test_typing_error_in_the_yaml(workdir, capsys):
    config = write_config(workdir, model={"n_critc": 3})
    said = refused(capsys, *fit(config))
    assert "there is no option n_critc; did you mean n_critic?" in said
    assert not Path("runs").exists()


def test_other_settings_than_the_run_began_with(saved, workdir, capsys):
    config = write_config(workdir, model={"lr": 0.5})
    before = digests(saved)
    said = refused(capsys, *fit(config))
    assert "model.init_args.lr" in said
    assert "--run_id NEW" in said
    assert digests(saved) == before


# Disks.


def test_run_folder_that_cannot_be_written(workdir, capsys):
    (workdir / "file").write_text("no folder")
    config = write_config(workdir)
    said = refused(capsys, *fit(config, "--runs_dir", "file/runs"))
    assert "file/runs/wgan_gp/seed0 cannot be written" in said
    assert "--runs_dir" in said


@contextmanager
def full_disk():
    """No file may grow beyond 20 kB, less than a checkpoint."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_disk_that_is_full_when_a_checkpoint_is_saved(saved, workdir, capsys):
    config = write_config(workdir, model={"stages": [{"name": "train", "iterations": 6}]})
    checkpoint = saved / "checkpoints/last.ckpt"
    assert checkpoint.stat().st_size > 20_000
    before = checkpoint.read_bytes()
    with full_disk():
        said = refused(capsys, *fit(config))
    assert "cannot be written" in said
    assert "what was saved before is kept" in said
    assert checkpoint.read_bytes() == before
    assert [path.name for path in checkpoint.parent.iterdir()] == ["last.ckpt"]

    # And once there is room, the same command goes on.
    assert main(["fit", "--config", str(config)]) == 0
    assert torch.load(checkpoint, weights_only=True)["iteration"] == 6


# Files that want to execute code.


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.fixture
def hostile(workdir):
    """Two files that would create `workdir/marker`: a bare pickle and a PyTorch archive."""
    marker = workdir / "marker"
    (workdir / "bare.pkl").write_bytes(pickle.dumps(Hostile(marker)))
    torch.save({"state_dict": Hostile(marker)}, workdir / "archive.ckpt")
    assert zipfile.is_zipfile(workdir / "archive.ckpt")
    yield workdir
    assert not marker.exists()


def test_the_hostile_files_are_hostile(workdir):
    marker = workdir / "proof"
    pickle.loads(pickle.dumps(Hostile(marker)))
    assert marker.exists()


@pytest.mark.parametrize("file", ["bare.pkl", "archive.ckpt"])
def test_hostile_checkpoint(hostile, capsys, file):
    config = write_config(hostile)
    said = refused(capsys, *fit(config, "--ckpt_path", hostile / file))
    assert f"{file} cannot be used" in said


def test_hostile_release(hostile, capsys):
    shutil.copytree((hostile / "sources/plain").resolve(), hostile / "bad")
    shutil.copy(hostile / "bare.pkl", hostile / "bad/model.safetensors")
    config = write_config(hostile, "minegan", model={"sources": ["bad"]})
    assert "the release bad cannot be read" in refused(capsys, *fit(config))


def test_release_that_names_a_foreign_class(hostile, capsys):
    shutil.copytree((hostile / "sources/plain").resolve(), hostile / "bad")
    path = hostile / "bad/config.yaml"
    path.write_text(path.read_text().replace("lit_synth.networks.small.SmallCritic", "os.system"))
    config = write_config(hostile, "minegan", model={"sources": ["bad"]})
    assert "asks for the class os.system" in refused(capsys, *fit(config))


@pytest.mark.parametrize("file", ["bare.pkl", "archive.ckpt"])
def test_hostile_feature_extractor(hostile, capsys, file):
    config = write_config(hostile)
    settings = yaml.safe_load(config.read_text())
    settings["evaluate"] = {"extractor": str(hostile / file)}
    config.write_text(yaml.safe_dump(settings))
    assert file in refused(capsys, *fit(config))
