"""Faces of animals from the front.

Lengths are in widths of the head: the origin is its middle, u to the right, v upwards.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.canvas.drawing import Frame, column, gradient, paint

_FURS = torch.tensor([
    [0.80, 0.48, 0.20], [0.55, 0.36, 0.22], [0.52, 0.53, 0.56], [0.20, 0.19, 0.21],
    [0.90, 0.87, 0.82], [0.86, 0.72, 0.50], [0.36, 0.27, 0.22],
])  # fmt: skip
_PALE = torch.tensor([[0.96, 0.94, 0.90], [0.93, 0.84, 0.70]])
_IRISES = torch.tensor([[0.46, 0.70, 0.26], [0.86, 0.68, 0.16], [0.36, 0.62, 0.82]])
_BROWN = torch.tensor([0.32, 0.19, 0.10])
_PINK = torch.tensor([0.86, 0.54, 0.54])
_DARK = torch.tensor([0.09, 0.08, 0.09])
_WHITE = torch.tensor([0.98, 0.98, 0.97])


@dataclass
class Painter:
    """Animals of one kind and what their drawing functions need.

    Attributes:
        canvas: RGB (N, 3, H, W), changed in place.
        frame: Coordinates of the heads.
        dice: Roll what is no label.
        fur: Colour of the fur (N, 3).
        pale: Colour of its pale parts (N, 3).
        iris: Number of the colour of cats' eyes (N,).
        tongue: Do dogs show theirs (N,), 1 or 0?
    """

    canvas: Tensor
    frame: Frame
    dice: Dice
    fur: Tensor
    pale: Tensor
    iris: Tensor
    tongue: Tensor

    def ellipse(
        self,
        place: tuple[float, float],
        radii: tuple[float, float],
        colour: Tensor,
        opacity: Tensor | float = 1.0,
        lean: float = 0.0,
    ) -> None:
        """Paint an ellipse, and its mirror image if it is not in the middle.

        Args:
            place: Its middle, to the right of the head's or in it.
            radii: Across and upwards.
            colour: (3,) or (N, 3).
            opacity: One number, or (N,).
            lean: How far its top is moved outwards per unit upwards.
        """
        (u, v), (a, b) = place, radii
        share = torch.as_tensor(opacity, dtype=torch.float32).reshape(-1, 1, 1)
        for side in (1, -1) if u else (1,):
            up = self.frame.v - v
            across = self.frame.u * side - u - lean * up
            level = ((across / a).square() + (up / b).square()).sqrt()
            covered = self.frame.coverage((level - 1) * min(a, b)) * share
            paint(self.canvas, covered, colour.expand(len(self.canvas), 3))

    def triangle(self, corners: list[tuple[float, float]], colour: Tensor) -> None:
        """Paint a triangle and its mirror image; corners run anticlockwise on the right side."""
        for side in (1, -1):
            edges = []
            for (u, v), (u2, v2) in zip(corners, corners[1:] + corners[:1], strict=True):
                length = ((u2 - u) ** 2 + (v2 - v) ** 2) ** 0.5
                across, up = self.frame.u * side - u, self.frame.v - v
                edges.append((across * (v2 - v) - up * (u2 - u)) / length)
            inside = torch.stack(edges).amax(0)
            paint(self.canvas, self.frame.coverage(inside), colour.expand(len(self.canvas), 3))

    def muzzle(self, radii: tuple[float, float], v: float) -> None:
        """Paint the pale part around the mouth, and a line down from the nose."""
        self.ellipse((0, v), radii, self.pale)
        line = self.frame.u.abs() - 0.012
        below = torch.maximum(line, (self.frame.v - v).abs() - radii[1] * 0.45)
        paint(self.canvas, self.frame.coverage(below), _DARK.expand(len(self.canvas), 3))

    def eyes(self, u: float, v: float, radius: float, colour: Tensor) -> None:
        """Paint eyes of a colour (3,) or (N, 3) with a glint."""
        self.ellipse((u, v), (radius * 1.2, radius * 1.2), _DARK)
        self.ellipse((u, v), (radius, radius), colour)

    def glint(self, u: float, v: float) -> None:
        """Paint a light on each pupil."""
        self.ellipse((u, v), (0.022, 0.022), _WHITE)


def draw_cat(p: Painter) -> None:
    """Pointed ears, a wide face, coloured eyes with slits, whiskers."""
    p.triangle([(0.10, 0.28), (0.46, 0.10), (0.43, 0.66)], p.fur * 0.92)
    p.triangle([(0.21, 0.32), (0.41, 0.22), (0.39, 0.54)], _PINK)
    p.ellipse((0, 0), (0.5, 0.43), p.fur)
    _draw_markings(p, 0.20, 0.06)
    p.muzzle((0.19, 0.13), -0.20)
    p.eyes(0.20, 0.06, 0.09, _IRISES[p.iris])
    p.ellipse((0.20, 0.06), (0.026, 0.075), _DARK)
    p.glint(0.23, 0.10)
    p.ellipse((0, -0.11), (0.05, 0.035), _PINK)
    for slope in (-0.12, 0.08):
        line = (p.frame.v + 0.2 - slope * (p.frame.u.abs() - 0.15)).abs() - 0.006
        reach = (p.frame.u.abs() - 0.37).abs() - 0.21
        whisker = p.frame.coverage(torch.maximum(line, reach.expand_as(line)))
        paint(p.canvas, whisker * 0.8, _WHITE.expand(len(p.canvas), 3))


def draw_dog(p: Painter) -> None:
    """Hanging ears, a long face with a big nose, brown eyes, a tongue that some show."""
    p.ellipse((0, 0), (0.42, 0.48), p.fur)
    _draw_markings(p, 0.17, 0.10)
    p.ellipse((0.43, 0.06), (0.13, 0.36), p.fur * 0.66, lean=-0.25)
    p.ellipse((0, -0.46), (0.09, 0.14), _PINK, p.tongue)
    p.muzzle((0.24, 0.23), -0.26)
    p.eyes(0.17, 0.10, 0.062, _BROWN)
    p.ellipse((0.17, 0.10), (0.035, 0.035), _DARK)
    p.glint(0.19, 0.13)
    p.ellipse((0, -0.12), (0.11, 0.075), _DARK)
    p.ellipse((0, -0.10), (0.04, 0.02), _WHITE, 0.5)


def draw_rabbit(p: Painter) -> None:
    """Long upright ears, a narrow face, dark eyes at its sides, two teeth."""
    p.ellipse((0.19, 0.66), (0.115, 0.42), p.fur * 0.92, lean=0.12)
    p.ellipse((0.19, 0.64), (0.06, 0.33), _PINK, lean=0.12)
    p.ellipse((0, 0), (0.39, 0.44), p.fur)
    p.ellipse((0.24, -0.18), (0.17, 0.17), p.fur)
    _draw_markings(p, 0.25, 0.06)
    p.muzzle((0.17, 0.15), -0.19)
    p.ellipse((0, -0.33), (0.055, 0.075), _WHITE)
    p.eyes(0.25, 0.06, 0.08, _DARK)
    p.glint(0.27, 0.09)
    p.ellipse((0, -0.10), (0.05, 0.035), _PINK)


DRAWERS: dict[str, Callable[[Painter], None]] = {
    "cat": draw_cat,
    "dog": draw_dog,
    "rabbit": draw_rabbit,
}


def draw_creatures(kind: str, dice: Dice, size: int) -> Tensor:
    """Return pictures (N, 3, size, size) in [0, 1] of one kind, one for each index of the dice.

    Pose, fur, its markings and the place are rolled alike for every kind.
    """
    x, y = dice.between(0.44, 0.56), dice.between(0.52, 0.60)
    frame = Frame(size, x, y, dice.between(0.58, 0.70), dice.between(0, 1) < 0.5)
    # The head leans: what is higher is further to a side.
    frame.u = frame.u - frame.v * column(dice.between(-0.18, 0.18))
    fur = _FURS[dice.below(len(_FURS))] + dice.several(3, -0.05, 0.05)
    pale = _PALE[dice.below(len(_PALE))]
    canvas = _draw_place(dice, size)
    iris, tongue = dice.below(len(_IRISES)), (dice.between(0, 1) < 0.5).float()
    p = Painter(canvas, frame, dice, fur.clamp(0.05, 1), pale, iris, tongue)
    p.ellipse((0, -0.85), (0.42, 0.55), p.fur * 0.82)
    p.ellipse((0, -0.75), (0.2, 0.4), p.pale, (dice.between(0, 1) < 0.5).float())
    DRAWERS[kind](p)
    slope = dice.between(-0.2, 0.2)[:, None]
    across = 1 + slope * ((torch.arange(size) + 0.5) / size - 0.5) - slope.abs() / 2
    return (canvas * across[:, None, None, :]).clamp_(0, 1)


def _draw_markings(p: Painter, u: float, v: float) -> None:
    """Paint a pale blaze on some faces, and a dark patch round one eye at (u, v) on others."""
    mark = p.dice.between(0, 3)
    p.ellipse((0, 0.2), (0.09, 0.28), p.pale, (mark < 1).float())
    across, up = p.frame.u - u, p.frame.v - v
    patch = (across / 0.15).square() + (up / 0.17).square()
    covered = p.frame.coverage((patch.sqrt() - 1) * 0.15) * column((mark > 2).float())
    paint(p.canvas, covered, p.fur * 0.45)


def _draw_place(dice: Dice, size: int) -> Tensor:
    """Return muted backgrounds (N, 3, size, size), of one colour above another."""
    low, high = dice.several(3, 0.25, 0.75), dice.several(3, 0.45, 0.95)
    share = ((torch.arange(size) + 0.5) / size)[None, :, None]
    return gradient(high, low, share).expand(-1, -1, -1, size).contiguous()
