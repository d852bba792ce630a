"""Alignment of latents: what it is of equal, shifted, unrelated and permuted ones."""

import pytest
import torch

from lit_synth.errors import InputError
from lit_synth.metrics.alignment import alignment


def noise(seed, n=50):
    return torch.randn(n, 4, 4, 4, generator=torch.Generator().manual_seed(seed))


def test_equation_4_16_written_out():
    a, b = noise(0, 5), noise(1, 5)
    cosines = [
        float((x * y).sum() / (x.square().sum() * y.square().sum()).sqrt())
        for x, y in zip(a, b, strict=True)
    ]
    assert alignment(a, b)["raw"] == pytest.approx(sum(cosines) / 5, rel=1e-5)


def test_neither_scale_nor_a_common_shift_count_once_centred():
    x = noise(0)
    values = alignment(x, 3 * x + 10)
    assert values["centred"] == pytest.approx(1)
    assert values["retrieval"] == 1
    assert abs(values["mismatched"]) < 0.1
    assert values["raw"] < 0.5


def test_unrelated_latents_with_a_common_mean_deceive_only_the_raw_cosine():
    values = alignment(noise(0) + 10, noise(1) + 10)
    assert values["raw"] > 0.9
    assert values["raw_mismatched"] > 0.9
    assert abs(values["centred"]) < 0.1
    assert values["retrieval"] < 0.2


def test_mismatched_is_scene_i_against_the_next():
    x = noise(0)
    assert alignment(x.roll(1, 0), x)["mismatched"] < 0.1
    values = alignment(x, x.roll(1, 0))  # row i + 1 of the second is scene i
    assert values["mismatched"] == pytest.approx(1)
    assert values["raw_mismatched"] == pytest.approx(1)
    assert values["retrieval"] == 0


def test_bad_input():
    with pytest.raises(InputError, match="two scenes or more"):
        alignment(noise(0, 1), noise(0, 1))
    with pytest.raises(InputError, match="expected one shape"):
        alignment(noise(0, 3), noise(0, 4))
