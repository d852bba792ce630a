"""Infrared close-ups of eyes, drawn from what makes a person and what makes a picture of one.

Lengths are in widths of the picture times the scale of its camera. The origin is the middle of the
eye, u is towards the temple, v is upwards.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.items.splits import Batch
from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.canvas.drawing import column

CLASSES = ("background", "sclera", "iris", "pupil")

_HALF = 0.45  # of the eye's width
_IRIS = 0.215  # its radius
# Of each mode: scale of the eye and where its middle is, so that the mode shows in the mask.
_SCALE = torch.tensor([1.0, 0.84])
_ACROSS, _UP = torch.tensor([0.045, -0.045]), torch.tensor([0.05, -0.05])
_WINDOW = torch.tensor([[0.70, 0.90], [0.415, 0.50]])  # half its width and height, in widths
# To the right of and above the pupil: the lamps that glints show.
_LAMPS = torch.tensor([(-0.055, 0.06), (0.065, 0.045), (-0.03, -0.07), (0.075, -0.05)])
_BALL, _IRISES, _GLINTS = (-0.34, 0.53), (-0.35, 0.42), (-0.24, 0.28)  # heights that may show them
_LASHES, _ABOVE, _BELOW, _BROWS = (-0.45, 0.67), (-0.15, 0.67), (-0.50, 0.05), (0.17, 1.0)
_DARK, _BRIGHT = torch.tensor([0.07]), torch.tensor([0.95])
_SHEET_SIDES = (700, 460)  # more than of any picture
# Noise in [-1, 1], of which each picture shows a piece.
_SHEET = Dice(0, torch.arange(_SHEET_SIDES[0] * _SHEET_SIDES[1])).between(-1, 1)
_SHEET = _SHEET.reshape(_SHEET_SIDES)
_BLOTCHES = 12  # across a picture


class _Place(NamedTuple):
    """Where the pixels of pictures are.

    Attributes:
        u: Towards the temple (N, 1, W).
        v: Upwards from the line between the corners of the eye (N, H, W).
        high: Upwards from the middle of the eye (N, H, 1).
        x: From the middle of the picture, in widths (W,).
        y: Upwards from the middle of the picture, in widths (H,).
        pixels: Pixels to a length of 1 (N, 1, 1).
    """

    u: Tensor
    v: Tensor
    high: Tensor
    x: Tensor
    y: Tensor
    pixels: Tensor

    def coverage(self, distance: Tensor) -> Tensor:
        """Return the share of each pixel that lies within a signed distance of 0."""
        return (0.5 - distance * self.pixels).clamp_(0, 1)

    def band(self, heights: tuple[float, float]) -> tuple[slice, "_Place"]:
        """Return the rows between two heights in the picture, and where their pixels are."""
        inside = ((self.y >= heights[0]) & (self.y <= heights[1])).nonzero().flatten()
        rows = slice(int(inside[0]), int(inside[-1]) + 1)
        kept = {"v": self.v[:, rows], "high": self.high[:, rows], "y": self.y[rows]}
        return rows, self._replace(**kept)


class _Lids(NamedTuple):
    """The edges of the lids: heights and 1 / sqrt(1 + slope^2), each (N, 1, W)."""

    upper: Tensor
    upper_scale: Tensor
    lower: Tensor
    lower_scale: Tensor


def draw_eyes(person: Batch, view: Batch, dice: Dice, size: tuple[int, int]) -> Batch:
    """Return pictures and their classes.

    Args:
        person: Name -> measure (N,) in [0, 1]; `glasses` 0 or 1.
        view: `gaze_x` and `gaze_y` in [-1, 1], `pupil` and `opening` in [0, 1], `mode` 0 or 1.
        dice: Rolls what has no name, equally often for every picture.
        size: Height and width in pixels.

    Returns:
        `image` uint8 (N, 1, H, W); `mask` uint8 (N, H, W), the class at each pixel's middle.
    """
    p = {name: column(value.float()) for name, value in person.items()}
    w = {name: column(value.float()) for name, value in view.items()}
    place = _place(p, view["mode"], dice, size)
    lids = _lids(p, w, place)
    picture = _skin(p, place, lids, dice)
    mask = torch.zeros(picture.shape, dtype=torch.uint8)
    rows, near = place.band(_BALL)
    mask[:, rows] = _draw_ball(picture[:, rows], p, w, near, lids, dice)
    rows, near = place.band(_LASHES)
    _lashes(picture[:, rows], p, near, lids)
    _glasses(picture, p, place, dice)
    picture = _through_window(picture, view["mode"], place, dice)
    picture.mul_(column(dice.between(0.94, 1.06))).add_(_piece(dice, *size), alpha=0.022)
    pixels = picture.mul_(255).round_().clamp_(0, 255).to(torch.uint8)
    return {"image": pixels[:, None], "mask": mask}


def _place(p: Batch, mode: Tensor, dice: Dice, size: tuple[int, int]) -> _Place:
    height, width = size
    x = (torch.arange(width) + 0.5) / width - 0.5
    y = (height / 2 - torch.arange(height) - 0.5) / width
    scale = column(_SCALE[mode] * dice.between(0.98, 1.02))
    side = 1.0 - 2.0 * column(mode.float())  # one camera looks at each eye
    u = (x - column(_ACROSS[mode] + dice.between(-0.01, 0.01))) / scale * side
    high = (y[:, None] - column(_UP[mode] + dice.between(-0.02, 0.02))) / scale
    return _Place(u, high - (0.16 * p["slant"] - 0.04) * u, high, x, y, scale * width)


def _lids(p: Batch, w: Batch, place: _Place) -> _Lids:
    """Return the edges: (1 - s^2)(1 + k s + 0.35 s^2) of their heights, s from corner to corner."""
    s = place.u / (_HALF * (0.94 + 0.06 * p["lid"]))
    k, q, bend = 0.5 * p["lid"] - 0.3, 1 - s.square(), 1 + 0.35 * s.square()
    opening = 0.5 + 0.5 * w["opening"]
    upper = (0.29 + 0.04 * p["lid"] + 0.03 * w["gaze_y"]) * opening * q * (bend + k * s)
    lower = -(0.155 - 0.025 * w["gaze_y"]) * (0.7 + 0.3 * opening) * q * (bend - 0.5 * k * s)
    scales = _cosines(torch.stack([upper, lower]), place)
    return _Lids(upper, scales[0], lower, scales[1])


def _cosines(curves: Tensor, place: _Place) -> Tensor:
    """Return 1 / sqrt(1 + slope^2) of curves (n, N, 1, W) over u."""
    slopes = torch.diff(curves, dim=3, append=curves[..., -1:]) * place.pixels
    return (1 + slopes.square_()).rsqrt_()


def _skin(p: Batch, place: _Place, lids: _Lids, dice: Dice) -> Tensor:
    """Return skin with the socket's shade, the lids' folds and the brow (N, H, W)."""
    u = place.u
    socket = (u / 0.62).square() + ((place.high - 0.05) / 0.34).square()
    shade = socket.square_().add_(1).reciprocal_().mul_(-0.26)
    shade += 1.05 + 0.5 * (p["shading"] - 0.5) * u + 0.10 * place.y[:, None]
    shade.add_(_blotches(dice, *place.v.shape[1:]), alpha=0.05)
    sides = (1 - (u / 0.5).square()).clamp_(0, 1)

    rows, near = place.band(_ABOVE)
    above = near.v - lids.upper * 1.05
    gap = 0.055 + 0.075 * p["crease"]
    line = 1 - (above - gap).abs_().mul_(1 / 0.03)
    shade[:, rows] -= line.clamp_(0, 1).mul_(sides * (0.18 + 0.12 * p["crease"]))
    bulge = 1 - (above * (2 / gap)).sub_(1).square_()
    shade[:, rows].add_(bulge.clamp_(0, 1), alpha=0.10)

    rows, near = place.band(_BELOW)
    bag = 1 - (lids.lower - near.v).sub_(0.10).mul_(1 / 0.05).square_()
    shade[:, rows] -= bag.clamp_(0, 1).mul_(0.07 * sides)

    rows, near = place.band(_BROWS)
    bow = 0.47 + 0.05 * p["brow"] - 0.35 * (u - 0.05).square()
    brow = 1 - (near.v - bow).mul_(1 / 0.075).square_()
    hairs = _wave((u * 15 - near.v * 7).add_(shade[:, rows], alpha=2)).mul_(0.18).add_(0.82)
    shade[:, rows] -= brow.clamp_(0, 1).mul_(hairs).mul_(0.15 + 0.45 * p["brow"])
    return shade.mul_(0.36 + 0.30 * p["skin"])


def _draw_ball(
    picture: Tensor, p: Batch, w: Batch, place: _Place, lids: _Lids, dice: Dice
) -> Tensor:
    """Paint what lies between the lids; return the classes."""
    below = (lids.upper - place.v).mul_(lids.upper_scale)
    over = (place.v - lids.lower).mul_(lids.lower_scale)
    inside = torch.minimum(below, over)
    across = (place.u - 0.13 * w["gaze_x"]) / (1 - 0.10 * w["gaze_x"].abs())
    up = place.v - (0.07 * w["gaze_y"] + 0.025)
    radius = (across.square() + up.square()).sqrt_()
    to_iris = radius - (_IRIS + 0.012 * (p["lid"] - 0.5))
    to_pupil = radius - _IRIS * (0.26 + 0.36 * w["pupil"])

    ball = (0.33 + 0.33 * p["sclera"]) * _white(place.u)
    ball = ball + (1 - over.abs() * (1 / 0.022)).clamp_(0, 1).mul_(0.10)
    rows, near = place.band(_IRISES)
    iris = _iris(p, across, up[:, rows], radius[:, rows])
    ball[:, rows] = ball[:, rows].lerp_(iris, near.coverage(to_iris[:, rows]))
    pupil = (0.05 + 0.05 * p["skin"]).expand_as(iris)
    ball[:, rows] = ball[:, rows].lerp_(pupil, near.coverage(to_pupil[:, rows]))
    ball.mul_(1 - (1 - below.mul_(1 / 0.10)).clamp_(0, 1).mul_(0.45))  # the upper lid's shadow
    rows, near = place.band(_GLINTS)
    _glints(ball[:, rows], p, w, near, dice)
    picture.lerp_(ball, place.coverage(-inside))
    layers = (to_iris < 0).to(torch.uint8) + (to_pupil < 0).to(torch.uint8) + 1
    return layers.mul_((inside > 0).to(torch.uint8))


def _white(u: Tensor) -> Tensor:
    """Return how bright the ball and the corner near the nose are (N, 1, W)."""
    corner = (1 - ((u + 0.40) / 0.07).square()).clamp(0, 1) * 0.25
    return 1.06 - 0.55 * (u / 0.5).square() + corner


def _iris(p: Batch, across: Tensor, up: Tensor, radius: Tensor) -> Tensor:
    """Return the iris: five and eight spokes, a collarette and a dark rim (N, H, W)."""
    tone = 0.17 + 0.30 * p["iris"]
    inverse = radius.clamp(min=1e-3).reciprocal_()
    cos, sin = across * inverse, inverse.mul_(up)
    cos2, sin2 = cos.square() - sin.square(), (sin * cos).mul_(2)
    cos4, sin4 = cos2.square() - sin2.square(), (sin2 * cos2).mul_(2)
    turn, other = p["turn"] * (2 * torch.pi), p["twist"] * (2 * torch.pi)
    # cos(5 a + turn) and cos(8 a + other) of the angle a.
    spokes = (cos4 * cos - sin4 * sin).mul_(turn.cos())
    spokes -= (sin4 * cos + cos4 * sin).mul_(turn.sin())
    spokes += (cos4.square() - sin4.square()).mul_(0.8 * other.cos())
    spokes -= (sin4 * cos4).mul_(1.6 * other.sin())
    rim = (radius * (5 / _IRIS)).sub_(4).clamp_(0, 1).mul_(0.40)
    ring = 1 - (radius * (1 / 0.12 / _IRIS)).sub_(0.52 / 0.12).square_()
    spokes.mul_((0.38 * p["spokes"]) * (1 - rim)).add_(ring.clamp_(0, 1).mul_(0.25 * p["spokes"]))
    return spokes.sub_(rim).add_(1.05).mul_(tone)


def _glints(ball: Tensor, p: Batch, w: Batch, place: _Place, dice: Dice) -> None:
    """Add the lamps' images: the cornea moves them half as far as the pupil."""
    shown = 2 + dice.below(3)
    rolls = dice.several(2 * len(_LAMPS), 0, 1).T[:, :, None, None]
    right, high = _LAMPS.T[:, :, None, None, None]
    across = (0.065 * w["gaze_x"] - 0.012) + right + 0.024 * rolls[::2]
    up = (0.035 * w["gaze_y"] + 0.025) + high
    size = 1 / (0.014 + 0.006 * p["skin"] + 0.004 * rolls[1::2])
    there = 1.4 * (torch.arange(len(_LAMPS))[:, None] < shown)[:, :, None, None]
    beside = ((place.u - across) * size).square_()
    above = there - ((place.high - up) * size).square_()
    spots = torch.zeros_like(ball)
    for rows, columns in zip(above, beside, strict=True):
        torch.maximum(spots, rows - columns, out=spots)
    ball.lerp_(_BRIGHT, spots.clamp_(max=1))


