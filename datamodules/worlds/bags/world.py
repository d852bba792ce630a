"""A world of handbags whose colour and texture change alone."""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.errors import DataError
from datamodules.items.splits import Batch
from datamodules.labelled.source import LabelledWorld
from datamodules.worlds.bags.drawing import (
    BACKGROUNDS,
    OUTLINES,
    PATTERNS,
    STRAPS,
    Sketch,
    draw_bags,
    draw_prints,
)
from datamodules.worlds.canvas.dice import Dice


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
_INKS = torch.tensor([0.95, 0.95, 0.95, 0.95, 0.12])  # grey of what patterns are printed with
_FAINTEST, _BOLDEST = 0.1, 0.5  # opacities of a print
_SIZES = (32, 128)  # pixels
_PIXELS = 2**15  # at a time, so that intermediate results stay in a core's cache
_STYLE = 2**41  # more than every index, so that no style of an image is another's
_READ_SIZE = 32  # pixels that bags are read at, whatever their size
# Splits flat from textured at 32 to 128 px, on images 2**40 and up, which nobody is dealt.
_LEAST_ENERGY = 0.02
_MOST_LENIENT = 1.5


class Bags(LabelledWorld):
    """Handbags in front of pale walls, for data in which colour and texture are biased.

    The task is that of the handbags of UDIT (Wang, Gonzalez-Garcia, van de Weijer, Herranz 2019,
    arXiv:1907.09754): one of colour and texture is translated, the other is to be kept. A textured
    bag is printed with its `pattern`, from barely visible to bold; a flat one has a pattern that
    does not show. Styles differ in the hue, saturation and shade of the colour.

    Fields besides the attributes: `shade` (N,), 0 for the colour's darkest and 1 for its lightest;
    `contrast` (N,), the opacity that the print has or would have, `faintest` to 0.5; and `mask`,
    1 where colour, texture and pattern may show, which is the body without its clasp.

    Args:
        image_size: Side in pixels, 32 to 128.
        world_seed: Names the world.
        faintest: Least opacity of a print, 0.1 to 0.5. At 0.1 some textures can hardly be seen.
    """

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

    def __init__(self, image_size: int = 32, world_seed: int = 0, faintest: float = 0.3) -> None:
        super().__init__(image_size, world_seed)
        if not _FAINTEST <= faintest <= _BOLDEST:
            raise DataError(f"faintest is {faintest}; give {_FAINTEST} to {_BOLDEST}.")
        self.faintest = faintest
        if not _SIZES[0] <= image_size <= _SIZES[1]:
            raise DataError(f"image_size is {image_size}; give {_SIZES[0]} to {_SIZES[1]} pixels.")

    def render(self, index: Tensor, given: Batch, style: int = 0) -> Batch:
        return self._in_parts(index, given, lambda some, asked: self._render(some, asked, style)[0])

    def render_with_edges(self, index: Tensor, given: Batch) -> Batch:
        """Render bags `index` (N,) in front of white, and their `edges`, uint8 (N, 1, H, W).

        Edges are the outlines and seams of what is drawn, black on white: they depend on no colour,
        texture or shade.

        Args:
            index: See `render`.
            given: See `render`.
        """
        return self._in_parts(index, given, self._render_with_edges)

    def _in_parts(
        self, index: Tensor, given: Batch, render: Callable[[Tensor, Batch], Batch]
    ) -> Batch:
        count = max(1, _PIXELS // self.image_size**2)
        parts = []
        for first in range(0, max(1, len(index)), count):
            some = slice(first, first + count)
            asked = {name: value[some] for name, value in given.items()}
            parts.append(render(index[some], asked))
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def verdicts(self, images: Tensor, fields: Batch) -> Batch:
        """Read colour and texture inside the mask.

        The colour is the one that has the tone nearest to the mean RGB. A bag is textured if its
        `texture_energy` is a tenth of `faintest` or more, and 0.02 at least; and `texture_from` of
        `calibrate` at least.
        """
        colour, tones = _reference_tones()
        distance = torch.cdist(_mean_colour(images, fields["mask"]), tones.to(images.device))
        energy = texture_energy(images, fields["mask"])
        least = max(self._least_energy, float(fields.get("texture_from", 0.0)))
        return {
            "colour": colour.to(images.device)[distance.argmin(1)],
            "texture": (energy >= least).long(),
        }

    def calibrate(self, copies: Tensor, fields: Batch) -> Batch:
        """Find `texture_from`: all but one in twenty copies of flat bags have less energy.

        Noise that a method leaves on every bag is thus no texture that it adds. It is never more
        than `_MOST_LENIENT` times what it is without copies, which nearly all prints exceed: a
        method that prints on every flat bag is not to be let off.
        """
        flat = fields["texture"] == 0
        if not flat.any():
            return {}
        energy = texture_energy(copies[flat], fields["mask"][flat]).nanquantile(0.95)
        least = self._least_energy
        return {"texture_from": energy.clamp(least, _MOST_LENIENT * least)}

    @property
    def _least_energy(self) -> float:
        return max(_LEAST_ENERGY, self.faintest / 10)

    def _render_with_edges(self, index: Tensor, given: Batch) -> Batch:
        made, sketch = self._render(index, given, style=0)
        lines, shown = sketch.lines[:, None], sketch.silhouette[:, None]
        image = torch.lerp(torch.tensor(255.0), made["image"].float(), shown)
        edges = (1 - lines).mul_(255)
        pixels = {"image": image, "edges": edges}
        return made | {name: each.round_().to(torch.uint8) for name, each in pixels.items()}

    def _render(self, index: Tensor, given: Batch, style: int) -> tuple[Batch, Sketch]:
        value = self._values(index, given)
        dice = Dice(3 * self.world_seed + 1, index)
        painting, sketch = draw_bags(value, dice, self.image_size)
        contrast = self.faintest * (_BOLDEST / self.faintest) ** dice.between(0, 1)
        print_ = draw_prints(value["pattern"], dice, self.image_size)
        print_ *= (contrast * value["texture"])[:, None, None, None]
        rolls = Dice(3 * self.world_seed + 2, index + style * _STYLE).several(3, 0, 1)
        tone = _tone(value["colour"], rolls)[:, :, None, None]
        ink = _INKS[value["colour"]][:, None, None, None]
        pixels = painting.fixed + painting.share * torch.lerp(tone, ink, print_)
        fields = {
            "image": pixels.clamp_(0, 1).mul_(255).round_().to(torch.uint8),
            **value,
            "shade": rolls[:, 2],
            "contrast": contrast,
            "mask": painting.mask,
        }
        return fields, sketch

    def _values(self, index: Tensor, given: Batch) -> Batch:
        """Return the value of each attribute (N,): as given, or rolled."""
        dice = Dice(3 * self.world_seed, index)
        rolled = {name: dice.below(len(values)) for name, values in self.attributes.items()}
        return {
            name: torch.where(given[name] < 0, value, given[name]) if name in given else value
            for name, value in rolled.items()
        }


def texture_energy(images: Tensor, mask: Tensor) -> Tensor:
    """Measure how strongly the insides of masks are textured.

    At 32 pixels, each pixel's mean absolute difference over channels from its 3x3 neighbourhood's
    mean; of these the median inside, which a seam, a clasp or an artefact hardly moves.

    Args:
        images: In [-1, 1] (N, C, H, W).
        mask: 1 on the bodies (N, 1, H, W).

    Returns:
        (N,); NaN where nothing is left inside.
    """
    small = _shrink(images)
    detail = (small - F.avg_pool2d(small, 3, 1, 1)).abs().mean(1, keepdim=True)
    inside = torch.where(_inside(mask), detail, torch.nan)
    return inside.flatten(1).nanmedian(1).values


def _shrink(images: Tensor) -> Tensor:
    """Return what 32x32 pixels (N, C, 32, 32) would have caught of the light of images."""
    size = images.shape[-1]
    edges = torch.arange(_READ_SIZE + 1, device=images.device)[:, None] * (size / _READ_SIZE)
    share = (edges - torch.arange(size, device=images.device)).clamp_(0, 1).diff(dim=0)
    share *= _READ_SIZE / size
    return share @ images @ share.T


def _inside(mask: Tensor) -> Tensor:
    """Return what at 32 pixels is 2 pixels or more away from the rest, bool (N, 1, 32, 32)."""
    outside = F.pad((_shrink(mask.float()) < 0.999).float(), (2, 2, 2, 2), value=1.0)
    return F.max_pool2d(outside, 5, 1) == 0


def _mean_colour(images: Tensor, mask: Tensor) -> Tensor:
    """Return the mean RGB (N, 3), in [0, 1], inside of masks, of images in [-1, 1]."""
    inside = _inside(mask)
    small = _shrink(images) / 2 + 0.5
    return (small * inside).sum((2, 3)) / inside.sum((2, 3))


def _reference_tones() -> tuple[Tensor, Tensor]:
    """Return colours (M,) and tones (M, 3) that they have: a grid of all, bare and printed on."""
    steps = torch.linspace(0, 1, 4)
    rolls = torch.cartesian_prod(steps, steps, steps)
    colour = torch.arange(len(COLOURS)).repeat_interleave(len(rolls))
    tone = _tone(colour, rolls.repeat(len(COLOURS), 1))
    ink = _INKS[colour][:, None]
    # A print covers about half of a bag.
    printed = [torch.lerp(tone, ink, share * _BOLDEST / 2) for share in (0.0, 0.5, 1.0)]
    return colour.repeat(len(printed)), torch.cat(printed)


def _tone(colour: Tensor, rolls: Tensor) -> Tensor:
    """Return RGB (N, 3) of colours (N,) by rolls (N, 3) of hue, saturation and value."""
    least, most = _TONES[colour].unbind(2)
    hue, saturation, value = (x[:, None] for x in torch.lerp(least, most, rolls).unbind(1))
    sector = (6 * hue + torch.tensor([0.0, 4.0, 2.0])).remainder(6)
    pure = ((sector - 3).abs() - 1).clamp(0, 1)
    return value * torch.lerp(torch.ones(3), pure, saturation)
