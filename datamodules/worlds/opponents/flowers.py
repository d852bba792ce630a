"""Blossoms seen from above, by shape and colour of their petals, before leaves."""

import math

import torch
from torch import Tensor

from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.canvas.drawing import column, paint

SHAPES = ("ray", "round", "pointed")

# Tables by shape: fewest petals and how many numbers of them there are, width of a petal as a share
# of its sector, the heart's smallest and largest radius, opacity of a second ring of petals and of
# stamens.
_PETALS = torch.tensor([[10, 6], [5, 1], [6, 1]])
_WIDTH = torch.tensor([0.82, 1.06, 0.66])
_IS_POINTED = torch.tensor([False, False, True])
_HEART = torch.tensor([[0.22, 0.32], [0.13, 0.20], [0.08, 0.13]])
_SECOND_RING = torch.tensor([1.0, 0.0, 0.0])
_STAMENS = torch.tensor([0.0, 0.0, 1.0])
_MOST_PETALS = 16

_HEARTS = torch.tensor([[0.93, 0.74, 0.12], [0.42, 0.25, 0.10], [0.62, 0.72, 0.22]])
_THROATS = torch.tensor([[0.95, 0.90, 0.55], [0.94, 0.94, 0.92], [0.36, 0.10, 0.22]])

# Tables by background (foliage, lawn, soil): colours of the ground and of leaves, width of leaves
# in their lengths, how far from upright they turn.
_GROUND = torch.tensor([[0.08, 0.20, 0.08], [0.20, 0.38, 0.11], [0.30, 0.21, 0.14]])
_LEAF = torch.tensor([[0.22, 0.47, 0.19], [0.42, 0.64, 0.20], [0.30, 0.50, 0.24]])
_LEAF_WIDTH = torch.tensor([0.17, 0.05, 0.14])
_TURN = torch.tensor([math.pi, 0.35, math.pi])
_LEAVES = 8


def draw_flowers(shape: Tensor, colour: Tensor, dice: Dice, size: int) -> Tensor:
    """Return pictures (N, 3, size, size) in [0, 1].

    Light is grey, and nothing but the petals depends on `colour`: every channel of a pixel is an
    affine function of the same channel of `colour`, with one slope for all three. So two colours
    with equal R - G give pictures with equal R - G, and likewise of any two channels.

    Args:
        shape: Which of `SHAPES` (N,).
        colour: Of the petals (N, 3), in [0, 1].
        dice: Roll all else.
        size: Side in pixels.
    """
    canvas = _draw_background(dice, size)
    plane = _Plane(dice, size)
    canvas.mul_(1 - plane.shadow()[:, None])
    _draw_petals(canvas, plane, shape, colour, dice)
    _draw_heart(canvas, plane, shape, dice)
    return canvas.mul_(_light(dice, size)[:, None])


