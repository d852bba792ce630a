"""Objects in rooms and on lawns, drawn so that their one colour can be filled in later."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.canvas.drawing import Frame, column

_DARK = torch.tensor([0.10, 0.10, 0.12])
_GLASS = torch.tensor([0.35, 0.44, 0.50])
_METAL = torch.tensor([0.66, 0.67, 0.70])
_WOOD = torch.tensor([0.34, 0.22, 0.13])
_RUBBER = torch.tensor([0.88, 0.87, 0.83])

BACKDROPS = ("plain", "stripes", "dots", "tiles", "lawn")
_PATTERNS = torch.eye(len(BACKDROPS))[1:4]
_LEAST_SHARE = 0.02  # what shows less is left out, so that masks have no invisible pixels
_SKY = torch.tensor([0.62, 0.78, 0.92])
_GRASS = torch.tensor([0.36, 0.52, 0.22])


@dataclass
class Painting:
    """Pictures in which one colour per picture is still open: fixed + share * colour.

    Attributes:
        fixed: What does not depend on the colour (N, 3, H, W).
        share: How strongly the colour shows (N, 1, H, W); 0 outside the object's coloured parts.
    """

    fixed: Tensor
    share: Tensor

    def fill(self, colour: Tensor) -> Tensor:
        """Return uint8 (N, 3, H, W) with the colour (N, 3), in [0, 1], filled in."""
        pixels = self.fixed + self.share * colour[:, :, None, None]
        return pixels.clamp_(0, 1).mul_(255).round_().to(torch.uint8)

    @property
    def mask(self) -> Tensor:
        """Where the colour shows, uint8 (N, 1, H, W): 1, elsewhere 0."""
        return (self.share > 0).to(torch.uint8)


@dataclass
class Painter:
    """Objects of one shape and what their drawing functions need.

    Attributes:
        painting: Changed in place.
        frame: Coordinates of the objects; the origin is the ground below their middle, u = -0.5 and
            0.5 are their sides.
        dice: Roll what is no label.
    """

    painting: Painting
    frame: Frame
    dice: Dice

    def coloured(
        self, coverage: Tensor, shade: Tensor | float, gloss: Tensor | float = 0.0
    ) -> None:
        """Paint with the open colour, scaled by `shade`, under white light of opacity `gloss`."""
        fixed, share = self.painting.fixed, self.painting.share
        opacity = coverage[:, None]
        shine = torch.as_tensor(gloss).expand_as(coverage)[:, None]
        fixed.lerp_(shine.expand_as(fixed), opacity.expand_as(fixed))
        share.lerp_(torch.as_tensor(shade).expand_as(coverage)[:, None] * (1 - shine), opacity)

    def flat(self, coverage: Tensor, colour: Tensor) -> None:
        """Paint with a colour (3,) that is not open."""
        fixed = self.painting.fixed
        fixed.lerp_(colour[:, None, None].expand_as(fixed), coverage[:, None].expand_as(fixed))
        self.painting.share.mul_(1 - coverage[:, None])

    def constant(self, value: float) -> Tensor:
        """Return the same value for every object (N,)."""
        return torch.full((len(self.painting.share),), value)

    def rising(self, top: Tensor) -> Tensor:
        """Return the shade of a surface that is darker towards the ground (N, H, 1)."""
        return 0.62 + 0.38 * (self.frame.v / column(top)).clamp(0, 1)

    def round_shade(self, half: Tensor) -> tuple[Tensor, Tensor]:
        """Return shade and gloss of a round body of half width `half` (N, H, 1)."""
        across = (self.frame.u / half.clamp(min=1e-3)).clamp(-1, 1)
        shade = 1 - 0.42 * (0.5 + 0.5 * across).square()
        gloss = (1 - ((across + 0.5) / 0.16).square()).clamp(0, 1) * 0.45
        return shade, gloss

    def outline(self, half: Tensor, bottom: Tensor, top: Tensor) -> Tensor:
        """Return the coverage between two heights (N,) of a body of half width `half` (N, H, 1)."""
        slope = torch.diff(half, dim=1, append=half[:, -1:]) * self.frame.pixels
        side = (self.frame.u.abs() - half) * (1 + slope.square()).rsqrt()
        ends = torch.maximum(column(bottom) - self.frame.v, self.frame.v - column(top))
        return self.frame.coverage(side) * self.frame.coverage(ends)


def through(place: Tensor, knots: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return a smooth curve at `place`, level at each of its knots and constant beyond them.

    Args:
        place: Where (N, H, 1) or (N, 1, W).
        knots: Places and values, (N,) each, in rising order.
    """
    value = column(knots[0][1])
    for (start, low), (end, high) in pairwise(knots):
        step = ((place - column(start)) / column(end - start)).clamp(0, 1)
        value = value + column(high - low) * step.square() * (3 - 2 * step)
    return value


