"""Faces: an attribute changes its mask only, a style colours only, and people stay who they are."""

import pytest
import torch
import torch.nn.functional as F

from datamodules.attributes import Attributes
from datamodules.biased import Biased
from datamodules.errors import DataError
from datamodules.segmented import Segmented
from datamodules.worlds.portraits.drawing import HAIR, MEASURES, PARTS, Painter
from datamodules.worlds.portraits.world import Portraits
from lit_synth.features.identity import FEWEST
from lit_synth.tensors.hashing import image_digests

INDEX = torch.arange(80)
WORLD = Portraits(32)
BARE = {"images": 16, "make_up": "no"}


def render(given=None, style=0, size=32, index=INDEX, **options):
    return Portraits(size, **options).render(index, given or {}, style)


def chosen(made):
    return {name: made[name] for name in WORLD.attributes}


def different(one, other):
    return (one["image"] != other["image"]).any(1, keepdim=True)


@pytest.mark.parametrize("size", [33, 64])
def test_a_photo_does_not_depend_on_its_neighbours(size):
    together = render(size=size)
    for i in (0, 13, 79):
        alone = render(size=size, index=INDEX[i : i + 1])
        for name, value in alone.items():
            assert torch.equal(value[0], together[name][i]), name
    assert not torch.equal(render(size=size, world_seed=1)["image"], together["image"])


@pytest.mark.parametrize("name", WORLD.attributes)
def test_a_change_of_an_attribute_changes_its_mask_only(name):
    before = render()
    for step in range(1, len(WORLD.attributes[name])):
        value = (before[name] + step) % len(WORLD.attributes[name])
        after = render({**chosen(before), name: value})
        changed, mask = different(before, after), before[f"mask_{name}"]
        assert not changed[mask == 0].any()
        assert (changed.flatten(1).sum(1) >= 10).all()
        assert changed[mask == 1].float().mean() > 0.9
        assert torch.equal(after[f"mask_{name}"], mask)
        for other in (*WORLD.attributes, "identity"):
            assert other == name or torch.equal(after[other], before[other])


def test_a_style_changes_colours_where_they_show_and_nothing_else():
    worn = {"hat": "hat", "make_up": "make_up", "glasses": "glasses", "hair": "hair"}
    first, second = render(style=0), render(style=1)
    shown = first["mask_hair"] == 1
    for name in ("hat", "make_up", "glasses"):
        shown |= (first[f"mask_{name}"] == 1) & (first[name] == 1)[:, None, None, None]
    changed = different(first, second)
    assert not changed[~shown].any()
    for name in worn:
        mask = (first[f"mask_{name}"] == 1) & (first[name] >= (name != "hair"))[:, None, None, None]
        assert changed[mask].float().mean() > 0.5
    assert all(torch.equal(value, second[name]) for name, value in first.items() if name != "image")


def test_a_person_is_the_same_in_every_photo_and_no_attribute_tells_who():
    world = Portraits(32, people=7)
    made = world.render(INDEX, {})
    assert torch.equal(made["identity"], INDEX % 7)
    assert made["identity"].dtype == torch.int64
    measures = world.measures(made["identity"])
    assert set(measures) == set(MEASURES)
    for name, value in measures.items():
        assert torch.equal(value[:70].view(10, 7), value[:7].expand(10, 7)), name
        assert len(value[:7].unique()) == 7
    assert all(len(made[name][::7].unique()) > 1 for name in world.attributes)


def test_another_person_in_the_same_photo_differs_in_the_face_but_not_behind_it():
    anybody, somebody = render(), render(people=1)
    changed = different(anybody, somebody)[1:]
    heads = ((anybody["mask"] | somebody["mask"]) == 1)[1:]
    assert changed[heads].float().mean() > 0.3
    assert not changed[:, :, :4, :3].any()  # above the shoulders, beside every head
    assert all(torch.equal(anybody[name], somebody[name]) for name in WORLD.attributes)


def test_rolled_attributes_are_balanced_and_given_ones_are_kept():
    given = {"hat": torch.where(INDEX % 2 == 0, 1, -1), "skin": torch.full_like(INDEX, 2)}
    made = render(given)
    free = render()
    assert (made["hat"][::2] == 1).all()
    assert torch.equal(made["hat"][1::2], free["hat"][1::2])
    assert (made["skin"] == 2).all()
    rolled = Portraits(32)._values(torch.arange(5000), {})
    for name, values in WORLD.attributes.items():
        share = rolled[name].bincount(minlength=len(values)) / 5000
        assert (share - 1 / len(values)).abs().max() < 0.03
        assert (rolled["hat"] - 0.5).mul(
            rolled[name] - rolled[name].float().mean()
        ).mean().abs() < (0.02 if name != "hat" else 1)


def test_no_layer_is_cut_off_by_its_band(monkeypatch):
    banded = render(size=64)
    monkeypatch.setattr(Painter, "band", lambda self, *_: self)
    whole = render(size=64)
    assert all(torch.equal(value, whole[name]) for name, value in banded.items())