class _Plane:
    """Polar coordinates in the plane of each blossom, in radii of the blossom.

    Attributes:
        radius: Distance from the middle (N, H, W).
        turns: Angle (N, H, W) from -0.5 to 0.5.
        pixels: Per radius (N, 1, 1).
    """

    def __init__(self, dice: Dice, size: int) -> None:
        centres = (torch.arange(size) + 0.5) / size
        unit = dice.between(0.33, 0.45)
        x = (centres - 0.5 - 0.07 * dice.between(-1, 1)[:, None]) / unit[:, None]
        y = (centres - 0.5 - 0.07 * dice.between(-1, 1)[:, None]) / unit[:, None]
        self._across, self._down = x[:, None, :], y[:, :, None]
        turn = dice.between(-math.pi, math.pi)
        along, aside = _rotate(self._across, self._down, turn)
        aside = aside / column(dice.between(0.78, 1.0))  # seen at a slant
        self.radius = (along.square() + aside.square()).sqrt_()
        self.turns = torch.atan2(aside, along) / (2 * math.pi)
        self.pixels = column(unit * size)

    def shadow(self) -> Tensor:
        """Return how much the blossom darkens what lies below it (N, H, W)."""
        away = (self._across - 0.12).square() + (self._down - 0.16).square()
        return (1.25 - away).clamp(0, 0.55)

    def coverage(self, distance: Tensor) -> Tensor:
        """Return the share of each pixel that lies within a signed distance of 0."""
        return (0.5 - distance * self.pixels).clamp_(0, 1)

    def sectors(self, count: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nearest of `count` (N,) axes and the angle to it in radians (N, H, W)."""
        place = self.turns * column(count) + column(phase)
        nearest = place.round()
        return nearest, (place - nearest) * (2 * math.pi / column(count))


def _draw_petals(canvas: Tensor, plane: _Plane, shape: Tensor, colour: Tensor, dice: Dice) -> None:
    count = _PETALS[shape, 0] + (dice.between(0, 1) * _PETALS[shape, 1]).long()
    phase = dice.between(0, 1)
    lengths = dice.several(_MOST_PETALS, 0.90, 1.0)
    bright = dice.several(_MOST_PETALS, 0.9, 1.0)
    throat = _THROATS[dice.below(len(_THROATS))]
    reach, strength = column(dice.between(0.25, 0.45)), column(dice.between(0.0, 0.7))
    inner = ((reach - plane.radius) / reach).clamp_(0, 1) * strength

    for ring, turned in ((_SECOND_RING, 0.5), (torch.ones(len(SHAPES)), 0.0)):
        number, angle = plane.sectors(count, phase + turned)
        number = number.remainder(column(count)).long().flatten(1)
        length = lengths.gather(1, number).view_as(angle) * (1 - 0.12 * turned)
        petal, shade = _petal(plane, angle, length, shape, count)
        shade = shade * bright.gather(1, number).view_as(angle) * (1 - 0.5 * turned)
        opacity = petal * column(ring[shape])
        canvas.lerp_(colour[:, :, None, None] * shade[:, None], opacity[:, None])
        canvas.lerp_(throat[:, :, None, None] * shade[:, None], (opacity * inner)[:, None])


def _petal(
    plane: _Plane, angle: Tensor, length: Tensor, shape: Tensor, count: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the coverage of the nearest petal and its shading (N, H, W)."""
    along = plane.radius * torch.cos(angle) / length
    aside = plane.radius * torch.sin(angle).abs() / length
    sector = torch.tan(math.pi / count.double()).float()
    widest = column(_WIDTH[shape] * 0.66 * sector)
    outline = _leaf_distance(along, aside, widest, column(_IS_POINTED[shape]))
    to_neighbour = plane.radius * (math.pi / column(count) - angle.abs())
    crease = (1 - to_neighbour / 0.09).clamp_(0, 1)
    vein = (1 - aside / (0.25 * widest)).clamp_(0, 1)
    shade = 0.78 + 0.22 * along.clamp(0, 1)
    return plane.coverage(outline * length), shade * (1 - 0.35 * crease) * (1 - 0.14 * vein)


def _leaf_distance(along: Tensor, aside: Tensor, widest: Tensor, pointed: Tensor) -> Tensor:
    """Return the signed distance, to first order, from a leaf that reaches from 0 to 1.

    Its half width is proportional to a (1 - a) where pointed, else to a sqrt(1 - a).

    Args:
        along: Place a along its middle (N, H, W).
        aside: Distance from its middle, at least 0.
        widest: Its greatest half width.
        pointed: Whether its tip is pointed.
    """
    a = along.clamp(0.02, 0.98)
    tip = 1 - a
    half = a * widest * torch.where(pointed, 4 * tip, tip.sqrt() * 2.598)
    slope = half * (1 / a - torch.where(pointed, 1.0, 0.5) / tip)
    side = (aside - half) * (1 + slope.square()).rsqrt_()
    return torch.maximum(side, torch.maximum(along - 1, -along))


def _draw_heart(canvas: Tensor, plane: _Plane, shape: Tensor, dice: Dice) -> None:
    smallest, largest = _HEART[shape].unbind(1)
    size = column(torch.lerp(smallest, largest, dice.between(0, 1)))
    colour = _HEARTS[dice.below(len(_HEARTS))] * dice.between(0.85, 1.0)[:, None]
    _, angle = plane.sectors(torch.full((len(shape),), 6), dice.between(0, 1))
    place, height = plane.radius * torch.cos(angle) - 0.36, plane.radius * torch.sin(angle)
    anthers = plane.coverage((place.square() + height.square()).sqrt_() - 0.06)
    threads = plane.coverage(torch.maximum(height.abs() - 0.02, place))
    stamens = torch.maximum(anthers, threads * 0.7) * column(_STAMENS[shape])
    paint(canvas, stamens, colour * 0.8)
    paint(canvas, plane.coverage(plane.radius - size), colour * 0.72)
    paint(canvas, plane.coverage(plane.radius - 0.7 * size), colour)


def _draw_background(dice: Dice, size: int) -> Tensor:
    """Return leaves over a plain ground (N, 3, size, size)."""
    kind = dice.weighted((0.5, 0.3, 0.2))
    ground = _GROUND[kind] * dice.between(0.8, 1.3)[:, None]
    canvas = ground[:, :, None, None].expand(-1, -1, size, size).contiguous()
    for layer in range(_LEAVES):
        depth = 0.55 + 0.45 * layer / (_LEAVES - 1)  # those below are darker
        jitter = 1 + dice.several(3, -0.12, 0.12)
        _draw_leaf(canvas, kind, _LEAF[kind] * jitter * depth, dice)
    return canvas


def _draw_leaf(canvas: Tensor, kind: Tensor, colour: Tensor, dice: Dice) -> None:
    size = canvas.shape[-1]
    length = column(dice.between(0.55, 0.95))
    centres = (torch.arange(size) + 0.5) / size
    across = (centres - dice.between(0, 1)[:, None])[:, None, :]
    up = (dice.between(0, 1)[:, None] - centres)[:, :, None]
    along, aside = _rotate(across, up, math.pi / 2 + _TURN[kind] * dice.between(-1, 1))
    along, aside = along / length + 0.5, aside / length
    leaf = _leaf_distance(
        along, aside.abs(), column(_LEAF_WIDTH[kind] * dice.between(0.8, 1.2)), torch.tensor(True)
    )
    coverage = (0.5 - leaf * length * size).clamp_(0, 1)
    far_half = (0.5 + aside * length * size).clamp_(0, 1)  # faces the light less
    canvas.lerp_(colour[:, :, None, None] * (1.06 - 0.16 * far_half)[:, None], coverage[:, None])


def _light(dice: Dice, size: int) -> Tensor:
    """Return how bright each pixel is lit (N, H, W), at most 1."""
    centres = (torch.arange(size) + 0.5) / size - 0.5
    across, _ = _rotate(
        centres[None, None, :], centres[None, :, None], dice.between(-math.pi, math.pi)
    )
    darkening = column(dice.between(0, 0.22)) * (0.5 + 0.7 * across).clamp_(0, 1)
    return column(dice.between(0.85, 1.0)) * (1 - darkening)


def _rotate(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Return coordinates turned by an angle (N,); in doubles, as sine varies with N in floats."""
    cosine, sine = (column(f(angle.double()).float()) for f in (torch.cos, torch.sin))
    return x * cosine + y * sine, y * cosine - x * sine