def draw_car(p: Painter) -> None:
    """A saloon or hatchback from the side."""
    c, dice = p.constant, p.dice
    belt, roof = dice.between(0.225, 0.255), dice.between(0.38, 0.44)
    rear, front = dice.between(-0.44, -0.34), dice.between(0.20, 0.28)
    rake, screen = dice.between(0.25, 0.75), dice.between(0.75, 1.05)
    cabin = p.frame.slab(rear, front, belt - 0.03, roof, rake, screen, 0.035)
    p.coloured(cabin, p.rising(roof))
    p.coloured(p.frame.slab(c(-0.5), c(0.5), c(0.065), belt, 0.08, 0.18, 0.05), p.rising(belt))
    pane = p.frame.slab(rear + 0.055, front - 0.065, belt - 0.01, roof - 0.035, rake, screen, 0.015)
    door = (rear + front) / 2
    p.flat(pane * (1 - p.frame.box(door - 0.012, door + 0.012, belt, roof)), _GLASS)
    p.flat(p.frame.box(c(-0.49), c(0.49), c(0.065), c(0.09)), _DARK)
    radius = dice.between(0.085, 0.105)
    distance = p.frame.distance_to([dice.between(-0.33, -0.29), dice.between(0.29, 0.33)], radius)
    p.flat(p.frame.coverage(distance - column(radius)), _DARK)
    p.flat(p.frame.coverage(distance - column(0.55 * radius)), _METAL)


def draw_armchair(p: Painter) -> None:
    """An armchair from the front: back, seat and two arms on short feet."""
    c, dice = p.constant, p.dice
    top, arm, seat = dice.between(0.82, 1.0), dice.between(0.46, 0.56), dice.between(0.3, 0.36)
    inner, foot = dice.between(0.28, 0.34), c(0.07)
    feet = p.frame.box(c(-0.44), c(-0.38), c(0.0), c(0.1))
    p.flat(feet + p.frame.box(c(0.38), c(0.44), c(0.0), c(0.1)), _WOOD)
    lean = dice.between(0.0, 0.12)
    back = p.frame.slab(c(-0.42), c(0.42), foot, top, lean, lean, 0.11)
    p.coloured(back, p.rising(top) * 0.88)
    cushion = p.frame.slab(-inner, inner, foot, seat, radius=0.04)
    p.coloured(cushion, 0.7 + 0.3 * p.frame.coverage(column(seat - 0.07) - p.frame.v))
    for left, right in ((c(-0.5), -inner), (inner, c(0.5))):
        side = p.frame.slab(left, right, foot, arm, radius=0.07)
        p.coloured(side, 0.25 + 0.75 * p.rising(arm))


def draw_dress(p: Painter) -> None:
    """A dress on a hanger: bodice, waist and a flared skirt in folds."""
    c, dice = p.constant, p.dice
    hem, top = dice.between(0.08, 0.2), c(1.08)
    waist = dice.between(0.6, 0.7)
    flare, slim = dice.between(0.46, 0.62), dice.between(0.15, 0.19)
    chest = slim + dice.between(0.04, 0.08)
    half = through(
        p.frame.v, [(hem - 0.3, flare), (waist, slim), (waist + 0.2, chest), (top, chest - 0.02)]
    )
    p.flat(p.frame.box(c(-0.012), c(0.012), top - 0.08, top + 0.12), _METAL)
    p.flat(p.frame.box(-chest, chest, top - 0.015, top + 0.015), _METAL)
    place = p.frame.u / half.clamp(min=1e-3) * column(dice.between(1.5, 3.0))
    fold = (place - place.round()).abs() * (p.frame.v < column(waist))
    collar = p.frame.distance_to([c(0.0)], top + 0.02) - 0.11
    body = p.outline(half, hem, top) * (1 - p.frame.coverage(collar))
    p.coloured(body, 0.98 - 0.5 * fold)
    p.flat(p.frame.box(c(-0.5), c(0.5), waist - 0.02, waist + 0.02) * body, _DARK)


