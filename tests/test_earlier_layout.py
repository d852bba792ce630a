"""Runs and releases of version 0.1.0, made before the modules moved, load and go on.

`data/earlier_layout` holds two finished runs of `conf/<name>.yaml` at that version; `images.safetensors`
has a prior and what `load_method(release)` made of it then.
"""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lit_synth.cli import main
from lit_synth.inference.ask import draw
from lit_synth.inference.loading import load_method
from lit_synth.releases.format import load_release

RUNS = Path(__file__).parent / "data" / "earlier_layout"


@pytest.fixture
def runs(workdir):
    shutil.copytree(RUNS, workdir / "runs")
    for run in (workdir / "runs").iterdir():
        (run / "seed0").mkdir()
        for path in list(run.iterdir()):
            if path.name != "seed0":
                path.rename(run / "seed0" / path.name)
        (run / "seed0" / "environment.json").write_text("{}")
    return workdir / "runs"


@pytest.mark.parametrize("name", ["wgan_gp", "minegan"])
def test_its_method_makes_the_same_images(name, runs):
    run = runs / name / "seed0"
    kept = load_file(run / "images.safetensors")
    prior = {key.removeprefix("prior."): kept[key] for key in kept if key.startswith("prior.")}
    made = draw(load_method(run / "release"), prior)
    torch.testing.assert_close(made, kept["images"], atol=1e-5, rtol=0)


def test_its_networks_load_without_the_run(tmp_path):
    shutil.copytree(RUNS / "wgan_gp" / "release", tmp_path / "copied")
    assert load_release(tmp_path / "copied").network("generator").image_size == 16


def test_it_goes_on(runs):
    config = runs / "wgan_gp" / "seed0" / "config.yaml"
    longer = ["--model.init_args.stages", "[{name: train, iterations: 6}]"]
    assert main(["fit", "--config", str(config), *longer]) == 0
    checkpoint = torch.load(config.parent / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["iteration"] == 6