@pytest.mark.parametrize("name", [None, "fringe", "smile", "gender", "hair"])
def test_verdicts_are_nearly_always_right(name):
    """On photos as they are, and with one attribute changed perfectly, in another style."""
    index = torch.arange(600)
    made = fields = render(index=index, world_seed=3)
    if name:
        value = (fields[name] + 1) % len(WORLD.attributes[name])
        made = render({**chosen(fields), name: value}, style=1, index=index, world_seed=3)
    read = WORLD.verdicts(made["image"].float() / 127.5 - 1, fields)
    assert set(read) == {"fringe", "glasses", "hat", "make_up", "smile", "hair", "skin"}
    wrong = {each: (read[each] != made[each]).float().mean().item() for each in read}
    assert max(wrong.values()) < 0.025, wrong


def test_true_styles_of_a_translation_wear_what_is_wanted():
    hand = WORLD.deal({"test": [{"images": 12, "hat": "no", "gender": "male"}]})["test"]
    fields = WORLD.load(hand).fields
    styles = WORLD.true_styles(fields, {"hat": "yes"}, 3)
    assert styles.shape == (12, 3, 3, 32, 32)
    for made in styles.unbind(1):
        assert (WORLD.verdicts(made.float() / 127.5 - 1, fields)["hat"] == 1).all()
    hats = styles.float() * fields["mask_hat"][:, None]
    assert (hats.std(1).amax((1, 2, 3)) > 5).all()


def test_people_can_be_learned_from_photos_that_no_part_of_the_data_has():
    portions = {"domains": {"bare": [BARE], "made_up": [{**BARE, "make_up": "yes"}]}}
    # As many people as are learned from: a photo of the same index would be the same photo.
    people = len(Portraits(32).identity_set()[1].unique())
    world = Portraits(32, people=people)
    biased = Biased(world, "make_up", ["gender"], **portions, n_val=8, n_test=8)
    many = Attributes(world, ["hat"], images=32, n_val=8, n_test=8)
    photos, shown = biased.identity_set()
    assert (shown.bincount() >= FEWEST).all()
    known = set(image_digests(photos))
    assert len(known) == len(photos)
    assert set(image_digests(many.identity_set()[0])) == known
    for data, name, field in ((biased, "bare", "bare"), (many, "images", "image")):
        for part in (data.training_set(name), data.split("val"), data.split("test")):
            pictures = part.fetch(range(8))
            assert known.isdisjoint(image_digests(pictures[field]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 16}, "image_size is 16; give 32 to 128"),
        ({"people": 0}, "people is 0; give 1 or more"),
        ({"world_seed": -1}, "world_seed is -1"),
    ],
)
def test_impossible_requests_are_named(options, message):
    with pytest.raises(DataError, match=message):
        Portraits(**options)


@pytest.mark.parametrize("size", [32, 128])
def test_parts_are_where_their_attributes_show(size):
    made = render(size=size, parts=True)
    parts, names = made["parts"], list(PARTS)
    assert parts.dtype == torch.uint8
    assert torch.equal(render(size=size)["image"], made["image"])
    for name in ("hat", "glasses"):
        worn = made[name] == 1
        shown = parts == names.index(name)
        assert torch.equal(shown.flatten(1).any(1), worn)
        assert (made[f"mask_{name}"][:, 0][shown] == 1).all()
    inside = -F.max_pool2d(-made["mask"].float(), 3, 1, 1)[:, 0] == 1  # of the head, off its rim
    assert (parts[inside] == 0).float().mean() < 0.02
    off = {name: torch.zeros(80, dtype=torch.int64) for name in ("hat", "glasses", "fringe")}
    bare = render({**chosen(made), **off}, size=size, parts=True)["parts"]
    counts = torch.stack([(bare == k).flatten(1).any(1).float().mean() for k in range(len(PARTS))])
    assert (counts[[names.index("hat"), names.index("glasses")]] == 0).all()
    everybodys = [names.index(name) for name in ("skin", "hair", "brows", "eyes", "nose", "mouth")]
    assert (counts[everybodys] > 0.9).all()


def test_a_part_has_the_colour_that_its_attribute_says():
    made = render({"hat": torch.zeros(80, dtype=torch.int64)}, size=64, parts=True)
    x = made["image"].float() / 255
    hair = (made["parts"] == list(PARTS).index("hair"))[:, None]
    mean = (x * hair).sum((2, 3)) / hair.sum((2, 3))
    shades = 0.75 * torch.tensor(list(HAIR.values())).mean(1)
    assert ((mean[:, None] - shades).abs().sum(2).argmin(1) == made["hair"]).float().mean() > 0.9


def test_pairs_of_labels_and_images_are_disjoint_between_parts_of_the_data():
    data = Segmented(Portraits(32, parts=True), images=8, n_val=4, n_test=4, batch_size=2)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))["pairs"]
    assert batch["parts"].shape == (2, 32, 32)
    assert batch["parts"].dtype == torch.int64
    assert batch["image"].shape == (2, 3, 32, 32)
    assert data.modalities["parts"].class_names == tuple(PARTS)
    complete = data.complete_set(["image"])
    assert list(complete.modalities) == ["image"]
    sets = [data.training_set("pairs"), data.split("val"), data.split("test"), complete]
    ids = [i for scenes in sets for i in scenes.ids]
    assert len(ids) == len(set(ids)) == 24


def test_a_source_without_parts_is_refused():
    with pytest.raises(DataError, match="parts: true"):
        Segmented(WORLD)
