"""Vehicles: pure functions of (split, i) with true labels."""

import pytest
import torch

from datamodules.errors import DataError
from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.vehicles.world import COLOURS, KINDS, Vehicles, render, sample_factors

INDEX = torch.arange(64)
names = list(COLOURS)


def noon(**changes):
    factors = sample_factors("train", INDEX)
    changes = {"light": 0, **changes}
    return {**factors, **{k: torch.full_like(factors[k], v) for k, v in changes.items()}}


def test_dice_depend_on_seed_index_and_roll_only():
    dice = Dice(3, torch.arange(10_000))
    first, second = dice.between(0, 1), dice.between(0, 1)
    assert torch.equal(Dice(3, torch.tensor([7])).between(0, 1), first[7:8])
    assert not torch.equal(Dice(4, torch.arange(10_000)).between(0, 1), first)
    correlation = torch.corrcoef(torch.stack([first, second]))[0, 1]
    assert abs(float(correlation)) < 0.03
    assert abs(float(first.mean()) - 0.5) < 0.01
    shares = Dice(5, torch.arange(10_000)).weighted([0.5, 0.3, 0.2]).bincount() / 10_000
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.3, 0.2]), atol=0.02, rtol=0)


def test_an_image_does_not_depend_on_its_neighbours():
    together = render("val", INDEX, sample_factors("val", INDEX), 24)
    for i in (0, 13, 62):
        alone = torch.tensor([i])
        assert torch.equal(render("val", alone, sample_factors("val", alone), 24)[0], together[i])


def test_splits_share_no_image():
    images = [render(s, INDEX, sample_factors(s, INDEX), 16) for s in ("train", "val", "test")]
    assert len(torch.cat(images).flatten(1).unique(dim=0)) == 3 * len(INDEX)


@pytest.mark.parametrize("colour", range(len(COLOURS)))
def test_the_colour_label_is_the_colour_of_the_body(colour):
    """The well-lit pixels that the label changes most have on average the labelled colour."""
    images, white, black = (
        render("train", INDEX, noon(colour=c), 32).float() / 255
        for c in (colour, names.index("white"), names.index("black"))
    )
    change = (white - black).amin(1)
    body = change > 0.8 * change.amax((1, 2), keepdim=True)
    seen = torch.stack([im[:, where].mean(1) for im, where in zip(images, body, strict=True)])
    nearest = torch.cdist(seen, torch.tensor(list(COLOURS.values()))).argmin(1)
    assert (nearest == colour).all()
    assert body.float().mean(dim=(1, 2)).min() > 0.01


def test_place_and_length_labels_bound_the_vehicle():
    red, green = (render("train", INDEX, noon(colour=c), 64).float() for c in (0, 3))
    factors = sample_factors("train", INDEX)
    for i in range(len(INDEX)):
        columns = torch.nonzero((red[i] - green[i]).abs().amax((0, 1)) > 20).flatten()
        left, right = columns.min() / 64, (columns.max() + 1) / 64
        assert abs((left + right) / 2 - factors["x"][i]) < 0.03
        assert abs((right - left) - factors["length"][i]) < 0.05


@pytest.mark.parametrize("factor", ["background", "light", "facing_left"])
def test_a_changed_factor_changes_the_picture(factor):
    factors = noon(background=0, facing_left=False)
    changed = {**factors, factor: torch.ones_like(factors[factor])}
    before, after = (render("train", INDEX, f, 32).float() for f in (factors, changed))
    assert ((before - after).abs().mean(dim=(1, 2, 3)) > 1).all()


def test_kinds_look_different():
    """The nearest mean picture names the kind of an unseen silhouette."""
    fixed = {"colour": 0, "background": 3, "facing_left": False}
    index = torch.arange(240)

    def plain(split):
        factors = sample_factors(split, index)
        factors |= {k: torch.full_like(factors[k], v) for k, v in fixed.items()}
        factors |= {"light": torch.zeros_like(index), "x": torch.full((240,), 0.5)}
        factors |= {"y": torch.full((240,), 0.8)}
        return render(split, index, factors, 16).float().flatten(1)

    train, test, kind = plain("train"), plain("test"), index % 4
    means = torch.stack([train[kind == k].mean(0) for k in range(4)])
    assert (torch.cdist(test, means).argmin(1) == kind).float().mean() > 0.8


def test_a_mix_keeps_its_proportions():
    data = Vehicles(image_size=16, counts={"car": 6, "bus": 14}, held_out_images=7)
    splits = data.describe()["splits"]
    assert splits["train"]["per_class"] == {"bus": 14, "car": 6, "truck": 0, "van": 0}
    assert splits["val"]["per_class"] == {"bus": 7, "car": 3, "truck": 0, "van": 0}
    assert torch.equal(data.split("train").fields["label"], data.split("train").fields["kind"])


def test_colour_changes_nothing_but_the_colour():
    any_colour = Vehicles(image_size=16, kinds=["van"], train_images=20).split("train").fields
    red = Vehicles(image_size=16, kinds=["van"], train_images=20, colour="red", relabel=True)
    fields = red.split("train").fields
    assert fields["colour"].unique().tolist() == [names.index("red")]
    assert fields["label"].unique().tolist() == [0]
    assert red.class_names == ["van"]
    same = any_colour.keys() - {"colour", "label"}
    assert all(torch.equal(fields[name], any_colour[name]) for name in same)


def test_batches_carry_every_factor():
    batch = next(iter(Vehicles(image_size=16, train_images=5, batch_size=8).train_dataloader()))
    assert batch["image"].shape == (8, 3, 16, 16)
    assert batch["image"].abs().max() <= 1
    assert set(batch) == {"image", "label", "index", *sample_factors("train", INDEX)}
    assert len(KINDS) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"counts": {"tram": 3}}, "no kind tram; the kinds are bus, car, truck, van"),
        ({"counts": {"car": 0}}, "0 images of car"),
        ({"kinds": []}, "empty"),
        ({"kinds": ["car"], "counts": {"car": 3}}, "drop kinds"),
        ({"colour": "pink"}, "no colour pink"),
        ({"train_images": 0}, "1 or more"),
    ],
)
def test_impossible_requests_are_named(arguments, message):
    with pytest.raises(DataError, match=message):
        Vehicles(**arguments)
