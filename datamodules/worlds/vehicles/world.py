"""A world of vehicles seen from the side, every factor known."""

from typing import Literal

import torch
from torch import Tensor

from datamodules.augment.images import TransformSpec
from datamodules.base.image_data import ImageDataModule, SplitName
from datamodules.errors import DataError
from datamodules.items.splits import Batch, MemoryImages
from datamodules.labelled.class_counts import check_classes, check_counts, in_proportion
from datamodules.worlds.canvas.dice import Dice, GivenDice, rolls_of
from datamodules.worlds.canvas.drawing import Frame
from datamodules.worlds.vehicles.bodies import DRAWERS, Painter
from datamodules.worlds.vehicles.scenery import BACKGROUNDS, LIGHT_SHARES, draw_scenery

Kind = Literal["bus", "car", "truck", "van"]
Colour = Literal["red", "orange", "yellow", "green", "blue", "purple", "white", "black"]

KINDS = list(DRAWERS)
COLOURS: dict[Colour, tuple[float, float, float]] = {
    "red": (0.80, 0.08, 0.08),
    "orange": (0.93, 0.45, 0.06),
    "yellow": (0.95, 0.80, 0.12),
    "green": (0.14, 0.52, 0.24),
    "blue": (0.12, 0.32, 0.76),
    "purple": (0.46, 0.20, 0.60),
    "white": (0.92, 0.92, 0.91),
    "black": (0.15, 0.15, 0.17),
}
_RGB = torch.tensor(list(COLOURS.values()))
_LENGTH = torch.tensor([[0.80, 0.94], [0.66, 0.86], [0.76, 0.92], [0.64, 0.82]])  # by kind
_SPLIT_SEED: dict[SplitName, int] = {"train": 1, "val": 2, "test": 3}
# How many rolls make an image: of `sample_factors` and kind, of the vehicle, of the scenery.
_ROLLS = [8, 13, 33]
ROLLS = sum(_ROLLS)
_CHUNK = 32  # images whose intermediate results fit in a core's cache


def sample_factors(split: SplitName, index: Tensor) -> Batch:
    """Return the factors of images `index` (N,) of a split, each tensor (N,).

    `kind` and `colour`, `background`, `light` index `KINDS`, `COLOURS`, `BACKGROUNDS`, `LIGHTS`;
    `length`, `x`, `y` are the vehicle's length, middle and ground line in sides of the image;
    `facing_left` is bool. The kind of image i is i mod 4.
    """
    return _factors(index % len(KINDS), Dice(_SPLIT_SEED[split], index))


def _factors(kind: Tensor, dice: Dice) -> Batch:
    shortest, longest = _LENGTH[kind].unbind(1)
    length = torch.lerp(shortest, longest, dice.between(0, 1))
    slack = (0.97 - length).clamp(min=0) / 2
    return {
        "kind": kind,
        "colour": dice.below(len(COLOURS)),
        "background": dice.below(len(BACKGROUNDS)),
        "light": dice.weighted(LIGHT_SHARES),
        "length": length,
        "x": 0.5 + slack * dice.between(-1, 1),
        "y": dice.between(0.74, 0.84),
        "facing_left": dice.between(0, 1) < 0.5,
    }


def render(split: SplitName, index: Tensor, factors: Batch, size: int) -> Tensor:
    """Return images uint8 (N, 3, size, size).

    Shapes, scenery and shades that are no factor follow from (split, index) alone, so a factor
    that is changed changes nothing else.

    Args:
        split: Names the world's randomness together with `index`.
        index: Which images (N,).
        factors: As `sample_factors` returns, or changed.
        size: Side in pixels.
    """
    seed = _SPLIT_SEED[split]
    return _render(factors, Dice(seed + 200, index), Dice(seed + 100, index), size)


def sample_rolls(split: SplitName, index: Tensor) -> Tensor:
    """Return all that images `index` (N,) of a split are made from: float64 (N, ROLLS) in (0, 1).

    Over all images they are uniform and independent. First come those of kind, length, colour,
    background, light, x, y and direction, then those of the vehicle's shape and shade, of which a
    kind uses the first few, then those of the scenery.
    """
    seed = _SPLIT_SEED[split]
    several, shape, scenery = (
        Dice(seed + more, index).first(count)
        for more, count in zip((0, 200, 100), _ROLLS, strict=True)
    )
    # The kind is not rolled: it has a roll that factors leave, moved to its share.
    kind = rolls_of(index % len(KINDS), len(KINDS), several[:, -1])
    return torch.cat([kind[:, None], several[:, :-1], shape, scenery], dim=1)


def render_rolls(rolls: Tensor, size: int) -> Tensor:
    """Return the images uint8 (N, 3, size, size) that rolls (N, ROLLS) in (0, 1) stand for.

    Those of `sample_rolls` give what `render` gives.
    """
    several, shape, scenery = (GivenDice(part) for part in torch.split(rolls, _ROLLS, dim=1))
    return _render(_factors(several.below(len(KINDS)), several), shape, scenery, size)


