"""Bags: pure functions of (world seed, i, values, style) whose colour and texture change alone."""

import colorsys

import pytest
import torch
from torch.nn import functional as F

from datamodules.errors import DataError
from datamodules.items.splits import to_unit_range
from datamodules.labelled.source import Hand
from datamodules.worlds.bags.pairs import BagEdges
from datamodules.worlds.bags.world import COLOURS, Bags, texture_energy

INDEX = torch.arange(48)
FRESH = torch.arange(1000) + 2**40 + 77_000_000  # neither dealt nor used to choose the threshold
VALUES = {name: len(values) for name, values in Bags.attributes.items()}


def render(index=INDEX, size=32, style=0, **values):
    given = {name: torch.full_like(index, value) for name, value in values.items()}
    return Bags(size).render(index, given, style)


def inside(mask, margin):
    """Return what is more than `margin` pixels away from the rest of the image."""
    around = F.pad(mask.float(), (margin,) * 4)
    return -F.max_pool2d(-around, 2 * margin + 1, 1) == 1


def energy_of(image, mask):
    """Return the texture energy of a 32 px image (3, 32, 32), in float64 and pixel by pixel."""
    found = []
    for y in range(2, 30):
        for x in range(2, 30):
            if mask[0, y - 2 : y + 3, x - 2 : x + 3].all():
                mean = image[:, y - 1 : y + 2, x - 1 : x + 2].double().mean((1, 2))
                found.append((image[:, y, x].double() - mean).abs().mean())
    return torch.stack(found).median()


@pytest.mark.parametrize("size", [33, 64])
def test_an_image_does_not_depend_on_its_neighbours(size):
    together = render(size=size)
    for i in (0, 13, 47):
        alone = render(torch.tensor([i]), size)
        assert all(torch.equal(alone[name][0], together[name][i]) for name in together)
    other = Bags(size, world_seed=1).render(INDEX, {})
    assert not torch.equal(other["image"], together["image"])
    assert not torch.equal(other["shape"], together["shape"])


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("name", ["colour", "texture"])
def test_colour_and_texture_show_in_the_mask_only(name, size):
    first, second = (render(size=size, **{name: value}) for value in (0, 1))
    changed = (first["image"] != second["image"]).any(1, keepdim=True)
    mask = first["mask"] == 1
    assert not changed[~mask].any()
    share = (changed & mask).sum((1, 2, 3)) / mask.sum((1, 2, 3))
    assert share.min() > (0.95 if name == "colour" else 0.2)
    for field in set(first) - {"image", name}:
        assert torch.equal(first[field], second[field]), field


def test_a_pattern_shows_on_textured_bags_only():
    flat = [render(texture=0, pattern=value)["image"] for value in range(4)]
    textured = [render(texture=1, pattern=value)["image"] for value in range(4)]
    for a, b in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        assert torch.equal(flat[a], flat[b])
        assert (textured[a] != textured[b]).flatten(1).any(1).all()


@pytest.mark.parametrize("name", ["strap", "background"])
def test_a_strap_and_what_lies_behind_leave_the_body_as_it_was(name):
    bags = [render(**{name: value}) for value in range(VALUES[name])]
    body = inside(bags[0]["mask"], 1).expand(-1, 3, -1, -1)
    for bag in bags[1:]:
        assert torch.equal(bag["image"][body], bags[0]["image"][body])
        assert (bag["image"] != bags[0]["image"]).flatten(1).any(1).all()
        for field in set(bag) - {"image", name}:
            assert torch.equal(bag[field], bags[0][field]), field


def test_a_shape_changes_the_outline_and_no_other_value():
    bags = [render(shape=value) for value in range(VALUES["shape"])]
    for bag in bags[1:]:
        assert (bag["mask"] != bags[0]["mask"]).flatten(1).any(1).all()
        for field in set(bag) - {"image", "mask", "shape"}:
            assert torch.equal(bag[field], bags[0][field]), field


