"""Codes of styles on held-out images, as a method reads and draws them."""

import pytest
import tiny
import tiny_scenes
import torch

from datamodules.worlds.bags.pairs import BagEdges
from lit_synth.evaluation.settings import EvaluationSettings
from lit_synth.evaluation.translation.codes import measure_codes

pytestmark = pytest.mark.usefixtures("workdir")
SETTINGS = EvaluationSettings(metrics=[], batch_size=3)


def test_images_in_their_own_style_are_compared_with_themselves():
    method, _ = tiny.build("translation/bicyclegan")
    data = tiny_scenes.TinyScenes({"pairs": ["rgb", "nir"]})
    values = measure_codes(method.eval(), data, "val", SETTINGS)
    x = data.split("val").fetch(range(8))
    with torch.no_grad():
        made = method.generator(x["nir"], method.encoder(x["rgb"])[0])
    assert values["own/l1"] == pytest.approx(float((made - x["rgb"]).abs().mean()), rel=1e-4)
    assert not any(name.startswith("codes/") for name in values)


def test_codes_are_held_against_the_truth_and_draws_against_codes():
    method, _ = tiny.build("translation/step", source="edges", target="image")
    data = BagEdges(32, pairs=4, val_pairs=12, test_pairs=4)
    method.mapper.mean += 100
    values = measure_codes(method.eval(), data, "val", SETTINGS)
    assert {"codes/tone_spearman", "codes/content_spearman"} < values.keys()
    assert values["codes/drawn_off"] == values["codes/independent_off"] == 1


def test_a_method_that_reads_no_styles_has_no_codes():
    method, data = tiny.build("translation/pix2pix")
    assert measure_codes(method, data, "val", SETTINGS) == {}