def _lashes(picture: Tensor, p: Batch, place: _Place, lids: _Lids) -> None:
    """Darken the edges of the lids and the lashes that fan out from them."""
    u, dense = place.u, p["lashes"]
    above = (place.v - lids.upper).mul_(lids.upper_scale)
    root = (1 - above.abs().mul_(1 / (0.014 + 0.014 * dense))).mul_(0.55 + 0.4 * dense)
    beyond = above.clamp(min=0)
    streak = _wave((u * (9 + 3 * dense)) / (beyond * 1.1).add_(1) + beyond * 0.6)
    streak.add_(0.4 * dense - 0.45).clamp_(0, 1)
    length = (0.05 + 0.10 * dense) * (0.7 + 0.6 * u.clamp(-0.45, 0.45))
    streak.mul_((1 - above / length).clamp_(0, 1)).mul_(0.5 + 0.9 * dense)
    dark = torch.maximum(root, streak.mul_(above > 0))

    rows, near = place.band(_BELOW)
    below = (lids.lower - near.v).mul_(lids.lower_scale)
    sparse = _wave((u * 10) / (below.clamp(min=0).mul_(1.4)).add_(1) + 0.3).sub_(0.2)
    faint = (1 - below / (0.03 + 0.045 * dense)).clamp_(0, 1).mul_(below > 0)
    faint.mul_(sparse.clamp_(0, 1)).mul_(0.15 + 0.55 * dense)
    dark[:, rows] = torch.maximum(dark[:, rows], faint)
    ends = (1 - (u / _HALF).square()).clamp_(0, 1).sqrt_()
    picture.lerp_(_DARK, dark.mul_(ends).clamp_(0, 0.95))


