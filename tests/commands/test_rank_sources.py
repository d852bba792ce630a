import argparse
import json

import pytest
import torch
from PIL import Image
from torch import nn

from lit_synth.cli import main
from lit_synth.commands import rank_sources as tool
from lit_synth.errors import InputError
from lit_synth.features.base import extract
from lit_synth.features.random import RandomFeatures
from lit_synth.methods import MineGAN
from lit_synth.metrics.fid import fid
from lit_synth.metrics.ranking import rank_sources, sample
from lit_synth.networks.small import SmallGenerator
from lit_synth.releases.format import save_release
from lit_synth.stages import Stage


class Blur(nn.Module):
    """A generator of soft noise around one brightness; its classes differ in brightness."""

    latent_dim, image_size, image_channels = 256, 16, 1

    def __init__(self, brightness, num_classes=0):
        super().__init__()
        self.brightness = nn.Parameter(torch.tensor(brightness))
        self.num_classes = num_classes

    def forward(self, z, label=None):
        level = self.brightness if label is None else self.brightness * label[:, None, None, None]
        return (0.2 * z.unflatten(1, (1, 16, 16)) + level).clamp(-1, 1)


SOURCES = {"bright": Blur(0.9), "near": Blur(0.1), "dark": Blur(-0.6)}


def target(extractor):
    return extract(extractor, sample(Blur(0.0), 60, seed=9)).features


def test_nearer_sources_come_first_with_their_fid():
    extractor = RandomFeatures()
    ranked = rank_sources(target(extractor), SOURCES, extractor, n=60, seed=1)
    assert [source.source for source in ranked] == ["near", "dark", "bright"]
    fake = extract(extractor, sample(SOURCES["near"], 60, seed=1)).features
    assert ranked[0].fid == fid(target(extractor), fake)
    assert 0 < ranked[0].standard_error < ranked[1].fid - ranked[0].fid


def test_samples_do_not_depend_on_the_batches_and_cover_the_classes():
    whole = torch.cat(list(sample(Blur(0.5), 10, seed=2, batch_size=10)))
    parts = list(sample(Blur(0.5), 10, seed=2, batch_size=4))
    assert [len(part) for part in parts] == [4, 4, 2]
    torch.testing.assert_close(torch.cat(parts), whole)
    classes = torch.cat(list(sample(Blur(0.5, num_classes=2), 200, seed=0))).mean((1, 2, 3)) > 0.25
    assert 70 < classes.sum() < 130


@pytest.mark.usefixtures("workdir")
def test_the_verb_ranks_mined_and_conditional_releases(tmp_path):
    mined = MineGAN(["sources/plain", "sources/other"], [Stage("mine", 1)], u_dim=4, hidden=[8])
    save_release("mined", mined.release()[0], "# Mined\n")
    (tmp_path / "target").mkdir()
    for i in range(4):
        Image.new("L", (16, 16), 20 * i).save(tmp_path / "target" / f"{i}.png")
    words = ["--target", "target", "--n", "8", "--out", "report.json", "--extractor", "random"]
    assert main(["rank-sources", "mined", "sources/conditional", *words]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["values"]) == {"mined", "sources/conditional"}


def test_the_verb_ranks_release_folders(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    (tmp_path / "target").mkdir()
    torch.manual_seed(0)
    near, far = SmallGenerator(width=4), SmallGenerator(width=4)
    with torch.no_grad():
        far.to_image.bias += 3  # everything white
    for name, generator in {"near": near, "far": far}.items():
        save_release(tmp_path / name, {"generator": generator}, "# A source\n")
    for i, image in enumerate(next(sample(near, 24, seed=3))):
        pixels = ((image[0] + 1) * 127.5).to(torch.uint8).numpy()
        Image.fromarray(pixels).save(tmp_path / "target" / f"{i}.png")
    names = [str(tmp_path / name) for name in ("far", "near")]
    out = tmp_path / "report.json"
    words = ["--target", str(tmp_path / "target"), "--n", "24", "--out", str(out)]

    parser = argparse.ArgumentParser()
    tool.add_parser(parser.add_subparsers())
    assert tool.run(parser.parse_args(["rank-sources", *names, *words])) == 0
    report = json.loads(out.read_text())
    assert list(report["values"]) == names[::-1]
    assert (report["card"]["n_real"], report["card"]["n_fake"]) == (24, 24)
    assert "Places" in capsys.readouterr().out
    with pytest.raises(InputError, match="no release"):
        tool.run(parser.parse_args(["rank-sources", str(tmp_path), *words]))
    with pytest.raises(InputError, match="2 or more"):
        tool.run(parser.parse_args(["rank-sources", *names, *words, "--n", "1"]))
