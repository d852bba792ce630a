"""Many attributes of one set: labels, flips, balanced draws, what measures of bias ask for."""

import pytest
import torch
from scene_trees import write_image
from tiny_world import TinyWorld

from datamodules.attributes import Attributes
from datamodules.errors import DataError
from datamodules.items.balanced_stream import BalancedStream
from datamodules.items.splits import MemoryImages
from datamodules.items.stream import StreamLoader
from datamodules.labelled.source import LabelledSource
from datamodules.labelled.traits import Trait
from datamodules.unpaired import Unpaired

FLIPS = [{"class_path": "HorizontalFlip"}]


class Hats(TinyWorld):
    """Squares whose texture has three values."""

    attributes = {**TinyWorld.attributes, "texture": ("flat", "textured", "striped")}  # noqa: RUF012

    def render(self, index, given, style=0):
        made = super().render(index, given, style)
        return {**made, "mask_texture": made["mask"]}


class Remembers(TinyWorld):
    """A world that keeps the fields of what it has loaded."""

    def __init__(self):
        super().__init__()
        self.loaded = []

    def load(self, hand):
        images = super().load(hand)
        self.loaded.append(images.fields)
        return images


def data(world=TinyWorld, **options):
    settings = {"attributes": ["colour", "texture"], "images": 60, "n_val": 8, "n_test": 12}
    return Attributes(world(), **settings | options)


def world_of(items):
    """Return what the source said of held-out items."""
    return {**items, **{n.removeprefix("image/"): v for n, v in items.items()}}


def test_a_batch_has_images_and_their_labels():
    module = data(batch_size=10, augment=FLIPS)
    module.setup("fit")
    batch = next(iter(module.train_dataloader()))
    assert set(batch) == {"images"}
    assert set(batch["images"]) == {"image", "attributes", "index"}
    x, c = batch["images"]["image"], batch["images"]["attributes"]
    assert x.shape == (10, 3, 16, 16)
    assert c.dtype == torch.float32
    # A red square has red pixels: the labels are those of their images.
    red = ((x[:, 0] - x[:, 1]) > 0.4).flatten(1).any(1)
    assert torch.equal(c[:, 0], red.float())
    assert list(module.modalities) == ["image", "colour", "texture"]
    assert module.sets == {"images": ["image"]}


def test_held_out_items_of_a_world_show_the_true_flip_of_each_attribute():
    module = data()
    items = module.split("test").fetch(range(12))
    assert module.aligned
    known, mask = world_of(items), items["mask"].bool().expand(-1, 3, -1, -1)
    assert torch.equal(items["attributes"][:, 0], known["colour"].float())
    for column, name in enumerate(["colour", "texture"]):
        assert torch.equal(items[name][~mask], items["image"][~mask])
        read = module.verdicts(items[name], items)
        other = ["colour", "texture"][1 - column]
        assert torch.equal(read[name], 1 - known[name])
        assert torch.equal(read[other], known[other])


def test_a_value_of_several_is_a_binary_attribute_too():
    trait = Trait.parse("texture=textured", Hats.attributes)
    values = torch.tensor([0, 1, 2])
    assert trait.labels(values).tolist() == [0, 1, 0]
    assert trait.flipped(values).tolist() == [1, 2, 1]
    assert Trait.parse("colour", Hats.attributes).flipped(torch.tensor([0, 1])).tolist() == [1, 0]
    items = data(Hats, attributes=["texture=flat"]).split("val").fetch(range(8))
    assert torch.equal(items["attributes"][:, 0], (items["texture"] == 0).float())
    assert not torch.equal(items["texture=flat"], items["image"])
    assert torch.equal(items["mask_texture=flat"], items["mask_texture"])
    with pytest.raises(DataError, match=r"flat, textured, striped; ask for .* texture=flat"):
        data(Hats).setup("fit")


def test_balanced_draws_take_turns_among_the_labels_of_all_attributes():
    n, count = 50, 3
    labels = torch.zeros(n, count)
    labels[:25, 0], labels[7, 1], labels[40:, 2] = 1, 1, 1  # the second is rare
    split = MemoryImages(torch.zeros(n, 1, 2, 2, dtype=torch.uint8), {})
    drawn = BalancedStream(split, labels, seed=0).positions(range(600))
    for k, position in enumerate(drawn):
        assert labels[position, k % count] == k // count % 2
    assert drawn.count(7) >= 100
    # Those drawn for one label pass over all that have it, each pass in an order of its own.
    passes = torch.tensor(drawn[3::6])[:100].reshape(4, 25)
    assert all(sorted(one.tolist()) == list(range(25)) for one in passes)
    assert len({tuple(one.tolist()) for one in passes}) == 4