def _glasses(picture: Tensor, p: Batch, place: _Place, dice: Dice) -> None:
    """Paint the rim of a lens, dark or bright, and what the lens mirrors, where they are worn."""
    bands, tilts, strengths = dice.between(-0.3, 0.3), dice.between(0.3, 0.9), dice.between(0, 1)
    some = p["glasses"].flatten().nonzero().flatten()
    if not len(some):
        return
    wide, high = 0.50 + 0.03 * p["frame"][some], 0.36 + 0.06 * p["rim"][some]
    u, v = place.u[some], place.v[some]
    level = ((u / wide).square().square() + ((v + 0.03) / high).square_().square_()).sqrt_().sqrt_()
    thick = 0.025 + 0.03 * p["frame"][some]
    rim = (0.5 - ((level - 1).abs_() * high - thick) * place.pixels[some]).clamp_(0, 1)
    tone = torch.where(p["rim"][some] < 0.5, 0.10, 0.86)
    mirrored = 1 - ((v + column(tilts[some]) * u - column(bands[some])) / 0.09).square_()
    mirrored = mirrored.clamp_(min=0) * (level < 1) * (0.25 + 0.35 * column(strengths[some]))
    seen = (picture[some] * 0.94).lerp_(_BRIGHT, mirrored)
    picture[some] = seen.lerp_(tone.expand_as(seen), rim)