def draw_mug(p: Painter) -> None:
    """A mug with a handle on one side, open at the top."""
    c, dice = p.constant, p.dice
    top, wide = dice.between(0.58, 0.76), dice.between(0.28, 0.33)
    narrow = wide - dice.between(0.0, 0.07)
    middle, ring = top * 0.5, dice.between(0.15, 0.18)
    across, up = p.frame.u - column(wide), (p.frame.v - column(middle)) * 0.85
    away = (across.square() + up.square()).sqrt_()
    p.coloured(p.frame.coverage((away - column(ring)).abs() - 0.045), 0.66)
    half = through(p.frame.v, [(c(-0.05), narrow - 0.05), (c(0.12), narrow), (top, wide)])
    p.coloured(p.outline(half, c(0.0), top), *p.round_shade(half))
    rim = ((p.frame.u / column(wide)).square() + ((p.frame.v - column(top)) / 0.07).square()).sqrt()
    p.coloured(p.frame.coverage((rim - 1) * 0.09), 0.95)
    p.flat(p.frame.coverage((rim - 0.84) * 0.09), _DARK * 2.4)


def draw_shoe(p: Painter) -> None:
    """A trainer or ankle boot from the side, on a light sole."""
    c, dice = p.constant, p.dice
    ankle, toe = dice.between(0.36, 0.62), dice.between(0.20, 0.26)
    tongue = dice.between(-0.06, 0.04)
    height = through(
        p.frame.u, [(c(-0.56), ankle), (tongue - 0.1, ankle), (c(0.3), toe), (c(0.54), toe * 0.5)]
    )
    upper = torch.maximum(p.frame.v - height, (p.frame.u.abs() - 0.485))
    body = p.frame.coverage(upper * 0.8) * p.frame.coverage(0.05 - p.frame.v)
    low = p.frame.coverage(p.frame.u - column(tongue) - 0.08)
    p.coloured(body, 0.7 + 0.3 * (p.frame.v / height.clamp(min=0.05)).clamp(0, 1))
    opening = ((p.frame.u + 0.29) / 0.19).square() + ((p.frame.v - column(ankle)) / 0.05).square()
    p.flat(p.frame.coverage((opening.sqrt() - 1) * 0.06) * low, _DARK)
    stripes = (p.frame.u - p.frame.v * 0.5) * 12
    laces = p.frame.coverage(((stripes - stripes.round()).abs() - 0.22) / 12)
    region = p.frame.coverage((height - p.frame.v - 0.06).abs() - 0.05)
    where = p.frame.coverage((p.frame.u - column(tongue) - 0.12).abs() - 0.11)
    p.flat(laces * region * where * body, _RUBBER)
    p.flat(p.frame.slab(c(-0.5), c(0.5), c(0.0), c(0.085), radius=0.035), _RUBBER)


def draw_vase(p: Painter) -> None:
    """A vase: foot, belly, neck and lip, all of varying width."""
    c, dice = p.constant, p.dice
    top, belly = dice.between(0.90, 1.12), dice.between(0.25, 0.5)
    foot, wide = dice.between(0.15, 0.22), dice.between(0.32, 0.45)
    neck, lip = dice.between(0.09, 0.16), dice.between(0.02, 0.1)
    knots = [(c(-0.02), foot), (belly, wide), (top * 0.78, neck), (top, neck + lip)]
    half = through(p.frame.v, knots)
    p.coloured(p.outline(half, c(0.0), top), *p.round_shade(half))
    mouth = (p.frame.u / column(neck + lip)).square() + ((p.frame.v - column(top)) / 0.035).square()
    p.flat(p.frame.coverage((mouth.sqrt() - 0.9) * 0.05), _DARK)


DRAWERS: dict[str, Callable[[Painter], None]] = {
    "armchair": draw_armchair,
    "car": draw_car,
    "dress": draw_dress,
    "mug": draw_mug,
    "shoe": draw_shoe,
    "vase": draw_vase,
}
_WIDTH = {
    "armchair": (0.60, 0.77), "car": (0.76, 0.94), "dress": (0.64, 0.72), "mug": (0.66, 0.84),
    "shoe": (0.72, 0.92), "vase": (0.58, 0.72),
}  # fmt: skip


