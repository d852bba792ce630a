"""Rolls: each image is an exact function of numbers that are uniform over all images."""

import pytest
import torch

from datamodules.errors import DataError
from datamodules.labelled_images import LabelledImages
from datamodules.worlds.canvas.dice import Dice, GivenDice, rolls_of
from datamodules.worlds.portraits.world import Portraits
from datamodules.worlds.vehicles.world import ROLLS, Vehicles, render_rolls, sample_rolls

SOME = torch.arange(96)
MANY = torch.arange(10_000)


def vehicles(index):
    data = Vehicles(16, train_images=len(index) // 4, rolls=True)
    batch = data.split("train").fetch(index.tolist())
    return batch["image"], batch["rolls"], lambda rolls: render_rolls(rolls, 16)


def portraits(index):
    world = Portraits(32, rolls=True)
    data = LabelledImages(world, "hair", balance=["hair", "hat"], n_train=100)
    batch = data.split("train").fetch(index.tolist())
    return batch["image"], batch["rolls"], world.render_rolls


@pytest.mark.parametrize("world", [vehicles, portraits])
def test_rolls_give_the_image_and_so_do_latents_in_float32(world):
    images, rolls, render = world(SOME)
    pixels = ((images + 1) * 127.5).round().to(torch.uint8)
    assert torch.equal(render(rolls), pixels)
    z = torch.special.ndtri(rolls).float()
    assert z.isfinite().all()
    assert torch.equal(render(torch.special.ndtr(z.double())), pixels)


@pytest.mark.parametrize(
    ("world", "idle"),
    [(vehicles, [45]), (portraits, [])],  # 45: a corner of the silhouette beyond the right edge
)
def test_no_roll_is_left_out_or_idle(world, idle):
    _, rolls, render = world(SOME)
    pixels = render(rolls)
    with pytest.raises((AssertionError, RuntimeError)):
        render(rolls[:, :-1])
    unchanged = []
    for column in range(rolls.shape[1]):
        other = rolls.clone()
        other[:, column] = 1 - other[:, column]
        if torch.equal(render(other), pixels):
            unchanged.append(column)
    assert unchanged == idle


def rolls_of_vehicles():
    return sample_rolls("train", MANY)


def rolls_of_portraits():
    return Portraits(32).sample_rolls(MANY, {"hair": MANY % 5})


@pytest.mark.parametrize("sample", [rolls_of_vehicles, rolls_of_portraits])
def test_the_latents_of_a_world_are_standard_normal(sample):
    rolls = sample()
    z = torch.special.ndtri(rolls)
    n, r = z.shape
    bound = 4.5 / n**0.5  # standard errors, of more than a thousand correlations
    assert z.mean(0).abs().max() < bound
    assert (z.var(0) - 1).abs().max() < 2**0.5 * bound
    assert (torch.corrcoef(z.T) - torch.eye(r)).abs().max() < 1.1 * bound
    levels = torch.linspace(0.05, 0.95, 19)
    below = torch.stack([(rolls < level).double().mean(0) for level in levels])
    assert (below - levels[:, None]).abs().max() < 0.5 * bound


def test_given_dice_roll_what_the_dice_roll_also_of_some_images():
    dice = Dice(7, SOME)
    given, some = GivenDice(dice.first(9)), torch.tensor([5, 2])
    for own, shown in ((dice, given), (dice.of(some), given.of(some))):
        for roll in (
            lambda d: d.below(5),
            lambda d: d.between(-0.3, 0.7),
            lambda d: d.weighted([0.2, 0.5, 0.3]),
            lambda d: d.several(6, 2, 3),
        ):
            assert torch.equal(roll(shown), roll(own))
    assert torch.equal(dice.of(some).first(9), dice.first(9)[some])


@pytest.mark.parametrize("n", range(2, 9))
def test_rolls_of_values_are_read_as_them_and_kept_where_they_are(n):
    roll = Dice(n, MANY).first(1)[:, 0]
    own = GivenDice(roll[:, None]).below(n)
    assert (rolls_of(own, n, roll) - roll).abs().max() < 2e-6
    edges = torch.arange(1, n, dtype=torch.float64) / n
    roll = torch.cat([roll, edges - 1e-8, edges, edges + 1e-8])
    for value in range(n):
        asked = rolls_of(torch.full(roll.shape, value), n, roll)
        assert (GivenDice(asked[:, None]).below(n) == value).all()


@pytest.mark.parametrize("changed", [{"kinds": ["car"]}, {"counts": {"car": 5}}, {"colour": "red"}])
def test_vehicles_that_are_not_as_rolled_have_no_rolls(changed):
    with pytest.raises(DataError, match="drop kinds, counts, colour and augment"):
        Vehicles(16, rolls=True, **changed)
    with pytest.raises(DataError, match="drop people"):
        Portraits(32, people=3, rolls=True)


def test_rolls_are_counted():
    assert sample_rolls("val", SOME).shape == (96, ROLLS)