def _through_window(picture: Tensor, mode: Tensor, place: _Place, dice: Dice) -> Tensor:
    """Return the picture, dark where a camera does not see: corners, or in mode 1 a wide border."""
    half = _WINDOW[mode] * (1 + dice.several(2, -0.03, 0.03))
    x = (place.x - column(0.7 * _ACROSS[mode])) / column(half[:, 0])
    y = (place.y[:, None] - column(0.7 * _UP[mode])) / column(half[:, 1])
    # 1 up to a level x^4 + y^4 of 0.88, 0 from 1.12.
    seen = (1.12 - x.square().square()) / 0.24 - y.square().square() / 0.24
    return torch.lerp(_DARK.mul(0.4), picture, seen.clamp_(0, 1))


def _wave(phase: Tensor) -> Tensor:
    """Return a triangular wave of period 1, from -1 to 1."""
    return (phase - phase.round()).abs_().mul_(4).sub_(1)


def _piece(dice: Dice, height: int, width: int) -> Tensor:
    """Return a piece of the sheet of noise for each picture, in [-1, 1] (N, H, W)."""
    top, left = (
        dice.below(side - n) for side, n in zip(_SHEET_SIDES, (height, width), strict=True)
    )
    return _SHEET.unfold(0, height, 1).unfold(1, width, 1)[top, left]


def _blotches(dice: Dice, height: int, width: int) -> Tensor:
    """Return smooth noise in [-1, 1] (N, H, W)."""
    cells = _piece(dice, _BLOTCHES * height // width, _BLOTCHES)
    return F.interpolate(cells[:, None], (height, width), mode="bilinear")[:, 0]