def test_styles_change_the_shade_in_the_mask_and_nothing_else():
    world = Bags()
    black = world.load(Hand(INDEX, {"colour": torch.ones_like(INDEX)}))
    shown = world.true_styles(black.fields, {"colour": "red"}, 4)
    assert shown.shape == (48, 4, 3, 32, 32)
    mask = black.fields["mask"][:, None].expand_as(shown) == 1
    original = black.pixels[:, None].expand_as(shown)
    assert torch.equal(shown[~mask], original[~mask])
    for style in range(4):
        read = world.verdicts(to_unit_range(shown[:, style]), black.fields)
        assert (read["colour"] == 0).float().mean() > 0.97  # bold prints lighten a dark red
        assert (read["texture"] == black.fields["texture"]).float().mean() > 0.9
    shades = torch.stack([render(style=style)["shade"] for style in range(5)])
    assert shades.std(0).mean() > 0.2
    assert shades[0].equal(black.fields["shade"])


@pytest.mark.parametrize("name", COLOURS)
def test_flat_bags_have_the_hues_and_the_range_of_values_of_their_colour(name):
    tone = COLOURS[name]
    bags = render(torch.arange(200), colour=list(COLOURS).index(name), texture=0)
    pixels = bags["image"] / 255 * inside(bags["mask"], 2)
    darkest, lightest = pixels.amax((1, 2, 3)).aminmax()
    # Shading takes a fifth at most, gloss adds 0.15 at most.
    assert 0.8 * tone.value[0] - 0.02 < darkest < tone.value[0] + 0.15
    assert 0.8 * tone.value[1] < lightest <= 1
    if name != "black":  # which has any hue
        mean = pixels.sum((2, 3)) / pixels.sum((1, 2, 3))[:, None]
        hue = torch.tensor([colorsys.rgb_to_hsv(*rgb)[0] for rgb in mean.tolist()])
        low, high = ((hue - tone.hue[0] + 0.5) % 1 - 0.5 + tone.hue[0]).aminmax()
        width = tone.hue[1] - tone.hue[0]
        assert tone.hue[0] - 0.005 < low < tone.hue[0] + 0.1 * width
        assert tone.hue[1] - 0.1 * width < high < tone.hue[1] + 0.005


@pytest.mark.parametrize("size", [32, 64])
def test_verdicts_err_on_one_image_in_a_hundred(size):
    world = Bags(size)
    bags = world.render(FRESH, {})
    read = world.verdicts(to_unit_range(bags["image"]), bags)
    assert set(read) == {"colour", "texture"}
    assert (read["colour"] != bags["colour"]).float().mean() < 0.005
    for value in (0, 1):
        those = bags["texture"] == value
        assert (read["texture"][those] != value).float().mean() < 0.02


def test_verdicts_look_at_the_image_and_not_at_the_fields():
    fields = render(colour=1, texture=0)
    images = to_unit_range(render(colour=0, texture=1)["image"])
    read = Bags().verdicts(images, fields)
    assert (read["colour"] == 0).float().mean() > 0.95
    assert (read["texture"] == 1).float().mean() > 0.95


def test_noise_that_a_method_leaves_on_every_bag_is_no_texture():
    bags = render(FRESH[:400])
    images = to_unit_range(bags["image"])
    noisy = images + 0.04 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    first, rest = slice(200), slice(200, None)
    fields = {name: value[rest] for name, value in bags.items()}
    world, flat = Bags(), fields["texture"] == 0
    assert (world.verdicts(noisy[rest], fields)["texture"][flat] == 1).float().mean() > 0.3
    allowed = world.calibrate(noisy[first], {name: value[first] for name, value in bags.items()})
    read = world.verdicts(noisy[rest], fields | allowed)["texture"]
    assert (read[flat] == 1).float().mean() < 0.1
    assert (read[~flat] == 1).float().mean() > 0.9
    clean = world.calibrate(images[first], {name: value[first] for name, value in bags.items()})
    assert torch.equal(
        world.verdicts(images, bags | clean)["texture"], world.verdicts(images, bags)["texture"]
    )


def test_a_method_that_prints_on_every_bag_is_not_let_off():
    flat, printed = (render(FRESH[:100], texture=value) for value in (0, 1))
    allowed = Bags().calibrate(to_unit_range(printed["image"]), flat)
    read = Bags().verdicts(to_unit_range(printed["image"]), flat | allowed)["texture"]
    assert read.float().mean() > 0.5
    assert Bags().calibrate(to_unit_range(printed["image"]), printed) == {}


