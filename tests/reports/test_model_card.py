"""The card of a release: a picture, data, licences, what its numbers say, how to load it."""

import re

from tiny_scenes import TinyScenes
from toy_run import ToyData, ToyGAN, fit
from toy_translator import ToyMixer

from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.callbacks.release_writer import ReleaseWriter
from lit_synth.callbacks.sample_grid import SampleGrid
from lit_synth.reports.model_card import completed


def test_the_card_of_a_run(tmp_path):
    judge = Evaluate(8, n_fake=8, batch_size=8, extractor="random")
    fit(tmp_path, judge, SampleGrid(4, n=4), ReleaseWriter())
    card = (tmp_path / "release" / "card.md").read_text()
    assert "![What it makes](sample.png)" in card
    grids = sorted((tmp_path / "samples").glob("0*.png"))
    assert (tmp_path / "release" / "sample.png").read_bytes() == grids[-1].read_bytes()
    train = ToyData().load_split("train")
    assert f"- ToyData\n- train: 24 images ({train.sha256[:12]})\n" in card
    assert f"- fid: {judge.latest['fid']:.4g} ↓ (Distance between" in card
    assert "\nLicence: not stated\n" in card


def test_the_code_of_a_card(tmp_path):
    for method in (ToyGAN(), ToyMixer()):
        card = completed("# Toy: a/b\n", method, ToyData(), tmp_path, tmp_path)
        (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
        body = code.split("\n\n")[-1]
        loading = 'method = load_method("FOLDER")'
        assert loading in body
        names = {"load_method": {"FOLDER": method.eval()}.__getitem__, "x": scenes(method)}
        exec(code.replace("from lit_synth.inference.loading import load_method", ""), names)
        assert len(names.get("images", names.get("made"))) == 4


def scenes(method):
    return TinyScenes().split("val").fetch(range(4)) if isinstance(method, ToyMixer) else {}


def test_licences_of_what_it_was_made_from(tmp_path):
    stated = ["CC0", "not stated", "MIT", "CC0"]
    quoted = "".join(f"> # GAN\n>\n> Licence: {licence}\n\n" for licence in stated)
    card = completed(f"# Toy: a/b\n\n{quoted}", ToyGAN(), ToyData(), tmp_path, tmp_path)
    assert "\n\nLicence: CC0\nLicence: MIT\n\n" in card
    assert "sample.png" not in card