def draw_objects(shape: str, dice: Dice, size: int) -> Painting:
    """Return pictures (N, 3, size, size) of one shape, one for each index of the dice."""
    ground = dice.between(0.80, 0.90)
    fixed = _draw_backdrop(ground, dice, size)
    painting = Painting(fixed, torch.zeros(len(fixed), 1, size, size))
    unit = dice.between(*_WIDTH[shape])
    x = 0.5 + (0.97 - unit).clamp(min=0) / 2 * dice.between(-1, 1)
    frame = Frame(size, x, ground, unit, dice.between(0, 1) < 0.5)
    painter = Painter(painting, frame, dice)
    if shape != "dress":
        _draw_shadow(painter)
    DRAWERS[shape](painter)
    light = _light(dice, size)
    share = painting.share * light
    return Painting(painting.fixed * light, share * (share > _LEAST_SHARE))


def _draw_shadow(p: Painter) -> None:
    away = (p.frame.u / 0.56).square() + ((p.frame.v + 0.005) / 0.06).square()
    p.flat((1 - away).clamp_(0, 1) * 0.55, _DARK)


def _draw_backdrop(ground: Tensor, dice: Dice, size: int) -> Tensor:
    """Return walls above floors, or sky above grass (N, 3, size, size)."""
    centres = (torch.arange(size) + 0.5) / size
    x, y = centres[None, None, :], centres[None, :, None]
    kind = dice.weighted((0.3, 0.2, 0.15, 0.15, 0.2))
    outside = (kind == BACKDROPS.index("lawn"))[:, None].float()
    wall, floor, pattern = (_any_colour(dice) for _ in range(3))
    wall, floor = torch.lerp(wall, _SKY, outside), torch.lerp(floor * 0.8, _GRASS, outside)
    edge = column(ground - dice.between(0.05, 0.14))
    canvas = (wall[:, :, None, None] * (0.92 + 0.08 * y)).expand(-1, -1, -1, size).contiguous()
    marks = _patterns(x, y, dice, size) * _PATTERNS[:, kind].T[:, :, None, None]
    canvas.lerp_(pattern[:, :, None, None].expand_as(canvas), marks.sum(1, True) * 0.5)
    below = ((y - edge) * size + 0.5).clamp(0, 1).expand(-1, -1, size)
    shaded = floor[:, :, None, None] * (0.75 + 0.3 * y)
    return canvas.lerp_(shaded.expand_as(canvas), below[:, None].expand_as(canvas))


def _patterns(x: Tensor, y: Tensor, dice: Dice, size: int) -> Tensor:
    """Return the coverage of stripes, dots and joints between tiles (N, 3, H, W)."""
    pitch = column(dice.between(5, 9))
    phase = column(dice.between(0, 1))
    pixels = size / pitch
    across, down = (p - p.round() for p in (x * pitch + phase, y * pitch + phase))
    stripes = ((0.25 - across.abs()) * pixels + 0.5).clamp(0, 1).expand(-1, size, -1)
    dots = ((0.27 - (across.square() + down.square()).sqrt()) * pixels + 0.5).clamp(0, 1)
    joint = torch.maximum(0.06 - across.abs(), 0.06 - down.abs())
    return torch.stack([stripes, dots, (joint * pixels + 0.5).clamp(0, 1)], 1)


def _any_colour(dice: Dice) -> Tensor:
    """Return colours (N, 3) of any hue, mostly pale."""
    hue, saturation, value = dice.between(0, 6), dice.between(0, 1), dice.between(0.35, 0.95)
    sector = (hue[:, None] + torch.tensor([0.0, 4.0, 2.0])).remainder(6)
    pure = ((sector - 3).abs() - 1).clamp(0, 1)
    return torch.lerp(torch.ones(3), pure, 0.6 * saturation.square()[:, None]) * value[:, None]


def _light(dice: Dice, size: int) -> Tensor:
    """Return how bright each pixel is lit (N, 1, 1, W), at most 1."""
    x = (torch.arange(size) + 0.5) / size
    slope = dice.between(-0.12, 0.12)[:, None]
    across = 1 + slope * (x - 0.5) - slope.abs() / 2
    return (dice.between(0.88, 1.0)[:, None] * across)[:, None, None, :]
