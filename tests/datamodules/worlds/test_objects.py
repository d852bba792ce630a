"""Objects in any colour: pure functions of (world seed, i), alike outside their masks."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from datamodules.errors import DataError
from datamodules.worlds.objects.world import (
    COLOURS,
    SHAPES,
    ObjectColours,
    Objects,
    paint,
    sample_factors,
    sample_tones,
    tone,
)

INDEX = torch.arange(60)
SOME = ["red", "blue", "white"]


def small(**changes):
    counts = {"images_per_set": 12, "n_val": 6, "n_test": 30}
    return Objects(**{"colours": SOME, "image_size": 16, **counts, **changes})


def pictures(index, size, seed=0):
    factors = sample_factors(seed, index)
    return paint(seed, index, factors, size).fill(tone(index % len(COLOURS), factors))


@pytest.mark.parametrize("size", [17, 32])
def test_an_image_does_not_depend_on_its_neighbours(size):
    together = pictures(INDEX, size)
    for i in (0, 13, 59):
        assert torch.equal(pictures(torch.tensor([i]), size)[0], together[i])
    assert not torch.equal(pictures(INDEX, size, seed=1), together)


@pytest.mark.parametrize("size", [16, 64])
def test_a_held_out_object_differs_between_colours_in_its_mask_only(size):
    data = small(colours=None, image_size=size)
    assert data.aligned
    batch = data.split("test").fetch(range(30))
    colours = torch.stack([batch[name] for name in COLOURS])
    spread = (colours.amax(0) - colours.amin(0)).amax(1, keepdim=True)
    assert spread[batch["mask"] == 0].max() == 0
    assert spread[batch["mask"] == 1].min() > 1.5 / 127.5
    assert batch["mask"].dtype == torch.uint8
    covered = batch["mask"].float().mean((1, 2, 3))
    assert covered.min() > 0.05
    assert covered.max() < 0.6


def test_the_darkest_and_the_lightest_shade_of_a_colour_look_different():
    factors = sample_factors(0, INDEX)
    painting = paint(0, INDEX, factors, 16)
    for number in range(len(COLOURS)):
        colour = torch.full_like(INDEX, number)
        dark, light = (
            painting.fill(tone(colour, {**factors, "shade": torch.full((60,), shade)})).float()
            for shade in (0.0, 1.0)
        )
        assert (light - dark).amax((1, 2, 3)).min() > 15


def test_the_colour_in_the_mask_names_the_domain():
    """A linear judge of mean colours inside masks is nearly always right; outside, by chance."""
    data = small(colours=None, n_test=60)
    batch = data.split("test").fetch(range(60))
    label = torch.arange(len(COLOURS)).repeat_interleave(60)
    for part, low, high in ((batch["mask"], 0.85, 1.0), (1 - batch["mask"], 0.0, 0.1)):
        mean = [(batch[name] * part).sum((2, 3)) / part.sum((2, 3)) for name in COLOURS]
        x = torch.stack(mean)
        train, test = x[:, ::2].flatten(0, 1), x[:, 1::2].flatten(0, 1)
        judge = LogisticRegression(C=1000, max_iter=1000).fit(train, label[::2])
        assert low <= judge.score(test, label[1::2]) <= high


def test_domains_and_judges_share_no_object():
    data = small()
    judge = ObjectColours(SOME, image_size=16, train_images=36, held_out_images=18)
    data.setup("fit")
    parts = [data.training_set(name) for name in SOME] + [data.split("val"), data.split("test")]
    ids = [identity for part in parts for identity in part.ids]
    assert len(set(ids)) == len(ids) == 3 * 12 + 36
    rendered = [scenes.stored[next(iter(scenes.stored))] for scenes in parts]
    rendered += [judge.split(name).pixels for name in ("train", "val", "test")]
    assert len(torch.cat(rendered).flatten(1).unique(dim=0)) == len(ids) + 72


def test_a_domain_is_the_same_in_any_choice_of_colours():
    of_three, of_two = small(), small(colours=["green", "blue"])
    assert torch.equal(
        of_three.training_set("blue").stored["blue"], of_two.training_set("blue").stored["blue"]
    )
    assert [m.label for m in of_three.modalities.values()] == [0, 1, 2]
    assert of_three.sets == {"red": ["red"], "blue": ["blue"], "white": ["white"]}
    batch = next(iter(of_two.train_dataloader()))
    assert set(batch["green"]) == {"green", "shape", "shade", "saturation", "index"}


def test_shapes_and_colours_of_the_judges_images_are_balanced():
    data = ObjectColours(image_size=16, train_images=2 * len(SHAPES) * len(COLOURS))
    fields = data.split("train").fields
    pairs = fields["label"] * len(SHAPES) + fields["shape"]
    assert (pairs.bincount(minlength=66) == 2).all()
    assert data.class_names == list(COLOURS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"colours": ["red", "beige"]}, "no colour 'beige'; the colours are blue, brown"),
        ({"colours": ["red", "red"]}, "each once"),
        ({"colours": ["red"]}, "at least two"),
        ({"image_size": 256}, "image_size is 256; give 16 to 128"),
        ({"images_per_set": 0}, "0 images were asked for"),
        ({"world_seed": -1}, "world_seed is -1"),
    ],
)
def test_impossible_requests_are_named(arguments, message):
    with pytest.raises(DataError, match=message):
        small(**arguments)


def test_true_styles_are_the_same_objects_in_other_shades():
    data = small(image_size=32)
    items = data.split("test").fetch(range(12))
    styles = data.true_styles(items, "blue", 5)
    assert styles.shape == (12, 5, 3, 32, 32)
    mask = (items["mask"] == 1)[:, None].expand_as(styles)
    own = items["blue"][:, None]
    assert torch.equal(styles[~mask], own.expand_as(styles)[~mask])
    inside = (styles * mask).sum((2, 3, 4)) / mask.sum((2, 3, 4))
    assert inside.std(1).min() > 0.01  # every object varies over styles
    distance = (styles - own).abs().amax((2, 3, 4))
    assert distance.min() > 1 / 127.5  # none is the shade of the held-out picture
    assert torch.equal(
        styles[3:5, :2], data.true_styles({"number": items["number"][3:5]}, "blue", 2)
    )


def test_true_shades_are_as_spread_as_those_of_the_domain():
    data = small(image_size=16, images_per_set=300)
    some = sample_factors(data.world_seed, data.split("test").fields["number"])
    tones = sample_tones(data.world_seed, data.split("test").fields["number"], 40)
    shades = torch.stack([each["shade"] for each in tones], dim=1)
    assert abs(shades.mean() - 0.5) < 0.03
    assert abs(shades.std(1).mean() - 12**-0.5) < 0.03  # uniform
    assert abs(torch.corrcoef(torch.stack([some["shade"], shades.mean(1)]))[0, 1]) < 0.4


def test_shapes_are_judged_where_they_are_to_be_kept():
    data = small(unwanted=["shape"], n_judging=48)
    images, shape = data.judging_set("shape", 0)
    assert torch.bincount(shape).tolist() == [8] * len(SHAPES)
    of_colours, _ = data.judging_set("colour", 0)
    mine = {each.numpy().tobytes() for each in images}
    assert not any(each.numpy().tobytes() in mine for each in of_colours)
    assert (list(data.unwanted), list(data.attributes)) == (["shape"], ["colour", "shape"])
    with pytest.raises(DataError, match="not judged"):
        small().judging_set("shape", 0)
    with pytest.raises(DataError, match=r"give \[shape\]"):
        small(unwanted=["size"])


def test_the_number_of_a_held_out_object_makes_it():
    data = small()
    items = data.split("val").fetch(range(6))
    factors = sample_factors(0, items["number"])
    assert torch.equal(factors["shade"], items["shade"])
    assert torch.equal(paint(0, items["number"], factors, 16).mask, items["mask"])


def test_judging_sets_are_balanced_and_nobody_elses():
    data = Objects(colours=["red", "blue"], image_size=16, images_per_set=40, n_judging=48)
    images, label = data.judging_set("colour", 0)
    assert torch.bincount(label).tolist() == [24, 24]
    others = [data.judging_set("colour", 1)[0]]
    others += [data.training_set(name).fetch(range(40))[name] for name in data.colours]
    others += [data.split("val").fetch(range(40))[name] for name in data.colours]
    others.append(ObjectColours(["red", "blue"], 16).split("train").fetch(range(48))["image"])
    mine = {each.numpy().tobytes() for each in images}
    assert not any(each.numpy().tobytes() in mine for other in others for each in other)
    held_out = data.split("val").fetch(range(2))
    assert held_out["blue/colour"].tolist() == [data.wanted_value("blue")] * 2
