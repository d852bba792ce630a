import pytest
import torch

from lit_synth.errors import InputError
from lit_synth.metrics.iw import iw

BUDGET = {"iterations": 50, "batch_size": 16, "width": 8}


def images(n, brightness=0.0, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return (0.3 * torch.randn(n, 1, 8, 8, generator=rng) + brightness).clamp(-1, 1)


def test_farther_images_score_lower():
    real = images(64)
    same, far = iw(real, images(64, seed=1), **BUDGET), iw(real, images(64, 0.8, seed=1), **BUDGET)
    assert far < -1
    assert far < same
    assert abs(same) < 0.5


def test_repeats_with_its_seed_and_leaves_the_callers_randomness_alone():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = iw(images(20), images(20, 0.5, seed=1), **BUDGET)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.inference_mode():
        real, fake = images(20), images(20, 0.5, seed=1)
        assert iw(real, fake, **BUDGET) == first
    assert iw(images(20), images(20, 0.5, seed=1), **BUDGET, seed=1) != first


def test_images_of_two_sizes():
    with pytest.raises(InputError, match="one size"):
        iw(images(8), images(8)[..., :4], **BUDGET)
