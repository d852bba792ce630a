"""Codes of styles against plain statements."""

from itertools import combinations

import pytest
import torch

from lit_synth.metrics.codes import distance_spearman, off_and_cover


def ranks(values):
    """Mean rank of those that are equal."""
    places = [[i for i, v in enumerate(sorted(values)) if abs(v - x) < 1e-9] for x in values]
    return torch.tensor([sum(each) / len(each) for each in places])


def test_order_of_distances_is_spearmans_with_ties():
    torch.manual_seed(0)
    codes, truth = torch.randn(12, 3), torch.randint(0, 2, (12, 2)).float()
    pairs = list(combinations(range(12), 2))
    ours, theirs = ([float((x[i] - x[j]).norm()) for i, j in pairs] for x in (codes, truth))
    expected = float(torch.corrcoef(torch.stack([ranks(ours), ranks(theirs)]))[0, 1])
    assert distance_spearman(codes, truth) == pytest.approx(expected, abs=1e-5)
    assert distance_spearman(codes, 3 * codes) == pytest.approx(1)
    assert distance_spearman(codes, torch.zeros(12, 2)) == 0


def test_drawn_codes_are_off_or_cover():
    torch.manual_seed(0)
    real = torch.randn(500, 2)
    off, cover = off_and_cover(torch.randn(500, 2), real)
    assert off < 0.03
    assert 0.4 < cover < 0.6
    assert off_and_cover(real + 100, real) == (1, 0)
    assert off_and_cover(real[:1].expand(500, 2), real) == (0, pytest.approx(1 / 500, abs=0.02))