def test_balanced_draws_depend_on_the_seed_alone():
    module = data(batch_size=4)
    images = module.training_set("images")

    def stream(seed):
        return BalancedStream(images, images.fields["attributes"], seed, module.augment)

    whole = stream(1).positions(range(300))
    pieces = stream(1)
    late = pieces.positions(range(130, 300))
    assert pieces.positions(range(130)) + late == whole
    assert stream(2).positions(range(300)) != whole
    one = next(iter(StreamLoader(stream(1), 8)))["index"].tolist()
    two = [next(iter(StreamLoader(stream(1), 4, rank=r, world_size=2))) for r in range(2)]
    assert two[0]["index"].tolist() + two[1]["index"].tolist() == one == whole[:8]
    loaded = next(iter(module.train_dataloader()))["images"]["index"].tolist()
    assert loaded == stream(0).positions(range(4))
    plain = next(iter(data(batch_size=4, balanced=False).train_dataloader()))["images"]
    assert plain["index"].tolist() != loaded


def test_judging_sets_are_balanced_and_share_no_image_with_anything():
    module = data(Remembers, unwanted=["texture"], n_judging=40)
    images, labels = module.judging_set("colour", 1)
    assert images.shape == (40, 3, 16, 16)
    assert labels.bincount().tolist() == [20, 20]
    other, _ = module.judging_set("colour", 0)
    known = module.source.loaded[0]
    assert torch.equal(known["colour"], labels)
    assert (2 * labels + known["texture"]).bincount(minlength=4).tolist() == [10, 10, 10, 10]
    everything = [images, other]
    everything += [module.training_set("images").fetch(range(60))["image"]]
    everything += [module.split("test").fetch(range(12))["image"]]
    whole = torch.cat(everything)
    assert len(whole.unique(dim=0)) == len(whole)


def test_a_judge_of_a_value_sees_as_many_that_lack_it():
    module = data(Hats, attributes=["colour", "texture=flat"], n_judging=48)
    _, labels = module.judging_set("texture=flat", 1)
    assert labels.bincount().tolist() == [24, 24]


def test_true_styles_are_those_of_each_images_own_flip():
    module = data()
    items = module.split("test").fetch(range(12))
    styles = module.true_styles(items, "colour", 3)
    assert styles.shape == (12, 3, 3, 16, 16)
    assert styles.min() >= -1
    assert styles.max() <= 1
    for i in range(3):
        read = module.verdicts(styles[:, i], items)
        assert torch.equal(read["colour"], 1 - items["image/colour"])
        assert torch.equal(read["texture"], items["image/texture"])
    shades = styles.amax((2, 3, 4))
    assert len(shades[:, 0].unique()) > 1
    assert not torch.equal(shades[:, 0], shades[:, 1])


class Photos(LabelledSource):
    """Images that nobody rendered."""

    attributes, image_size = TinyWorld.attributes, 16

    def __init__(self):
        self.world = TinyWorld()

    def deal(self, parts):
        return self.world.deal(parts)

    def load(self, hand):
        return self.world.load(hand)


def test_items_of_other_sources_have_no_flips():
    module = data(Photos)
    items = module.split("val").fetch(range(8))
    assert not module.aligned
    assert {"colour", "texture"}.isdisjoint(items)
    assert {"image", "attributes", "mask", "image/colour"} <= set(items)
    assert module.true_styles(items, "colour", 2) is None
    assert module.verdicts(items["image"], items) == {}


def test_describe_tells_different_data_apart():
    one, same, other = data().describe(), data().describe(), data(images=61).describe()
    assert one == same
    assert one["splits"]["test"] == other["splits"]["test"]
    assert one["splits"]["train/images"] != other["splits"]["train/images"]
    assert set(data(n_val=0).describe()["splits"]) == {"train/images", "test"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"attributes": ["image"]}, "none of them image or attributes"),
        ({"attributes": ["hat"]}, r"no attribute 'hat'; there are colour, texture"),
        ({"attributes": ["colour=blue"]}, "its values are black, red"),
        ({"images": None}, "a world renders any number"),
        ({"images": 1}, r"colour is (no|yes) in all 1 images"),
    ],
)
def test_bad_settings(options, expected):
    with pytest.raises(DataError, match=expected):
        data(**options).setup("fit")


def test_class_folders_make_any_number_of_domains(tmp_path, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path / "cache"))
    counts = {"cezanne": 3, "monet": 5, "photo": 2, "ukiyoe": 7}
    for seed, (name, count) in enumerate(counts.items()):
        for i in range(count):
            size = (13 + i, 17 + seed)
            write_image(tmp_path / "train" / name / f"{i}.png", 10 * seed + i, size)
            write_image(tmp_path / "test" / name / f"{i}.png", 100 + 10 * seed + i, size)
    module = Unpaired(str(tmp_path), 12, batch_size=3)
    module.setup("fit")
    batch = next(iter(module.train_dataloader()))
    assert {name: list(each) for name, each in batch.items()} == {n: [n, "index"] for n in counts}
    assert all(batch[name][name].shape == (3, 3, 12, 12) for name in counts)
    assert len(module.split("test")) == 7