def test_texture_energy_is_the_median_detail_inside_the_mask():
    bags = render(INDEX[:6])
    images = to_unit_range(bags["image"])
    expected = torch.stack(
        [energy_of(image, mask) for image, mask in zip(images, bags["mask"], strict=True)]
    )
    torch.testing.assert_close(texture_energy(images, bags["mask"]).double(), expected)


def test_texture_energy_hardly_depends_on_the_size():
    small, large = (
        texture_energy(to_unit_range(bags["image"]), bags["mask"])
        for bags in (render(FRESH[:300], size, texture=1) for size in (32, 128))
    )
    assert (large / small).log().abs().median() < 0.1
    assert texture_energy(torch.zeros(1, 3, 40, 40), torch.zeros(1, 1, 40, 40)).isnan()


def test_values_are_given_or_rolled_evenly_and_independently():
    index = torch.arange(1200)
    asked = torch.where(index < 600, 2, -1)
    bags = Bags().render(index, {"shape": asked})
    assert (bags["shape"][:600] == 2).all()
    free = Bags().render(index, {})
    for name in set(VALUES) - {"shape"}:
        assert torch.equal(bags[name], free[name])
    assert torch.equal(bags["shape"][600:], free["shape"][600:])
    for name, count in VALUES.items():
        pairs = free[name] * 2 + free["texture"] if name != "texture" else free[name]
        cells = count * 2 if name != "texture" else count
        share = pairs.bincount(minlength=cells) * cells / 1200
        assert 0.75 < share.min() <= share.max() < 1.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 31}, "image_size is 31; give 32 to 128"),
        ({"image_size": 129}, "image_size is 129; give 32 to 128"),
        ({"world_seed": -1}, "world_seed is -1"),
    ],
)
def test_impossible_worlds_are_named(arguments, message):
    with pytest.raises(DataError, match=message):
        Bags(**arguments)


def edges(size=32, **values):
    given = {name: torch.full_like(INDEX, value) for name, value in values.items()}
    return Bags(size).render_with_edges(INDEX, given)


@pytest.mark.parametrize("size", [32, 64])
def test_edges_tell_nothing_of_the_style(size):
    first, second = (edges(size, colour=c, texture=t, pattern=1) for c, t in ((0, 0), (4, 1)))
    assert torch.equal(first["edges"], second["edges"])
    assert not torch.equal(first["image"], second["image"])
    assert not torch.equal(edges(size, shape=0)["edges"], edges(size, shape=2)["edges"])


def test_edges_are_at_the_borders_of_what_is_drawn():
    made = edges(64)
    body, lines = made["mask"].float(), made["edges"] < 128
    border = F.max_pool2d(body, 3, 1, 1) - -F.max_pool2d(-body, 3, 1, 1) > 0
    near = F.max_pool2d(lines.float(), 3, 1, 1) > 0
    assert near[border].float().mean() > 0.99
    assert 0.03 < lines.float().mean() < 0.15
    white = (made["image"] == 255).all(1)
    assert 0.3 < white.float().mean() < 0.9  # blank but for the bag


def test_pairs_are_known_in_one_split_each_with_their_styles():
    data = BagEdges(32, pairs=12, val_pairs=5, test_pairs=4)
    data.setup("fit")
    ids = [each for part in (data.training_set("pairs"), data.split("val"), data.split("test"))
           for each in part.ids]  # fmt: skip
    assert len(set(ids)) == 21
    fetched = data.training_set("pairs").fetch(range(12))
    assert fetched["edges"].shape == (12, 1, 32, 32)
    truth = data.style_truth(fetched)
    inside = fetched["mask"][0] == 1
    expected = (fetched["image"][0][:, inside] / 2 + 0.5).mean(1)
    torch.testing.assert_close(truth["tone"][0], expected)
    flat = fetched["texture"] == 0
    assert (truth["pattern"].sum(1) == 1 - flat.float()).all()
    assert (truth["print"][flat] == 0).all()
    with pytest.raises(DataError, match="The number of pairs is 0"):
        BagEdges(pairs=0)
