"""Cats, dogs and rabbits: pure functions of (world seed, part, i), domains without partners."""

import pytest
import torch

from datamodules import Creatures, DataError
from datamodules.worlds.creatures.world import KINDS, render


def creatures(**changes):
    return Creatures(**{"image_size": 16, "images_per_set": 6, "n_val": 4, "n_test": 4, **changes})


def test_more_images_and_other_domains_change_no_image():
    few, many = creatures(), creatures(images_per_set=9, kinds=["rabbit", "cat"], batch_size=2)
    for kind in ("cat", "rabbit"):
        first, second = (data.training_set(kind).fetch(range(6))[kind] for data in (few, many))
        assert torch.equal(first, second)
        assert len(many.training_set(kind)) == 9


def test_no_two_parts_or_domains_share_an_image():
    data = creatures()
    shown = [data.training_set(kind).stored[kind] for kind in KINDS]
    shown += [data.split(part).stored[kind] for part in ("val", "test") for kind in KINDS]
    images = torch.cat(shown).flatten(1)
    assert len(images.unique(dim=0)) == len(images) == 3 * (6 + 4 + 4)
    assert not torch.equal(images, torch.cat([c.flatten(1) for c in _of(creatures(world_seed=1))]))


def _of(data):
    shown = [data.training_set(kind).stored[kind] for kind in KINDS]
    return shown + [data.split(part).stored[kind] for part in ("val", "test") for kind in KINDS]


def test_one_index_has_one_place_and_fur_whatever_the_kind():
    index = torch.arange(20)
    cat, dog, rabbit = (render(0, kind, index, 32).float() for kind in KINDS)
    for other in (dog, rabbit):
        assert torch.equal(cat[:, :, -1, 0], other[:, :, -1, 0])  # a corner of the place
        assert (cat - other).abs().mean() > 5
        fur = [image[:, :, 30, 15].flatten() for image in (cat, other)]  # the chest
        assert torch.corrcoef(torch.stack(fur))[0, 1] > 0.95


def test_a_batch_has_every_domain_in_its_range():
    batch = next(iter(creatures().train_dataloader()))
    assert list(batch) == KINDS
    for kind in KINDS:
        assert batch[kind][kind].shape == (4, 3, 16, 16)
        assert batch[kind][kind].abs().max() <= 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kinds": ["cat", "horse"]}, "There is no kind 'horse'; the kinds are cat, dog, rabbit"),
        ({"kinds": ["cat"]}, "name two or more, each once"),
        ({"image_size": 8}, "image_size is 8; give 16 to 128 pixels"),
        ({"images_per_set": 0}, "0 images were asked for"),
        ({"world_seed": -1}, "world_seed is -1"),
    ],
)
def test_bad_settings_are_refused(changes, said):
    with pytest.raises(DataError, match=said):
        creatures(**changes)
