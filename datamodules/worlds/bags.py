"""A world of handbags: colour and texture, a shape, a strap and what lies behind."""

from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.errors import DataError
from datamodules.labelled import LabelledWorld
from datamodules.splits import Batch
from datamodules.worlds.bag_drawing import (
    BACKGROUNDS,
    OUTLINES,
    PATTERNS,
    STRAPS,
    draw_bags,
    draw_marks,
)
from datamodules.worlds.dice import Dice


class Tone(NamedTuple):
    """A colour: the least and the most of hue in turns, saturation and value (HSV)."""

    hue: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]


COLOURS = {
    "red": Tone((-0.04, 0.04), (0.74, 1.0), (0.38, 1.0)),
    "black": Tone((0.0, 1.0), (0.0, 0.25), (0.03, 0.27)),
    "brown": Tone((0.075, 0.1), (0.62, 0.82), (0.30, 0.52)),
    "blue": Tone((0.56, 0.64), (0.6, 0.95), (0.35, 0.95)),
    "beige": Tone((0.09, 0.13), (0.12, 0.28), (0.78, 0.96)),
}
_TONES = torch.tensor([list(tone) for tone in COLOURS.values()])
_MARKS = torch.tensor([0.95, 0.95, 0.95, 0.95, 0.12])  # grey of the marks on each
_CONTRAST = (0.11, 0.5)
_SIZES = (32, 128)  # pixels
_PIXELS = 2**15  # at a time, so that intermediate results stay in a core's cache
_STYLE = 2**41  # beyond every index, so that no style of an image is another's
_LEAST_ENERGY = 0.03


class Bags(LabelledWorld):
    attributes = MappingProxyType(
        {
            "colour": tuple(COLOURS),
            "texture": ("flat", "textured"),
            "shape": tuple(OUTLINES),
            "strap": tuple(STRAPS),
            "background": BACKGROUNDS,
            "pattern": PATTERNS,
        }
    )

    def __init__(self, image_size: int = 32, world_seed: int = 0) -> None:
        super().__init__(image_size, world_seed)
        if not _SIZES[0] <= image_size <= _SIZES[1]:
            raise DataError(f"image_size is {image_size}; give {_SIZES[0]} to {_SIZES[1]} pixels.")

    def render(self, index: Tensor, given: Batch, style: int = 0) -> Batch:
        steps = range(0, max(1, len(index)), max(1, _PIXELS // self.image_size**2))
        parts = []
        for step in steps:
            some = slice(step, step + steps.step)
            asked = {name: value[some] for name, value in given.items()}
            parts.append(self._render(index[some], asked, style))
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _render(self, index: Tensor, given: Batch, style: int) -> Batch:
        value = self._values(index, given)
        rolls = Dice(3 * self.world_seed + 1, index + style * _STYLE).several(3, 0, 1)
        dice = Dice(3 * self.world_seed + 2, index)
        low, high = _CONTRAST
        contrast = low * (high / low) ** dice.between(0, 1)
        painting = draw_bags(value, dice, self.image_size)
        amount = draw_marks(value["pattern"], dice, self.image_size)
        amount *= (contrast * value["texture"])[:, None, None, None]
        tone = _tone(value["colour"], rolls)[:, :, None, None]
        ink = _MARKS[value["colour"]][:, None, None, None]
        pixels = painting.fixed + painting.share * (tone + (ink - tone) * amount)
        return {
            "image": pixels.clamp_(0, 1).mul_(255).round_().to(torch.uint8),
            **value,
            "shade": rolls[:, 2],
            "contrast": contrast,
            "mask": painting.mask,
        }

    def _values(self, index: Tensor, given: Batch) -> Batch:
        """Return the value of each attribute (N,): as given, or rolled."""
        dice = Dice(3 * self.world_seed, index)
        rolled = {name: dice.below(len(values)) for name, values in self.attributes.items()}
        return {
            name: torch.where(given[name] < 0, value, given[name]) if name in given else value
            for name, value in rolled.items()
        }


def _tone(colour: Tensor, rolls: Tensor) -> Tensor:
    """Return RGB (N, 3) of colours (N,) by rolls (N, 3) of hue, saturation and value."""
    least, most = _TONES[colour].unbind(2)
    hue, saturation, value = torch.lerp(least, most, rolls).split(1, dim=1)
    sector = (6 * hue + torch.tensor([0.0, 4.0, 2.0])).remainder(6)
    pure = ((sector - 3).abs() - 1).clamp(0, 1)
    return value * torch.lerp(torch.ones(3), pure, saturation)
