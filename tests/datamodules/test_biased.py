"""Biased domains: the mixes asked for, disjoint parts, judges that are told nothing by the bias."""

import json
from dataclasses import replace
from itertools import product
from types import MappingProxyType

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from scene_trees import write_image
from tiny_world import TinyWorld

from datamodules.biased import Biased
from datamodules.errors import DataError
from datamodules.labelled.portions import Dial, apportion
from datamodules.labelled.source import Hand
from datamodules.labelled.table import AttributeTable

BLACK = [{"images": 40, "colour": "black", "texture": "flat"}]
RED = [
    {"images": 36, "colour": "red", "texture": "textured"},
    {"images": 4, "colour": "red", "texture": "flat"},
]
DIAL = Dial("red", "texture", "textured", 0.7)


def small(**changes):
    arguments = {
        "source": TinyWorld(),
        "wanted": "colour",
        "unwanted": ["texture"],
        "domains": {"black": BLACK, "red": RED},
        "n_val": 6,
        "n_test": 10,
        "n_judging": 40,
    }
    return Biased(**{**arguments, **changes})


def mixes(data):
    """Return part -> {(colour, texture): images}."""
    described = json.loads(json.dumps(data.describe()))
    return {
        part: {(p["colour"], p["texture"]): p["images"] for p in portions}
        for part, portions in described["mixes"].items()
    }


def test_a_batch_holds_each_domain_and_tells_nothing_else():
    data = small(batch_size=4)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert {name: set(each) for name, each in batch.items()} == {
        "black": {"black", "index"},
        "red": {"red", "index"},
    }
    assert batch["red"]["red"].shape == (4, 3, 16, 16)
    assert [m.label for m in data.modalities.values()] == [0, 1]
    assert not data.aligned


def test_the_mixes_are_those_asked_for():
    assert mixes(small()) == {
        "train/black": {("black", "flat"): 40},
        "train/red": {("red", "textured"): 36, ("red", "flat"): 4},
        # what the other domain has least of
        "val/black": {("black", "flat"): 6},
        "val/red": {("red", "textured"): 6},
        "test/black": {("black", "flat"): 10},
        "test/red": {("red", "textured"): 10},
    }


def test_training_images_look_like_their_mix():
    data = small()
    fields = data.source.load(data._hands["train/red"]).fields
    images = data.training_set("red").fetch(range(40))["red"]
    verdicts = data.verdicts(images, fields)
    assert verdicts["colour"].tolist() == [1] * 40
    assert verdicts["texture"].sum() == 36


def test_a_dial_replaces_one_domain_and_not_what_is_tested():
    straight, turned = small(), small(dial=DIAL)
    assert mixes(turned)["train/red"] == {("red", "textured"): 28, ("red", "flat"): 12}
    for name in ("val", "test"):
        assert turned.split(name).sha256 == straight.split(name).sha256
    assert turned.training_set("black").sha256 == straight.training_set("black").sha256
    assert turned.training_set("red").sha256 != straight.training_set("red").sha256
    assert mixes(small(dial=replace(DIAL, share=1.0)))["train/red"] == {("red", "textured"): 40}
    assert mixes(small(dial=replace(DIAL, share=0.0)))["train/red"] == {("red", "flat"): 40}


def test_largest_remainders():
    assert apportion([0.57, 0.43], 100) == [57, 43]
    assert apportion([1, 1, 1], 8) == [3, 3, 2]
    assert apportion([5, 0, 4], 2) == [1, 0, 1]


def test_held_out_portions_are_proportions():
    half = [{**portion, "images": 1} for portion in RED]
    tested = mixes(small(held_out={"red": half}))["test/red"]
    assert tested == {("red", "textured"): 5, ("red", "flat"): 5}


def test_what_is_held_out_of_a_domain_is_something_that_it_has():
    flat = [{"images": 9, "colour": "red", "texture": "flat"}]
    both = mixes(small(domains={"black": BLACK, "red": flat}))
    assert both["test/black"] == {("black", "flat"): 10}  # red has no texture, but nor has black
    free = {name: [{"images": 9, "colour": name}] for name in ("black", "red")}
    assert len(mixes(small(domains=free, n_test=40))["test/red"]) == 2  # nobody names texture


