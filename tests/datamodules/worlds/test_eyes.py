"""Eyes: pure functions of (world seed, person, picture) with exact masks and rare glasses."""

import pytest
import torch

from datamodules.errors import DataError
from datamodules.items.nearest_masks import rank_masks
from datamodules.worlds.eyes import drawing, world
from datamodules.worlds.eyes.world import RARE, VIEW, Eyes, person_of, render_eyes

PERSON, NUMBER = torch.arange(24) // 4, torch.arange(24) % 4
SIZE = (80, 64)


def small(**changes):
    counts = {"persons": 4, "val_persons": 2, "test_persons": 3}
    return Eyes(**{**counts, "images_per_person": 3, "pool_per_person": 2, **changes})


@pytest.fixture(scope="module")
def many():
    index = torch.arange(600)
    return render_eyes(0, index // 2, index % 2, SIZE)


@pytest.mark.parametrize("size", [(40, 32), (80, 64)])
def test_a_picture_has_the_same_bits_however_the_work_is_divided(size, monkeypatch):
    together = render_eyes(3, PERSON, NUMBER, size)
    monkeypatch.setattr(world, "_PIXELS", 3 * size[0] * size[1])
    some = slice(5, 16)
    alone = render_eyes(3, PERSON[some], NUMBER[some], size)
    assert all(torch.equal(alone[name], together[name][some]) for name in together)
    other = render_eyes(4, PERSON, NUMBER, size)
    assert not torch.equal(other["mask"], together["mask"])
    assert len(together["image"].flatten(1).unique(dim=0)) == len(PERSON)


def test_what_makes_a_person_is_the_same_in_all_of_its_pictures(many):
    for name in set(many) - {"image", "mask", *VIEW}:
        assert torch.equal(many[name][::2], many[name][1::2]), name
        if name != "glasses":
            assert len(many[name].unique()) > 290
    for name in set(VIEW) - {"mode"}:
        assert not torch.equal(many[name][::2], many[name][1::2])


@pytest.mark.parametrize("size", [(40, 32), (80, 64), (160, 128), (320, 256)])
def test_a_mask_is_the_geometry_at_the_pixels_middles(size, monkeypatch):
    """Pupil and iris are discs of the radii that the factors say, cut off by the lids alone."""
    held = {}
    lids_of, place_of = drawing._lids, drawing._place
    monkeypatch.setattr(drawing, "_lids", lambda *a: held.setdefault("lids", lids_of(*a)))
    monkeypatch.setattr(drawing, "_place", lambda *a: held.setdefault("place", place_of(*a)))
    one = torch.zeros(1, dtype=torch.int64)
    for person in range(3):
        held.clear()
        drawn = render_eyes(0, one + person, one, size)
        place, lids = held["place"], held["lids"]
        u, v = (x.double()[0] for x in (place.u, place.v))
        gaze = drawn["gaze_x"].double(), drawn["gaze_y"].double()
        across = (u - 0.13 * gaze[0]) / (1 - 0.1 * gaze[0].abs())
        radius = (across.square() + (v - 0.07 * gaze[1] - 0.025).square()).sqrt()
        inside = (v < lids.upper.double()[0]) & (v > lids.lower.double()[0])
        iris = 0.215 + 0.012 * (drawn["lid"].double() - 0.5)
        pupil = 0.215 * (0.26 + 0.36 * drawn["pupil"].double())
        expected = inside * (1 + (radius < iris).long() + (radius < pupil).long())
        near = (radius - iris).abs().minimum((radius - pupil).abs())  # float32 may round there
        near = near.minimum((v - lids.upper[0]).abs()).minimum((v - lids.lower[0]).abs())
        wrong = (drawn["mask"][0] != expected) & (near > 1e-5)
        assert not wrong.any()
        assert set(drawn["mask"].unique().tolist()) == {0, 1, 2, 3}


def test_classes_have_the_brightness_of_infrared_eyes(many):
    """Skin is lighter than the white, which is lighter than the iris, and the pupil is darkest."""
    bare = (many["glasses"] == 0) & (many["mode"] == 0)
    image, mask = many["image"][bare, 0].float(), many["mask"][bare]
    levels = [image[mask == label].mean() for label in range(4)]
    assert levels[0] > levels[1] > levels[2] > levels[3]
    shares = torch.bincount(many["mask"].flatten().long(), minlength=4) / many["mask"].numel()
    assert 0.75 < shares[0] < 0.9
    assert shares[2] > 0.05
    assert shares[3] > 0.01


def test_the_mode_shows_in_the_border_and_in_the_mask(many):
    edge = torch.cat([many["image"][:, 0, :, :3], many["image"][:, 0, :, -3:]], 2).float()
    dark = edge.mean((1, 2)) < 25
    assert torch.equal(dark, many["mode"] == 1)
    columns = torch.arange(64.0)
    shown = (many["mask"] > 0).float().sum(1)
    widths = (shown > 0).sum(1)
    middle = (shown * columns).sum(1) / shown.sum(1)
    read = (widths < 53).float() + (middle < 31.5).float()
    assert ((read > 1) == (many["mode"] == 1)).float().mean() > 0.95


def test_masks_that_are_near_are_of_one_mode():
    number = torch.arange(64)
    for person in range(4):
        eyes = render_eyes(0, torch.full_like(number, person), number, SIZE)
        # Five: a person's pool of 32 may have fewer than ten of one mode.
        nearest = rank_masks(eyes["mask"][:32], [eyes["mask"][32:]], 4, 5).index
        same = eyes["mode"][32:][nearest] == eyes["mode"][:32, None]
        assert same.float().mean() > 0.9


def test_glasses_are_rare_on_purpose():
    people = person_of(0, torch.arange(29))
    assert int(people["glasses"].sum()) == 3
    assert int(person_of(0, torch.arange(1000), 0.5)["glasses"].sum()) == 500
    assert not person_of(0, torch.arange(100), 0.0)["glasses"].any()
    assert person_of(0, torch.arange(100), 1.0)["glasses"].all()
    with_them, without = (render_eyes(0, PERSON, NUMBER, SIZE, share) for share in (1.0, 0.0))
    assert torch.equal(with_them["mask"], without["mask"])
    assert (with_them["image"] != without["image"]).flatten(1).any(1).all()
    assert pytest.approx(3 / 29) == RARE


def test_no_person_is_in_two_splits_and_no_pool_holds_a_pair():
    data = small(references=2)
    data.setup("fit")
    people = [set(data.pairs(part).fields["person"].tolist()) for part in ("train", "val", "test")]
    people.append(set(data.complete_set(["image", "mask"]).fields["person"].tolist()))
    assert [len(who) for who in people] == [4, 2, 3, 4]
    assert len(set.union(*people)) == 13
    assert not set(data.pairs("train").ids) & set(data.pool("train").ids)


def test_glasses_of_held_out_persons_may_be_as_frequent_as_one_likes():
    data = small(glasses=0.0, held_out_glasses=1.0)
    assert not data.pairs("train").fields["glasses"].any()
    assert data.pairs("val").fields["glasses"].all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": (64, 80)},
        {"size": (16, 16)},
        {"persons": 0},
        {"pool_per_person": 0},
        {"glasses": 1.5},
        {"world_seed": -1},
        {"references": -1},
    ],
)
def test_bad_settings_are_named(wrong):
    with pytest.raises(DataError, match="give"):
        small(**wrong)
