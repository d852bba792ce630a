"""The challenge's score against its formula."""

import pytest
import torch
import torch.nn.functional as F

from lit_synth.errors import InputError
from lit_synth.metrics.openeds import openeds_distances, openeds_score


def test_a_grey_level_of_rmse_is_2_907_points():
    truth = torch.zeros(2, 1, 640, 400)
    score = openeds_score(openeds_distances(truth + 3 / 127.5, truth))
    assert score == pytest.approx(3 * 1471 / 256000**0.5, rel=1e-6)
    assert score == pytest.approx(3 * 2.907, rel=2e-4)


def test_it_adds_the_distances_of_images_and_not_their_squares():
    rng = torch.Generator().manual_seed(0)
    p, t = (torch.rand(3, 1, 80, 64, generator=rng) * 2 - 1 for _ in range(2))
    t[1] = p[1]
    total = 0.0
    for one, other in zip(p, t, strict=True):
        large = [F.interpolate(x[None].double(), (640, 400), mode="bilinear") for x in (one, other)]
        grey = [(x + 1) * 255 / 2 for x in large]
        total += float(((grey[0] - grey[1]) ** 2).sum() ** 0.5) / (640 * 400)
    distances = openeds_distances(p, t)
    assert distances[1] == 0
    assert openeds_score(distances) == pytest.approx(1471 * total / 3, rel=1e-9)


def test_other_images_are_refused():
    with pytest.raises(InputError, match="grey images"):
        openeds_distances(torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8))
    with pytest.raises(InputError, match="at least one"):
        openeds_score(torch.zeros(0))
