from functools import partial

import pytest
import torch

from lit_synth.augment.diffaugment import DiffAugment
from lit_synth.errors import InputError


def seeded_rand(seed=0):
    rng = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(shape, generator=rng)


def constant_rand(value, *shape):
    return torch.full(shape, value)


def test_the_empty_policy_is_the_identity():
    x = torch.randn(2, 3, 8, 8)
    assert DiffAugment("")(x, seeded_rand()) is x


@pytest.mark.parametrize("policy", ["color", "translation", "cutout"])
def test_gradients_flow_and_the_draw_decides(policy):
    x = torch.randn(4, 3, 16, 16, requires_grad=True)
    once, again, other = (DiffAugment(policy)(x, seeded_rand(seed)) for seed in (0, 0, 1))
    once.sum().backward()
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert x.grad.isfinite().all()
    assert (x.grad != 0).flatten(1).any(dim=1).all()


def test_color_equals_a_plain_derivation():
    torch.manual_seed(0)
    x, draws = torch.randn(3, 8, 8, dtype=torch.float64), [0.9, 0.2, 0.7]
    y = x + draws[0] - 0.5
    y = y.mean(0) + (y - y.mean(0)) * 2 * draws[1]
    y = y.mean() + (y - y.mean()) * (draws[2] + 0.5)

    def rand(n, *shape):
        return torch.tensor(draws, dtype=torch.float64).view(n, *shape)

    torch.testing.assert_close(DiffAugment("color")(x[None], rand)[0], y)


@pytest.mark.parametrize(("draw", "shift"), [(0.0, 2), (0.5, 0), (0.999, -2)])
def test_translation_moves_by_at_most_an_eighth_and_fills_with_zero(draw, shift):
    x = torch.rand(1, 1, 16, 16) + 1
    y = DiffAugment("translation")(x, partial(constant_rand, draw))
    inside = slice(max(shift, 0), 16 + min(shift, 0))
    source = slice(max(-shift, 0), 16 + min(-shift, 0))
    assert torch.equal(y[..., inside, inside], x[..., source, source])
    assert (y == 0).sum() == 16 * 16 - (16 - abs(shift)) ** 2


@pytest.mark.parametrize(("draw", "hole"), [(0.0, 4 * 4), (0.5, 8 * 8), (0.999, 4 * 4)])
def test_cutout_is_half_the_size_and_may_leave_the_image(draw, hole):
    y = DiffAugment("cutout")(torch.ones(2, 3, 16, 16), partial(constant_rand, draw))
    assert (y == 0).sum() == 2 * 3 * hole


def test_an_unknown_augmentation_is_refused_by_name():
    with pytest.raises(InputError, match="'colour' is unknown"):
        DiffAugment("colour,cutout")
