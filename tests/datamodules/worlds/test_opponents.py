"""Flowers in opponent colours: pure functions of (world seed, i), and what each modality lacks."""

from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from datamodules.errors import DataError
from datamodules.worlds.opponents.world import (
    CLASSES,
    FLOWERS,
    Flowers,
    Opponents,
    label_of,
    opponent,
    render,
)

INDEX = torch.arange(40)
CHANNELS = {"rg": (0, 1), "gb": (1, 2)}
ALIKE = {
    "rg": {("daisy", "aster"), ("primrose", "buttercup")},
    "gb": {("periwinkle", "geranium"), ("lily", "amaryllis")},
}
SAME_SHAPE = [(a, b) for a, b in combinations(CLASSES, 2) if FLOWERS[a].shape == FLOWERS[b].shape]


def small(**changes):
    counts = {"images_per_set": 20, "n_val": 10, "n_test": 30}
    return Opponents(**{"image_size": 16, **counts, **changes})


@pytest.fixture(scope="module")
def as_class():
    """The same 40 flowers, were they all of one class."""
    number = torch.zeros_like(INDEX)
    return {name: render(0, INDEX, number + k, 32) for k, name in enumerate(CLASSES)}


@pytest.fixture(scope="module")
def flowers():
    index = torch.arange(600)
    return render(0, index, label_of(index), 32), label_of(index).numpy()


@pytest.mark.parametrize("size", [17, 32])
def test_an_image_does_not_depend_on_its_neighbours(size):
    together = render(3, INDEX, label_of(INDEX), size)
    for i in (0, 13, 38):
        alone = torch.tensor([i])
        assert torch.equal(render(3, alone, label_of(alone), size)[0], together[i])
    assert not torch.equal(render(4, INDEX, label_of(INDEX), size), together)


def test_opponents_are_halved_differences_of_the_same_image():
    scenes = small().split("test")
    batch = scenes.fetch(range(30))
    red, green, blue = batch["rgb"].unbind(1)
    for name, half in (("rg", (red - green) / 2), ("gb", (green - blue) / 2)):
        error = half - batch[name][:, 0]
        assert error.min() > -1e-6
        assert error.max() < 1 / 255 + 1e-6
        assert batch[name].shape == (30, 1, 16, 16)
    extremes = torch.tensor([[255, 0, 255], [0, 255, 0]], dtype=torch.uint8)[:, :, None, None]
    assert opponent(extremes, 0, 1).flatten().tolist() == [255, 0]


@pytest.mark.parametrize("modality", ["rg", "gb"])
def test_a_modality_shows_some_classes_exactly_alike(modality, as_class):
    """Of the same flower in either class; two levels are rounding, of 8 bits and of the half."""
    pictures = {name: opponent(rgb, *CHANNELS[modality]) for name, rgb in as_class.items()}
    for pair in SAME_SHAPE:
        one, other = (pictures[name].float() for name in pair)
        apart = (one - other).abs().amax((1, 2, 3))
        assert (apart <= 2).all() if pair in ALIKE[modality] else (apart > 15).all(), pair


def features(pictures):
    """Histograms of the middle of each picture."""
    middle = pictures[..., 8:24, 8:24].flatten(1).numpy()
    return np.stack([np.histogram(p, bins=32, range=(0, 256))[0] for p in middle]) / 256


@pytest.mark.parametrize("modality", ["rg", "gb"])
def test_a_linear_classifier_tells_the_other_pairs_of_one_shape_apart(modality, flowers):
    """Trained on one half of different flowers and tested on the other half."""
    rgb, y = flowers
    x = features(opponent(rgb, *CHANNELS[modality]))
    for pair in SAME_SHAPE:
        rows = np.flatnonzero(np.isin(y, [CLASSES.index(name) for name in pair]))
        train, test = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        judge = LogisticRegression(C=1000, max_iter=300).fit(x[train], y[train])
        accuracy = judge.score(x[test], y[test])
        assert accuracy < 0.7 if pair in ALIKE[modality] else accuracy > 0.85, (pair, accuracy)


def test_a_changed_class_of_one_shape_changes_the_petals_only(as_class):
    """Leaves in the corners and hearts in the middle are the same, and most of the petals not."""
    one, other = as_class["primrose"].float(), as_class["geranium"].float()
    change = (one - other).abs().amax(1)
    assert change[:, [0, 0, -1, -1], [0, -1, 0, -1]].max() == 0
    share = (change > 20).float().mean((1, 2))
    assert share.min() > 0.08
    assert share.max() < 0.7


def test_parts_share_no_flower_and_have_all_classes_equally():
    data, judge = small(), Flowers(image_size=16, train_images=20, held_out_images=10)
    data.setup("fit")
    scenes = [data.training_set("a"), data.training_set("b"), data.split("val"), data.split("test")]
    ids = [identity for each in scenes for identity in each.ids]
    assert len(set(ids)) == len(ids) == 80
    splits = [judge.split(name) for name in ("train", "val", "test")]
    images = [render_ids(each) for each in scenes] + [each.pixels for each in splits]
    assert len(torch.cat(images).flatten(1).unique(dim=0)) == 120
    for fields in [each.fields for each in (*scenes, *splits)]:
        assert len(fields["label"].bincount(minlength=10).unique()) == 1


def render_ids(scenes):
    index = torch.tensor([int(identity.removeprefix("flower-")) for identity in scenes.ids])
    return render(0, index, scenes.fields["label"], 16)


def test_a_set_has_its_modalities_only_and_held_out_flowers_all():
    data = small(sets={"one": ["gb"], "two": ["rgb", "rg"]})
    batch = next(iter(data.train_dataloader()))
    assert set(batch["one"]) == {"gb", "label", "index"}
    assert set(batch["two"]) == {"rgb", "rg", "label", "index"}
    assert set(data.split("val").fetch([0])) == {"rg", "gb", "rgb", "label", "index"}
    assert not small().seen("gb", "rgb")
    assert small().class_names == Flowers().class_names == CLASSES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sets": {"a": ["rg", "by"]}}, "'by', which is not among rg, gb, rgb"),
        ({"image_size": 8}, "image_size is 8; give 16 to 128"),
        ({"n_test": 0}, "0 images were asked for"),
        ({"world_seed": -1}, "world_seed is -1"),
    ],
)
def test_impossible_requests_are_named(arguments, message):
    with pytest.raises(DataError, match=message):
        small(**arguments)