def test_held_out_items_are_unaligned_and_know_their_fields():
    items = small().split("test").fetch(range(10))
    assert items["black"].shape == items["red"].shape == (10, 3, 16, 16)
    fields = {"colour", "texture", "shade", "mask", "number"}
    expected = {f"{domain}/{field}" for domain in ("black", "red") for field in fields}
    assert set(items) == expected | {"black", "red", "index"}
    assert items["red/texture"].tolist() == [1] * 10
    assert items["black/mask"].shape == (10, 1, 16, 16)
    assert not torch.equal(items["black/mask"], items["red/mask"])


def test_no_image_is_in_two_parts():
    data = small()
    data.setup("fit")
    judging = [
        data.judging_set(attribute, number)[0]
        for number in (1, 2)
        for attribute in ("colour", "texture")
    ]
    sets = [data.training_set(name).fetch(range(40))[name] for name in ("black", "red")]
    held_out = [
        data.split(name).fetch(range(data.counts[name]))[domain]
        for name in ("val", "test")
        for domain in ("black", "red")
    ]
    images = torch.cat([*judging, *sets, *held_out])
    assert len(images.flatten(1).unique(dim=0)) == len(images) == 4 * 40 + 2 * 40 + 2 * 16


def test_a_source_that_deals_an_image_twice_is_refused():
    class Careless(TinyWorld):
        def deal(self, parts):
            hands = super().deal(parts)
            return {part: Hand(torch.arange(len(h.index)), h.given) for part, h in hands.items()}

    with pytest.raises(DataError, match=r"train/black and train/red share 40 scenes: image-0,"):
        small(source=Careless()).setup("fit")


def test_judging_sets_are_balanced_over_wanted_and_unwanted():
    data = small()
    images, colour = data.judging_set("colour", 1)
    assert images.shape == (40, 3, 16, 16)
    assert images.dtype == torch.float32
    hand = data.source.deal({"judge1/colour": [{"images": 40}]})["judge1/colour"]
    mask = data.source.load(hand).fields["mask"]  # where a square is follows from its index alone
    texture = data.verdicts(images, {"mask": mask})["texture"]
    assert (2 * colour + texture).bincount().tolist() == [10] * 4
    assert colour.dtype == torch.int64


def test_true_styles_are_of_the_target_domain():
    data = small()
    items = data.split("test").fetch(range(10))
    fields = {name[4:]: values for name, values in items.items() if name.startswith("red/")}
    styles = data.true_styles(fields, "black", 3)
    assert styles.shape == (10, 3, 3, 16, 16)
    assert styles.min() < -0.5
    assert 0.5 < styles.max() <= 1
    verdicts = data.verdicts(styles[:, 2], fields)
    assert verdicts["colour"].tolist() == [data.wanted_value("black")] * 10 == [0] * 10
    assert verdicts["texture"].tolist() == [1] * 10


@pytest.mark.parametrize("in_memory", [True, False])
def test_images_in_files_are_dealt_too(tmp_path, monkeypatch, in_memory):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "bags"
    lines = ["file,colour,texture"]
    for colour, texture, i in product(("black", "red"), ("flat", "textured"), range(40)):
        lines.append(f"{colour}-{texture}-{i}.png,{colour},{texture}")
        write_image(folder / f"{colour}-{texture}-{i}.png", len(lines))
    (folder / "labels.csv").write_text("\n".join(lines))
    source = AttributeTable(
        str(folder), 12, in_memory=in_memory, shares={"judge1": 0.3, "judge2": 0.2}
    )
    portions = [{**RED[0], "images": 9}, {**RED[1], "images": 2}]
    domains = {"black": [{**BLACK[0], "images": 11}], "red": portions}
    data = small(source=source, domains=domains, n_val=2, n_test=3, n_judging=8)
    data.setup("fit")
    assert mixes(data)["train/red"] == {("red", "textured"): 9, ("red", "flat"): 2}
    items = data.split("test").fetch(range(3))
    assert items["black"].shape == (3, 3, 12, 12)
    assert items["red/texture"].tolist() == [1] * 3
    images, texture = data.judging_set("texture", 2)
    assert images.shape == (8, 3, 12, 12)
    assert texture.bincount().tolist() == [4, 4]
    assert data.verdicts(items["black"], {}) == {}
    assert data.true_styles({}, "red", 2) is None


def test_a_flip_is_drawn_for_each_image():
    flip = [{"class_path": "HorizontalFlip"}]
    plain, flipped = (
        next(iter(data.train_dataloader()))["red"]["red"]
        for data in (small(batch_size=40), small(batch_size=40, augment=flip))
    )
    same = torch.tensor([torch.equal(a, b) for a, b in zip(plain, flipped, strict=True)])
    assert 8 < (~same).sum() < 32
    assert torch.equal(plain.flip(3)[~same], flipped[~same])