def _render(factors: Batch, shape: Dice, scenery: Dice, size: int) -> Tensor:
    pixels = torch.empty(len(factors["kind"]), 3, size, size, dtype=torch.uint8)
    for number, kind in enumerate(KINDS):
        positions = torch.nonzero(factors["kind"] == number).flatten()
        for chunk in torch.split(positions, _CHUNK):
            some = {name: values[chunk] for name, values in factors.items()}
            pixels[chunk] = _render_kind(kind, some, shape.of(chunk), scenery.of(chunk), size)
    return pixels


def _render_kind(kind: str, factors: Batch, shape: Dice, scenery: Dice, size: int) -> Tensor:
    light = factors["light"]
    canvas = draw_scenery(factors["background"], light, factors["y"], scenery, size)
    frame = Frame(size, factors["x"], factors["y"], factors["length"], factors["facing_left"])
    colour = (_RGB[factors["colour"]] + shape.several(3, -0.035, 0.035)).clamp(0, 1)
    DRAWERS[kind](Painter(canvas, frame, colour, light, shape))
    return canvas.clamp_(0, 1).mul_(255).round_().to(torch.uint8)


class Vehicles(ImageDataModule):
    """Buses, cars, trucks and vans, all of them or a mix of kinds by count.

    Every image is rendered from (split, i) and has the factors of `sample_factors` as fields
    besides `label`, the kind. A mix takes the first `counts[kind]` training images of each kind;
    its val and test splits have the same proportions, the largest kind as many as without a mix.

    Args:
        image_size: Side in pixels.
        kinds: Kinds to keep; all when None.
        counts: A mix, e.g. {car: 60, bus: 140}; instead of `kinds` and `train_images`.
        colour: Paint all vehicles in one colour and change nothing else; None leaves all colours.
        relabel: Number the kept kinds 0, 1, ... in alphabetic order; else bus is 0, car 1, truck 2,
            van 3.
        train_images: Images of each kind to train on.
        held_out_images: Images of each kind in val, and as many in test.
        rolls: Have as a field `rolls` too, see `sample_rolls`: all kinds, equally often.
        batch_size: Images per batch and process.
        num_workers: Processes that prepare batches; the images are in memory, so 0 is fastest.
        seed: Of the order of the training images and of their augmentation; the images themselves
            are the same for all seeds.
        augment: Transforms of the training images; see `datamodules.transforms.build_augment`.
    """

    resize_rule = "rendered at image_size, 8 bits"
    split_rule = "rendered from (split, i) with another seed for each of train, val and test"

    def __init__(
        self,
        image_size: int = 64,
        kinds: list[Kind] | None = None,
        counts: dict[Kind, int] | None = None,
        colour: Colour | None = None,
        relabel: bool = False,
        train_images: int = 1000,
        held_out_images: int = 250,
        rolls: bool = False,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        augment: list[TransformSpec] | None = None,
    ) -> None:
        super().__init__(image_size, 3, batch_size, num_workers, seed, augment)
        if kinds is not None and counts is not None:
            raise DataError("counts already says which kinds; drop kinds.")
        if min(train_images, held_out_images) < 1:
            raise DataError("train_images and held_out_images must be 1 or more.")
        if colour is not None and colour not in COLOURS:
            raise DataError(f"There is no colour {colour}; the colours are {', '.join(COLOURS)}.")
        if rolls and (kinds is not None or counts is not None or colour is not None or augment):
            raise DataError(
                "rolls is true, but rolls stand for vehicles of all kinds and colours as they are "
                "rendered; drop kinds, counts, colour and augment."
            )
        chosen = [_number(kind) for kind in counts or (KINDS if kinds is None else kinds)]
        self.is_mix, self.colour, self.relabel = counts is not None, colour, relabel
        self.held_out_images, self.rolls = held_out_images, rolls
        self.counts = dict.fromkeys(sorted(chosen), train_images)
        if counts is None:
            check_classes(chosen, KINDS)
        else:
            self.counts = {_number(kind): n for kind, n in counts.items()}
            check_counts(self.counts, KINDS)

    @property
    def class_names(self) -> list[str]:
        return [KINDS[k] for k in sorted(self.counts)] if self.relabel else KINDS

    def load_split(self, name: SplitName) -> MemoryImages:
        counts = (
            self.counts if name == "train" else in_proportion(self.counts, self.held_out_images)
        )
        kinds = len(KINDS)
        index = torch.cat([torch.arange(n) * kinds + k for k, n in counts.items()]).sort().values
        factors = sample_factors(name, index)
        if self.colour is not None:
            factors["colour"].fill_(list(COLOURS).index(self.colour))
        label = factors["kind"]
        if self.relabel:
            label = torch.searchsorted(torch.tensor(sorted(counts)), label)
        pixels = render(name, index, factors, self.image_size)
        rolls = {"rolls": sample_rolls(name, index)} if self.rolls else {}
        return MemoryImages(pixels, {"label": label, **factors, **rolls})


def _number(kind: str) -> int:
    if kind not in KINDS:
        raise DataError(f"There is no kind {kind}; the kinds are {', '.join(KINDS)}.")
    return KINDS.index(kind)
