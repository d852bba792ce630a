"""Every method, had back from a copy of its release alone, makes the images of its run."""

import contextlib
import shutil
from pathlib import Path

import pytest
import tiny
import torch
import yaml

import lit_synth.baselines
import lit_synth.methods
from lit_synth.cli import main
from lit_synth.contracts.translator import HasStyles, Translator
from lit_synth.inference.loading import load_method

NAMES = sorted(
    str(p.relative_to(tiny.CONF).with_suffix(""))
    for p in tiny.CONF.rglob("*.yaml")
    if "." not in p.stem
)
AVERAGED = {  # what an average is kept of, where it is not all networks by default
    "latent_regression": ["generator"],
    "minegan": ["miners", "generators"],
    "sisug_rearranger": ["rearranger"],
    "transfergan": ["generator"],
    "translation/mmnets": ["encoders", "decoders"],
    "translation/sdit": ["generator"],
    "translation/stargan_v2": ["generator", "mapping", "style_encoder"],
    "translation/udit": ["content_encoders", "style_encoders", "decoders"],
}
RELEASES = ["classifier", "extractor", "other", "plain", "rearranger", "segmenter", "stylegan2"]
MADE_FROM = {  # the releases whose cards, licences included, go on in the run's
    "bsa": ["classifier", "plain"],
    "dgn_am": ["classifier", "plain"],
    "minegan": ["other", "plain"],
    "ppgn": ["classifier", "plain"],
    "rejection": ["classifier", "plain"],
    "sisug_rearranger": ["stylegan2"],
    "transfer_acgan": ["plain"],
    "transfergan": ["plain"],
    "translation/seg2eye_refiner": ["segmenter"],
    "translation/sisug_mapper": ["rearranger"],
    "translation/udit": ["extractor"],
}


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory, sources):
    """A folder of this module's runs, with the releases that they start from."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(sources, folder / "sources")
    with contextlib.chdir(folder):
        yield folder


def trained(name):
    """Train a tiny run; return its method as its checkpoint says, averaged, and its folder."""
    settings = yaml.safe_load((tiny.CONF / f"{name}.yaml").read_text())
    settings["model"]["init_args"]["stages"] = [
        {**stage, "iterations": 2} for stage in settings["model"]["init_args"]["stages"]
    ]
    settings |= {"evaluate": {"every_n_iterations": None}, "samples": {"every_n_iterations": None}}
    if name in AVERAGED:
        ema = {
            "class_path": "EMA",
            "init_args": {"networks": AVERAGED[name], "half_life_kimg": 0.1},
        }
        settings["trainer"]["callbacks"] = [ema]
    path = Path(f"{Path(name).name}.yaml")
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    assert main(["fit", "--config", str(path)]) == 0
    run = Path("runs", path.stem, "seed0")
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    averages = [each["average"] for key, each in checkpoint["callbacks"].items() if "EMA" in key]
    assert len(averages) == (name in AVERAGED)
    method, data = tiny.build(name, seed=1)
    state = checkpoint["state_dict"] | (averages[0] if averages else {})
    images = {key for key in state if key.startswith("pool")}  # seen ones, kept for discriminators
    missed = method.load_state_dict({k: state[k] for k in state.keys() - images}, strict=False)
    assert set(missed.missing_keys) == images
    assert not missed.unexpected_keys
    return method.eval(), data, run


@pytest.mark.parametrize("name", NAMES)
def test_a_copied_release_makes_the_images_of_its_run(name, home):
    method, data, run = trained(name)
    expected = made_by(method, data)
    copy = shutil.copytree(run / "release", home / "elsewhere" / name)
    shutil.rmtree(run)
    (home / "sources").rename(home / "hidden")
    try:
        again = load_method(copy)
    finally:
        (home / "hidden").rename(home / "sources")
    card = (copy / "card.md").read_text()
    assert [each for each in RELEASES if f"> # {each}\n" in f"{card}\n"] == MADE_FROM.get(name, [])
    assert type(again) is type(method)
    assert not any(module.training for module in again.modules())
    for ours, theirs in zip(made_by(again, data), expected, strict=True):
        assert torch.equal(ours, theirs)


def made_by(method, data):
    """Return what a method is judged on: images of its prior, or all its translations."""
    if not isinstance(method, Translator):
        return [tiny.draw(method, n=6)]
    scenes = data.split("val").fetch(range(3))
    rng = torch.Generator().manual_seed(0)
    if isinstance(method, HasStyles):
        scenes["style"] = torch.randn(3, method.style_dim, generator=rng)
    return [method.translate(scenes, each) for each in method.translations()]


def test_every_method_has_a_tiny_run():
    built = {type(tiny.build(name)[0]).__name__ for name in NAMES}
    assert built | {"SemanticExtractor"} == {
        *lit_synth.methods.__all__,
        *lit_synth.baselines.__all__,
    }
