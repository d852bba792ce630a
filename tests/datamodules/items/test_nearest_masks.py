"""Masks are ranked as a naive comparison of one-hot masks ranks them, block by block."""

import pytest
import torch
import torch.nn.functional as F

from datamodules.errors import DataError
from datamodules.items import nearest_masks
from datamodules.items.nearest_masks import rank_masks


def masks(n, seed):
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 4, (n, 3, 2), generator=rng, dtype=torch.uint8)
    return coarse.repeat_interleave(2, 1).repeat_interleave(3, 2)


def one_hot(labels):
    return F.one_hot(labels.long(), 4).double().flatten(1)


@pytest.mark.parametrize("block", [1, 7, 100])
def test_it_is_the_naive_ranking(block, monkeypatch):
    monkeypatch.setattr(nearest_masks, "TARGETS_AT_ONCE", 4)
    targets, pool = masks(9, 0), masks(40, 1)
    pool[5:9] = targets[:4]
    own = torch.tensor([5, -1, 7, -1, -1, -1, -1, -1, -1])
    found = rank_masks(targets, torch.split(pool, block), 4, 6, own)
    for i, target in enumerate(targets):
        distances = (one_hot(target[None]) - one_hot(pool)).norm(dim=1)
        if own[i] >= 0:
            distances[own[i]] = torch.inf
        order = distances.sort(stable=True).indices[:6]
        assert torch.equal(found.index[i], order)
        torch.testing.assert_close(found.distance[i].double(), distances[order], atol=1e-6, rtol=0)
    assert found.index[1, 0] == 6  # its copy in the pool
    assert 5 not in found.index[0]


def test_blocks_are_taken_one_at_a_time():
    taken = []

    def blocks():
        for start in range(3):
            taken.append(start)
            yield masks(4, start)

    stream = blocks()
    assert not taken
    assert rank_masks(masks(2, 9), stream, 4, 3).index.shape == (2, 3)
    assert taken == [0, 1, 2]


@pytest.mark.parametrize(
    ("pool", "k", "said"),
    [
        (masks(3, 0), 4, "pool of 3"),
        (masks(3, 0)[:, :4], 1, "one size"),
        (masks(3, 0) + 4, 1, "0 to 3"),
    ],
)
def test_what_cannot_be_ranked_is_named(pool, k, said):
    with pytest.raises(DataError, match=said):
        rank_masks(masks(2, 1), [pool], 4, k)


def test_the_own_image_does_not_count_for_the_size_of_the_pool():
    with pytest.raises(DataError, match="besides a target's own"):
        rank_masks(masks(1, 1), [masks(3, 0)], 4, 3, own=torch.tensor([1]))
