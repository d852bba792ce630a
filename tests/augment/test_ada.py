"""ADA's transforms against matrices composed by hand, its steering, and that it does not leak."""

import math
from functools import partial
from statistics import NormalDist

import numpy as np
import pytest
import torch
from torch import nn

from lit_synth.augment.ada import ADA
from lit_synth.augment.matrices import Rolls, colours, places
from lit_synth.augment.resampling import warped
from lit_synth.errors import InputError
from lit_synth.losses.games import Logistic


def seeded_rand(seed=0):
    rng = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(shape, generator=rng)


def rolls(n, columns, p, seed=0):
    uniform = torch.rand(
        n, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return Rolls(uniform, torch.tensor(p, dtype=torch.float64)), uniform.tolist()


class Plain:
    """Draws of one image, one by one; `happens` is asked after what would happen was drawn."""

    def __init__(self, row, p):
        self.row, self.p = iter(row), p

    def uniform(self):
        return next(self.row)

    def normal(self):
        return NormalDist().inv_cdf(next(self.row))

    def happens(self, p=None):
        return next(self.row) < (self.p if p is None else p)


def turned(angle):
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def scaled(x, y):
    return np.diag([x, y, 1.0])


def moved(x, y):
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def forward_places(row, p, height, width):
    """What happens to the image, last transform to the left: the published list, in its order."""
    draw, m = Plain(row, p), np.eye(3)
    flip = math.floor(2 * draw.uniform())
    m = (scaled(1 - 2 * flip, 1) if draw.happens() else np.eye(3)) @ m
    quarter = math.floor(4 * draw.uniform())
    m = (turned(math.pi / 2 * quarter) if draw.happens() else np.eye(3)) @ m
    shifts = draw.happens()
    x, y = (round((0.25 * draw.uniform() - 0.125) * size) for size in (width, height))
    m = (moved(x, y) if shifts else np.eye(3)) @ m
    s = 2 ** (0.2 * draw.normal())
    m = (scaled(s, s) if draw.happens() else np.eye(3)) @ m
    p_turn = 1 - math.sqrt(1 - p)
    angle = (2 * draw.uniform() - 1) * math.pi
    m = (turned(angle) if draw.happens(p_turn) else np.eye(3)) @ m
    s = 2 ** (0.2 * draw.normal())
    m = (scaled(s, 1 / s) if draw.happens() else np.eye(3)) @ m
    angle = (2 * draw.uniform() - 1) * math.pi
    m = (turned(angle) if draw.happens(p_turn) else np.eye(3)) @ m
    moves = draw.happens()
    x, y = (0.125 * draw.normal() * size for size in (width, height))
    return (moved(x, y) if moves else np.eye(3)) @ m


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_places_equal_inverses_of_transforms_composed_by_hand(p):
    ours, rows = rolls(12, 18, p)
    found = places(ours, 24, 40, blit=True, geometry=True).numpy()
    for row, inverse in zip(rows, found, strict=True):
        expected = np.linalg.inv(forward_places(row, p, 24, 40))
        np.testing.assert_allclose(inverse, expected, atol=1e-9)


def recoloured(colour, row, p):
    """One transform after the other on a colour, by its meaning."""
    draw, v = Plain(row, p), np.ones(3) / math.sqrt(3)
    b = 0.2 * draw.normal()
    colour = colour + b if draw.happens() else colour
    c = 2 ** (0.5 * draw.normal())
    colour = colour * c if draw.happens() else colour
    flip = math.floor(2 * draw.uniform())
    if draw.happens():
        colour = colour - 2 * flip * (v @ colour) * v
    angle = (2 * draw.uniform() - 1) * math.pi
    if draw.happens():
        along = (v @ colour) * v
        around = np.cross(v, colour)
        colour = along + (colour - along) * math.cos(angle) + around * math.sin(angle)
    s = 2 ** draw.normal()
    if draw.happens():
        along = (v @ colour) * v
        colour = along + (colour - along) * s
    return colour


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_colours_equal_transforms_one_after_the_other(p):
    ours, rows = rolls(12, 10, p)
    linear, offset = colours(ours)
    colour = np.array([0.3, -0.7, 0.9])
    for row, a, b in zip(rows, linear.numpy(), offset.numpy(), strict=True):
        np.testing.assert_allclose(a @ colour + b[:, 0], recoloured(colour, row, p), atol=1e-9)


def test_images_are_moved_by_these_places_and_then_recoloured():
    torch.manual_seed(0)
    x, ada = torch.rand(3, 3, 8, 8, dtype=torch.float64), ADA(p=0.7)
    draws = [torch.rand(3, columns, dtype=torch.float64) for columns in (18, 10)]
    given = iter(draws)
    found = ada(x, lambda *_: next(given))
    p = ada.p.double()
    linear, offset = colours(Rolls(draws[1], p))
    expected = warped(x, places(Rolls(draws[0], p), 8, 8, True, True))
    expected = torch.einsum("nij,njhw->nihw", linear, expected) + offset[..., None]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_grey_images_get_the_mean_of_what_three_equal_channels_would_get():
    x = torch.rand(5, 1, 8, 8)
    grey, wide = (
        ADA("colour", p=0.8)(each, seeded_rand()) for each in (x, x.expand(-1, 3, -1, -1))
    )
    torch.testing.assert_close(grey, wide.mean(dim=1, keepdim=True))


@pytest.mark.parametrize("channels", [1, 3])
def test_without_p_images_stay_bit_for_bit_and_nothing_is_drawn(channels):
    x = torch.randn(4, channels, 8, 8)
    assert torch.equal(ADA("blit,geometry,colour,noise,cutout")(x, pytest.fail), x)


def test_an_image_to_which_nothing_happens_stays_bit_for_bit():
    x = torch.randn(4, 3, 8, 8)
    ada = ADA("blit,geometry,colour,noise,cutout", p=0.8)
    assert torch.equal(ada(x, lambda *shape: torch.full(shape, 0.99)), x)
    assert not torch.equal(ada(x, seeded_rand()), x)


def test_noise_and_cutout_have_their_published_strength():
    x = torch.ones(400, 1, 16, 16)
    noisy = ADA("noise", p=1.0, p_max=1.0)(x, seeded_rand()) - 1
    assert noisy.std(dim=(1, 2, 3)).square().mean().sqrt().item() == pytest.approx(0.1, rel=0.1)
    cut = ADA("cutout", p=1.0, p_max=1.0)(x, seeded_rand()) == 0
    assert cut.sum(dim=(1, 2, 3)).max() == 8 * 8
    half = ADA("cutout", p=0.5)(x, seeded_rand()) == 0
    assert half.flatten(1).any(dim=1).float().mean().item() == pytest.approx(0.5, abs=0.08)


def test_first_and_second_derivatives_of_all_of_it_equal_differences():
    torch.manual_seed(0)
    x = torch.randn(1, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    ada = ADA("blit,geometry,colour,noise,cutout", p=0.8)

    def changed(x):
        return ada(x, seeded_rand(3))

    assert not torch.equal(changed(x), x)
    assert torch.autograd.gradcheck(changed, x)
    assert torch.autograd.gradgradcheck(lambda x: changed(x).pow(3), x)


def test_p_rises_above_the_target_falls_below_it_and_keeps_its_bounds():
    ada = ADA(target=0.6, kimg=1.0, interval=2, p_max=0.5)
    seen = [ada.steer(torch.tensor(r_t), 100)["ada_p"].item() for r_t in (1.0, 0.4, 0.5, 0.5, 1, 1)]
    assert seen == pytest.approx([0, 0.2, 0.2, 0.0, 0.0, 0.2])  # 2 x 100 of 1,000 images
    for _ in range(8):
        ada.steer(torch.tensor(1.0), 100)
    assert ada.p.item() == pytest.approx(0.5)
    for _ in range(8):
        ada.steer(torch.tensor(-1.0), 100)
    assert ada.p == 0


def test_without_a_target_p_stays():
    ada = ADA(target=None, p=0.3)
    for _ in range(9):
        ada.steer(torch.tensor(1.0), 100000)
    assert ada.p.item() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"transforms": "blit,blur"}, "'blur' is unknown; join any of blit, geometry"),
        ({"p": 0.9}, "p 0.9 and p_max 0.8: expected 0 <= p <= p_max <= 1"),
        ({"kimg": 0}, "kimg 0 and interval 4: expected more than 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        ADA(**settings)


def test_images_of_two_channels_have_no_colour():
    with pytest.raises(InputError, match="1 or 3 channels, and got 2"):
        ADA(p=0.5)(torch.zeros(1, 2, 8, 8), seeded_rand())


def trained_orientation(p, steps=100):
    """Share of a tiny GAN's samples with the bar where real images have it, at the top.

    Its generator starts with the bar at the left, and its critic sees quarter turns with p.
    """
    torch.manual_seed(0)
    bar = torch.zeros(1, 8, 8)
    bar[:, :2] = 1.0
    generator = nn.Sequential(
        nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 64), nn.Unflatten(1, (1, 8, 8))
    )
    critic = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
    with torch.no_grad():
        generator[2].bias.copy_(bar.transpose(1, 2).flatten())
        generator[2].weight.mul_(0.3)
    opt_g, opt_d = (
        torch.optim.Adam(n.parameters(), 4e-3, betas=(0.0, 0.9)) for n in (generator, critic)
    )
    game, ada, rand = Logistic(gamma=1.0, every=1), ADA("blit", None, p=p, p_max=1.0), seeded_rand()
    for step in range(steps):
        x = ada(bar + 0.1 * torch.randn(32, 1, 8, 8), rand)
        x_fake = ada(generator(torch.randn(32, 4)), rand)
        d_adv = game.critic_loss(critic(x), critic(x_fake.detach()))
        opt_d.zero_grad()
        (d_adv + game.penalty(critic, x, x_fake.detach(), rand, step).loss).backward()
        opt_d.step()
        opt_g.zero_grad()
        game.generator_loss(critic(x_fake), partial(critic, x)).backward()
        opt_g.step()
    made = generator(torch.randn(500, 4)).detach()[:, 0]
    sides = [made[:, :2], made[:, -2:], made[:, :, :2], made[:, :, -2:]]
    brightest = torch.stack([side.mean(dim=(1, 2)) for side in sides]).argmax(dim=0)
    return (brightest == 0).float().mean().item()


def test_turns_below_p_point_8_do_not_leak_and_at_1_they_would():
    assert trained_orientation(p=0.7) > 0.95
    assert trained_orientation(p=1.0) < 0.6