def test_yaml_and_the_command_line_reach_it(tmp_path):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(Biased, "data")
    init_args = {
        "source": {"class_path": "tiny_world.TinyWorld", "init_args": {"image_size": 20}},
        "wanted": "colour",
        "unwanted": ["texture"],
        "domains": {"black": BLACK, "red": RED},
        "dial": {"domain": "red", "attribute": "texture", "value": "textured", "share": 0.9},
    }
    file = tmp_path / "run.yaml"
    file.write_text(
        yaml.safe_dump(
            {"data": {"class_path": "datamodules.biased.Biased", "init_args": init_args}}
        )
    )
    parsed = parser.parse_args(["--config", str(file), "--data.init_args.dial.share", "0.5"])
    data = parser.instantiate(parsed).data
    assert data.source.image_size == 20
    assert data.domains["red"] == [
        {"images": 20, "colour": "red", "texture": "flat"},
        {"images": 20, "colour": "red", "texture": "textured"},
    ]


def test_a_constant_image_is_refused():
    class Blank(TinyWorld):
        def render(self, index, given, style=0):
            made = super().render(index, given, style)
            made["image"][3] = torch.tensor([7, 8, 9], dtype=torch.uint8)[:, None, None]
            return made

    data = small(source=Blank())
    number = data._hands["train/black"].index[3]
    with pytest.raises(DataError, match=f"1 training images of black .* number {number} of"):
        data.setup("fit")


ONE = {"images": 1, "colour": "black"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"wanted": "hue"}, "no attribute 'hue'; there are colour, texture"),
        ({"unwanted": ["size"]}, "no attribute 'size'"),
        ({"unwanted": ["colour"]}, "name each attribute once"),
        ({"domains": {"black": BLACK}}, "domains has 1 of them; give two or more"),
        ({"domains": {"black": [ONE], "red": RED}}, "black have 1 images in all"),
        ({"domains": {"black": [], "red": RED}}, "black have 0 images in all"),
        ({"domains": {"black": [*BLACK, *RED], "red": RED}}, "black have colour black, red"),
        ({"domains": {"black": [{"images": 9}], "red": RED}}, "black have colour None"),
        ({"domains": {"dark": BLACK, "black": BLACK}}, "dark and black both have colour black"),
        ({"domains": {"a": [{"images": 9, "colour": "tan"}], "red": RED}}, "no value 'tan'"),
        ({"held_out": {"green": RED}}, "held_out names 'green', which is no domain"),
        ({"held_out": {"black": RED}}, "held_out of black has colour red"),
        ({"held_out": {"black": [{**ONE, "texture": "x"}]}}, "texture has no value 'x'"),
        ({"dial": replace(DIAL, share=1.2)}, "share of the dial is 1.2; give 0 to 1"),
        ({"dial": replace(DIAL, domain="green")}, "dial names 'green'"),
        ({"dial": replace(DIAL, value="checked")}, "no value 'checked'"),
        ({"dial": Dial("red", "colour", "red", 0.5)}, "turns colour, which is wanted"),
        ({"dial": Dial("red", "shape", "tall", 0.5)}, "no attribute 'shape'"),
        ({"n_val": -1}, "n_val is -1"),
        ({"n_judging": 0}, "n_judging is 0"),
    ],
)
def test_impossible_requests_are_named(arguments, message):
    with pytest.raises(DataError, match=message):
        small(**arguments)


def test_only_judged_attributes_have_judging_sets():
    with pytest.raises(DataError, match="'shade' is not judged; wanted and unwanted name colour"):
        small().judging_set("shade", 1)


def test_a_dial_needs_portions_that_agree_otherwise():
    class Shapes(TinyWorld):
        attributes = MappingProxyType({**TinyWorld.attributes, "shape": ("low", "tall")})

    uneven = [{**RED[0], "shape": "low"}, RED[1]]
    with pytest.raises(DataError, match="red differ in more than texture"):
        small(source=Shapes(), domains={"black": BLACK, "red": uneven}, dial=DIAL)


def test_no_held_out_images_is_no_split():
    data = small(n_val=0)
    data.setup("fit")
    assert (data.has_split("val"), data.has_split("test")) == (False, True)
    assert data.val_dataloader() == []
