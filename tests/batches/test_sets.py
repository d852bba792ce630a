"""What nested batches give of a modality and of a pair."""

import pytest
import torch

from lit_synth.batches.sets import examples, pairs
from lit_synth.errors import InputError

BATCH = {
    "rs": {"rgb": torch.tensor([0, 1]), "segmentation": torch.tensor([10, 11])},
    "rd": {"rgb": torch.tensor([2, 3]), "depth": torch.tensor([20, 21])},
}


def test_items_of_several_sets_alternate():
    assert examples(BATCH, "rgb").tolist() == [0, 2, 1, 3]
    assert examples(BATCH, "depth").tolist() == [20, 21]


def test_halves_of_a_batch_are_halves_of_what_it_gives():
    halves = [
        {s: {m: x[part] for m, x in each.items()} for s, each in BATCH.items()}
        for part in (slice(0, 1), slice(1, 2))
    ]
    joined = torch.cat([examples(half, "rgb") for half in halves])
    assert torch.equal(joined, examples(BATCH, "rgb"))


def test_pairs_come_from_sets_that_hold_both():
    x, y = pairs(BATCH, "depth", "rgb")
    assert (x.tolist(), y.tolist()) == ([20, 21], [2, 3])


def test_what_no_set_holds_is_said():
    with pytest.raises(InputError, match=r"holds the modality 'nir': there are rs \(rgb, segm"):
        examples(BATCH, "nir")
    with pytest.raises(InputError, match="no training set holds pairs of 'depth' and 'segm"):
        pairs(BATCH, "depth", "segmentation")
