"""Neighbours by blocks against all distances at once, and styles' distances against their terms."""

import pytest
import torch
import torch.nn.functional as F

from lit_synth.errors import InputError
from lit_synth.features import neighbours
from lit_synth.features.neighbours import Neighbours, find_neighbours, nearest
from lit_synth.features.stages import StageFeatures
from lit_synth.features.style_distance import GramDistance, MomentDistance


@pytest.mark.parametrize("kept", [0, 2**31])
def test_neighbours_are_those_of_all_distances(monkeypatch, kept):
    monkeypatch.setattr(neighbours, "BLOCK", 7)
    monkeypatch.setattr(neighbours, "KEPT", kept)
    torch.manual_seed(0)
    x = torch.randn(23, 5).double() + 100  # whose squares are large
    found = find_neighbours(lambda first, end: x[first:end], 23, 4, 3)
    squared = (x[:, None] - x).square().sum(2)
    order = squared.argsort(dim=1)
    assert torch.equal(found.near, order[:, 1:5])
    assert torch.equal(found.far, order.flip(1)[:, :3])
    assert torch.equal(nearest(x, x.flip(0)), torch.arange(23).flip(0))


def test_draws_are_of_the_lists_and_strangers_of_all_others():
    torch.manual_seed(0)
    x = torch.randn(9, 2)
    found = find_neighbours(lambda first, end: x[first:end], 9, 3, 2)
    share = (torch.arange(600) + 0.5) / 600
    for anchor in range(9):
        anchors = torch.full((600,), anchor)
        own = {anchor, *found.near[anchor].tolist()}
        assert set(found.positives(anchors, share).tolist()) == own - {anchor}
        assert set(found.negatives(anchors, share).tolist()) == set(found.far[anchor].tolist())
        strangers = found.strangers(anchors, share)
        assert strangers.bincount(minlength=9).tolist() == [
            0 if i in own else 120 for i in range(9)
        ]


def test_hubs_are_counted():
    far = torch.tensor([[3], [3], [3], [0]])
    told = Neighbours(torch.zeros(4, 1), far).hubs()
    assert told["furthest of any"] == 2
    assert told["share of the busiest 20"] == 1


def test_fewer_images_than_neighbours_are_refused():
    with pytest.raises(InputError, match="give at least 14 images"):
        find_neighbours(lambda first, end: torch.zeros(end - first, 2), 13, 5, 13)


def test_distance_of_grams_is_the_published_one_of_the_pixels_that_count():
    torch.manual_seed(0)
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    inside = torch.zeros(2, 1, 16, 16)
    inside[:, :, 4:12, :8] = 1
    for mask in (None, inside):
        points = GramDistance().embed(x, mask)
        expected = 0
        for stage in StageFeatures()(x):
            grams = []
            for i in range(2):
                f = stage[i].flatten(1).T
                w = (
                    torch.ones(len(f))
                    if mask is None
                    else F.adaptive_avg_pool2d(mask[i], stage.shape[-1]).flatten()
                )
                grams.append(f.T @ (f * w[:, None]) / (stage.shape[1] * w.sum()))
            expected = expected + ((grams[0] - grams[1]) ** 2).mean()
        torch.testing.assert_close((points[0] - points[1]).square().sum(), expected)


def test_moments_are_means_and_deviations():
    x = torch.randn(2, 3, 4, 4)
    expected = torch.cat([x.mean((2, 3)), x.std((2, 3), correction=0)], 1)
    torch.testing.assert_close(MomentDistance().embed(x), expected)
