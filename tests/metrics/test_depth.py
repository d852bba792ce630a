"""Depth maps: equation 4.15 written out, and what does not count."""

import math

import pytest
import torch

from lit_synth.errors import InputError
from lit_synth.metrics.depth import NEAREST_M, Depth


def measured(prediction, truth):
    judge = Depth()
    judge.update(torch.tensor([[[prediction]]]), torch.tensor([[[truth]]]))
    return judge.values()


def slow(prediction, truth):
    """Equation 4.15, pixel by pixel."""
    n = len(truth)
    pairs = list(zip(prediction, truth, strict=True))
    deltas = {
        f"delta{k}": sum(max(y / t, t / y) < 1.25**k for y, t in pairs) / n for k in (1, 2, 3)
    }
    return deltas | {
        "rmse": math.sqrt(sum((y - t) ** 2 for y, t in pairs) / n),
        "rmse_log": math.sqrt(sum((math.log(y) - math.log(t)) ** 2 for y, t in pairs) / n),
        "abs_rel": sum(abs(y - t) / t for y, t in pairs) / n,
    }


def test_against_the_equation():
    rng = torch.Generator().manual_seed(0)
    truth = (0.5 + 5 * torch.rand(200, generator=rng)).tolist()
    made = (0.5 + 5 * torch.rand(200, generator=rng)).tolist()
    expected = slow(made, truth)
    assert 0 < expected["delta1"] < expected["delta2"] < expected["delta3"] < 1
    assert measured(made, truth) == pytest.approx(expected, rel=1e-6)


def test_a_ratio_of_exactly_the_bound_is_outside():
    values = measured([1.25, 1.0, 1.5625], [1.0, 1.25, 1.0])
    assert (values["delta1"], values["delta2"]) == (0, pytest.approx(2 / 3))


def test_unknown_pixels_change_nothing():
    assert measured([2.0, 7.0], [4.0, 0.0]) == measured([2.0], [4.0])


def test_predictions_are_clamped_above_0():
    assert measured([-1.0], [1.0]) == pytest.approx(measured([NEAREST_M], [1.0]))
    assert measured([0.0], [1.0])["rmse_log"] == pytest.approx(math.log(1000))


def test_batches_are_pooled_by_pixels():
    judge = Depth()
    judge.update(torch.tensor([[[[1.0, 1.0, 1.0]]]]), torch.tensor([[[[1.0, 1.0, 1.0]]]]))
    judge.update(torch.tensor([[[[3.0]]]]), torch.tensor([[[[1.0]]]]))
    assert judge.values()["rmse"] == 1  # not the mean of 0 and 2


def test_nothing_known():
    with pytest.raises(InputError, match="No pixel has a known depth"):
        measured([1.0], [0.0])
