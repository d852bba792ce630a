"""Handbags from the front, drawn so that colour and texture can be filled in later.

Lengths are in widths of the bag: the origin is the ground below its middle, u = -0.5 and 0.5 are
its sides, v is upwards.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.items.splits import Batch
from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.canvas.drawing import Frame, column, gradient, paint
from datamodules.worlds.canvas.shapes import Painter, Painting


class Sketch(NamedTuple):
    """What the parts of bags cover, whatever is filled in.

    Attributes:
        lines: Share of each pixel that lies on an outline or a seam (N, H, W).
        silhouette: Share of each pixel that shows the bag or its strap (N, H, W).
    """

    lines: Tensor
    silhouette: Tensor


class Outline(NamedTuple):
    """A shape of bags: the least and the most of each measure."""

    height: tuple[float, float]
    lean: tuple[float, float]  # how far a side moves inwards per unit upwards
    lower: tuple[float, float]  # radius of the corners
    upper: tuple[float, float]


OUTLINES = {
    "rounded": Outline((0.62, 0.74), (0.0, 0.04), (0.20, 0.26), (0.22, 0.28)),
    "trapezoid": Outline((0.60, 0.74), (0.20, 0.28), (0.03, 0.06), (0.03, 0.05)),
    "box": Outline((0.52, 0.72), (0.0, 0.0), (0.02, 0.04), (0.02, 0.04)),
    "half_moon": Outline((0.50, 0.58), (0.0, 0.0), (0.42, 0.46), (0.03, 0.04)),
}
# Half its width and its height above the bag, each the least and the most.
STRAPS = {
    "none": ((0.1, 0.1), (0.0, 0.0)),
    "short": ((0.15, 0.22), (0.14, 0.20)),
    "tall": ((0.20, 0.28), (0.32, 0.42)),
}
BACKGROUNDS = ("plain", "gradient", "table")
PATTERNS = ("stripes", "dots", "checks", "zigzag")

_OUTLINES = torch.tensor([list(outline) for outline in OUTLINES.values()])
_STRAPS = torch.tensor(list(STRAPS.values()))
_STRAP_TONES = torch.tensor([[0.45, 0.29, 0.16], [0.24, 0.22, 0.22], [0.66, 0.55, 0.28]])
_METALS = torch.tensor([[0.80, 0.66, 0.32], [0.72, 0.73, 0.76]])
_DARK = torch.tensor([0.10, 0.10, 0.12])
_LEAST_SHARE = 0.02  # what shows less is left out, so that masks have no invisible pixels
_GRAINS = 32  # across an image
# Noise in [-1, 1] that leather is cut from.
_SHEET = F.avg_pool2d(Dice(0, torch.arange(129**2)).between(-1, 1).reshape(1, 129, 129), 2, 1)[0]
_LINE = 0.6  # half the width of a line, in pixels
_PERIOD = (3.6 / 32, 6.0 / 32)  # of patterns, in images


def draw_bags(value: Batch, dice: Dice, size: int) -> tuple[Painting, Sketch]:
    """Return bags (N, 3, size, size) whose colour is open, and their sketches.

    Args:
        value: `shape`, `strap` and `background` (N,): positions in the tables above.
        dice: Roll what is no label, always equally often, so that no value changes another roll.
        size: Side in pixels.
    """
    ground, unit = dice.between(0.88, 0.95), dice.between(0.62, 0.74)
    fixed = _draw_background(value["background"], ground, dice, size)
    painting = Painting(fixed, torch.zeros(len(fixed), 1, size, size))
    x = 0.5 + (0.96 - unit) / 2 * dice.between(-1, 1)
    frame = Frame(size, x, ground, unit, dice.between(0, 1) < 0.5)
    painter = Painter(painting, frame, dice)
    away = (frame.u / 0.6).square() + ((frame.v + 0.01) / 0.07).square()
    painter.flat((1 - away).clamp_(0, 1) * 0.5, _DARK)
    height, distance = _outline(value["shape"], frame, dice)
    strap = _draw_strap(painter, value["strap"], height)
    body = _draw_body(painter, height, distance)
    bare = 1 - body.silhouette  # a strap begins behind the bag
    sketch = Sketch(
        torch.maximum(body.lines, strap.lines * bare),
        body.silhouette + strap.silhouette * bare,
    )
    slope = dice.between(-0.12, 0.12)[:, None]
    place = torch.arange(size) / size
    light = (0.98 + slope * (place - 0.5) - slope.abs() / 2)[:, None, None, :]
    share = painting.share * light
    return Painting(painting.fixed * light, share * (share > _LEAST_SHARE)), sketch


def draw_prints(pattern: Tensor, dice: Dice, size: int) -> Tensor:
    """Return the coverage of prints with patterns (N,), (N, 1, size, size) in [0, 1].

    The period is 3.6 to 6 pixels of an image of 32, at any angle.
    """
    angle, phase, other = dice.between(0, torch.pi), dice.between(0, 1), dice.between(0, 1)
    # A checkerboard repeats along its diagonals, so its cells are made wider.
    period = column(dice.between(*_PERIOD) * torch.where(pattern == 2, 1.4, 1.0))
    centres = (torch.arange(size) + 0.5) / size
    x, y = centres[None, None, :], centres[None, :, None]
    cos, sin = column(angle.cos()) / period, column(angle.sin()) / period
    along = x * cos + y * sin + column(phase)
    across = y * cos - x * sin + column(other)
    pixels = period * size
    first, second = _stripes(along, pixels), _stripes(across, pixels)
    radius = ((along - along.round()).square() + (across - across.round()).square()).sqrt_()
    dots = ((0.33 - radius) * pixels + 0.5).clamp_(0, 1)
    bend = (across / 2.5 - (across / 2.5).round()).abs() * 2.5
    zigzag = _stripes((along + 0.8 * bend) / (1 + 0.8**2) ** 0.5, pixels)
    kinds = torch.stack([first, dots, first + second - 2 * first * second, zigzag], 1)
    return kinds[torch.arange(len(pattern)), pattern][:, None]


def _stripes(place: Tensor, pixels: Tensor) -> Tensor:
    """Return the coverage of stripes with period 1, `pixels` per period."""
    return ((0.25 - (place - place.round()).abs()) * pixels + 0.5).clamp_(0, 1)


def _outline(shape: Tensor, frame: Frame, dice: Dice) -> tuple[Tensor, Tensor]:
    """Return the height (N,) of bodies and the signed distance (N, H, W) to their edge."""
    least, most = _OUTLINES[shape].unbind(2)
    height, lean, lower, upper = torch.lerp(least, most, dice.several(4, 0, 1)).unbind(1)
    low = frame.v < column(lower)
    radius = torch.where(low, column(lower), column(upper))
    slope = column(lean)
    side = (frame.u.abs() - 0.5 + frame.v * slope) * (1 + slope.square()).rsqrt() + radius
    edge = torch.where(low, -frame.v, frame.v - column(height)) + radius
    outside = (side.clamp(min=0).square_() + edge.clamp(min=0).square()).sqrt_()
    corner = outside + torch.maximum(side, edge).clamp_(max=0) - radius
    return height, torch.maximum(corner, torch.maximum(-frame.v, frame.v - column(height)))


def _line(frame: Frame, distance: Tensor) -> Tensor:
    """Return the coverage of the line at which a signed distance is 0."""
    return frame.coverage(distance.abs() - _LINE / frame.pixels)


def _draw_strap(p: Painter, strap: Tensor, height: Tensor) -> Sketch:
    """Draw half an elliptical ring that begins behind the bag."""
    least, most = _STRAPS[strap].unbind(2)
    half, rise = torch.lerp(least, most, p.dice.several(2, 0, 1)).unbind(1)
    thick, tone = p.dice.between(0.024, 0.036), _STRAP_TONES[p.dice.below(len(_STRAP_TONES))]
    half, rise = column(half), column(rise + 0.05)
    across, upward = p.frame.u / half, (p.frame.v - column(height) + 0.05) / rise
    level = (across.square() + upward.square()).sqrt()
    slope = ((across / half).square() + (upward / rise).square()).sqrt_() / level.clamp(min=1e-3)
    away = ((level - 1) / slope.clamp(min=1e-3)).abs_() - column(thick)
    shown = p.frame.coverage(column(height) - 0.05 - p.frame.v) * column((strap > 0).float())
    ring = p.frame.coverage(away) * shown
    paint(p.painting.fixed, ring, tone)
    return Sketch(_line(p.frame, away) * shown, ring)


def _draw_body(p: Painter, height: Tensor, distance: Tensor) -> Sketch:
    """Draw the leather, and either a flap with a clasp or a zip."""
    frame, dice = p.frame, p.dice
    flap = dice.between(0, 1) < 0.6
    depth = torch.where(flap, dice.between(0.3, 0.5) * height, 0.09)
    bow = torch.where(flap, dice.between(0.0, 0.6), 0.0)
    seam = (frame.v - column(height - depth) - frame.u.square() * column(bow)).abs_()
    rim = (1 + distance / 0.12).clamp_(0, 1).square_()
    shade = 0.86 + 0.14 * (frame.v / column(height)).clamp(0, 1) - 0.25 * rim
    shade -= frame.coverage(seam - 0.012) * column(dice.between(0.03, 0.08))
    shade *= 1 + _leather(dice, frame.u.shape[-1])
    body = frame.coverage(distance)
    p.coloured(body, shade, _gloss(frame, height, dice))
    # So large that it hides at least one pixel at 32: readers of the leather can keep away from it.
    clasp = torch.maximum(frame.u.abs() - 0.07, seam - 0.05)
    shown = frame.coverage(clasp) * column(flap.float())
    paint(p.painting.fixed, shown, _METALS[dice.below(len(_METALS))])
    p.painting.share.mul_(1 - shown[:, None])
    lines = torch.maximum(_line(frame, distance), _line(frame, seam) * body * (1 - shown))
    return Sketch(torch.maximum(lines, _line(frame, clasp) * column(flap.float())), body)


def _gloss(frame: Frame, height: Tensor, dice: Dice) -> Tensor:
    """Return the opacity of white light in a soft spot (N, H, W)."""
    right, up = dice.several(2, -0.3, 0.3).unbind(1)
    away = ((frame.u - column(right)) / 0.45).square()
    away = away + ((frame.v - column(height * (0.5 + up))) / 0.3).square()
    return (1 - away).clamp_(0, 1) * column(dice.between(0, 0.16))


def _leather(dice: Dice, size: int) -> Tensor:
    """Return relative changes of brightness, blotches and grain (N, size, size)."""
    turns = 2 * torch.pi * (torch.arange(size) + 0.5) / size
    blotches = torch.ones(1)
    for _ in range(2):
        right, down = dice.several(2, -2.5, 2.5).unbind(1)
        place = turns * column(right) + turns[:, None] * column(down)
        blotches = blotches * (place + column(dice.between(0, 2 * torch.pi))).sin_()
    grain = _grain(dice, size) * column(dice.between(0, 0.035))
    return blotches * column(dice.between(0, 0.12)) + grain


def _grain(dice: Dice, size: int) -> Tensor:
    """Return a piece of the sheet of noise for each bag, in [-1, 1] (N, size, size)."""
    place = torch.arange(_GRAINS)
    rows, columns = (dice.below(len(_SHEET))[:, None] + place for _ in range(2))
    cells = _SHEET[(rows % len(_SHEET))[:, :, None], (columns % len(_SHEET))[:, None, :]]
    if size == _GRAINS:
        return cells
    return F.interpolate(cells[:, None], size=size, mode="bilinear")[:, 0]


def _draw_background(kind: Tensor, ground: Tensor, dice: Dice, size: int) -> Tensor:
    """Return pale walls, some of which darken downwards or stand behind a table (N, 3, H, W)."""
    y = ((torch.arange(size) + 0.5) / size)[None, :, None]
    pale = dice.between(0.78, 0.97)[:, None] * (1 + dice.several(3, -0.03, 0.03))
    end = pale - dice.between(0.15, 0.4)[:, None]
    wood = dice.several(3, -0.03, 0.03) + torch.tensor([0.62, 0.52, 0.42])
    edge = column(ground - dice.between(0.08, 0.2))
    share = y * column((kind == 1).float())
    canvas = gradient(pale, end, share).expand(-1, -1, -1, size).contiguous()
    below = ((y - edge) * size + 0.5).clamp(0, 1) * column((kind == 2).float())
    paint(canvas, below.expand(-1, -1, size), wood * dice.between(0.8, 1.2)[:, None])
    return canvas
