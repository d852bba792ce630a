"""Side views of a car, a bus, a truck and a van, drawn in units of the vehicle's length.

The origin is the ground below the middle; u = -0.5 is the rear, 0.5 the front, v is upwards.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.canvas.drawing import Frame, gradient, paint
from datamodules.worlds.vehicles.scenery import TINT

_TYRE = torch.tensor([0.07, 0.07, 0.08])
_RIM = torch.tensor([0.72, 0.73, 0.75])
_DARK = torch.tensor([0.13, 0.13, 0.15])
_STRIPE = torch.tensor([0.93, 0.93, 0.93])
_HEADLIGHT = torch.tensor([1.0, 0.96, 0.75])
_TAILLIGHT = torch.tensor([0.85, 0.08, 0.06])
# By light: what windows show, at their lower and upper edge.
_GLASS_LOW = torch.tensor(
    [[0.16, 0.24, 0.32], [0.22, 0.25, 0.29], [0.24, 0.17, 0.22], [0.60, 0.50, 0.28]]
)
_GLASS_TOP = torch.tensor(
    [[0.55, 0.72, 0.84], [0.55, 0.59, 0.64], [0.80, 0.52, 0.40], [0.78, 0.68, 0.42]]
)


@dataclass
class Painter:
    """One kind's canvases and what its drawing functions need.

    Attributes:
        canvas: RGB (N, 3, H, W) in [0, 1], painted in place.
        frame: Coordinates of the vehicles.
        colour: Of the bodies (N, 3), unlit.
        light: Which light (N,).
        dice: Roll what is no label.
    """

    canvas: Tensor
    frame: Frame
    colour: Tensor
    light: Tensor
    dice: Dice

    def constant(self, value: float) -> Tensor:
        """Return the same value for every vehicle (N,)."""
        return torch.full((len(self.canvas),), value)

    def flat(self, coverage: Tensor, colour: Tensor) -> None:
        """Paint a colour, (3,) or (N, 3), as the light tints it."""
        paint(self.canvas, coverage, colour * TINT[self.light])

    def body(self, coverage: Tensor, top: Tensor, lighten: float = 0.0) -> None:
        """Paint the body's colour, bright at height `top` (N,) and dim towards the ground."""
        colour = torch.lerp(self.colour, torch.ones(3), lighten) * TINT[self.light]
        share = (self.frame.v / top[:, None, None]).clamp(0, 1)
        bright = torch.lerp(colour, TINT[self.light], 0.10)
        paint(self.canvas, coverage, gradient(colour * 0.62, bright, share))

    def glass(self, coverage: Tensor, bottom: Tensor, top: Tensor) -> None:
        """Paint windows that reflect the sky, between two heights (N,)."""
        share = (self.frame.v - bottom[:, None, None]) / (top - bottom)[:, None, None]
        low, high = _GLASS_LOW[self.light], _GLASS_TOP[self.light]
        paint(self.canvas, coverage, gradient(low, high, share.clamp(0, 1)))

    def seam(self, at: Tensor, bottom: Tensor, top: Tensor) -> None:
        """Paint the thin line of a door."""
        line = self.frame.box(at - 0.006, at + 0.006, bottom, top)
        self.flat(line * 0.45, _DARK)

    def shadow(self) -> None:
        """Darken the road under the vehicle."""
        flattened = (self.frame.u / 0.54).square() + ((self.frame.v + 0.005) / 0.05).square()
        self.flat((1 - flattened).clamp_(0, 1) * 0.7, _TYRE)

    def wheels(self, places: list[Tensor], radius: Tensor) -> None:
        """Paint arch, tyre, rim and hub at each place (N,)."""
        distance = self.frame.distance_to(places, radius)
        r = radius[:, None, None]
        arch = self.frame.coverage(distance - r * 1.2)
        upper = self.frame.coverage(r * 0.7 - self.frame.v)
        self.flat(arch * upper, _DARK)
        self.flat(self.frame.coverage(distance - r), _TYRE)
        self.flat(self.frame.coverage(distance - r * 0.58), _RIM)
        self.flat(self.frame.coverage(distance - r * 0.2), _DARK)

    def lamps(self, front: float, rear: float, height: Tensor) -> None:
        """Paint headlight and tail light, which do not dim at night."""
        n = len(height)
        head = self.frame.box(
            self.constant(front - 0.035), self.constant(front), height, height + 0.035
        )
        tail = self.frame.box(
            self.constant(rear), self.constant(rear + 0.022), height, height + 0.045
        )
        paint(self.canvas, head, _HEADLIGHT.expand(n, 3))
        paint(self.canvas, tail, _TAILLIGHT.expand(n, 3))


def draw_car(p: Painter) -> None:
    """A saloon or hatchback: low body, cabin with raked screens."""
    c, dice = p.constant, p.dice
    belt, roof = dice.between(0.205, 0.235), dice.between(0.35, 0.41)
    rear, front = dice.between(-0.44, -0.34), dice.between(0.20, 0.28)
    rake_rear, rake_front = dice.between(0.25, 0.75), dice.between(0.75, 1.05)
    p.shadow()
    p.body(p.frame.slab(rear, front, belt - 0.03, roof, rake_rear, rake_front, 0.035), roof)
    p.body(p.frame.slab(c(-0.5), c(0.5), c(0.065), belt, 0.08, 0.18, 0.05), belt * 1.3)
    door = (rear + front) / 2 + dice.between(-0.03, 0.03)
    pane = p.frame.slab(
        rear + 0.055, front - 0.065, belt - 0.01, roof - 0.035, rake_rear, rake_front, 0.015
    )
    p.glass(pane * (1 - p.frame.box(door - 0.012, door + 0.012, belt - 0.1, roof)), belt, roof)
    p.seam(door, c(0.09), belt)
    p.flat(p.frame.box(c(-0.49), c(0.49), c(0.065), c(0.09)) * 0.6, _DARK)
    p.wheels([dice.between(-0.33, -0.29), dice.between(0.29, 0.33)], dice.between(0.082, 0.1))
    p.lamps(0.49, -0.495, belt - 0.07)


def draw_bus(p: Painter) -> None:
    """A city bus: one long box with a row of windows, a door and a band of another shade."""
    c, dice = p.constant, p.dice
    roof = dice.between(0.36, 0.42)
    low, high = roof * dice.between(0.50, 0.55), roof * 0.86
    p.shadow()
    unit = p.frame.box(
        dice.between(-0.36, -0.2), dice.between(-0.05, 0.1), roof - 0.02, roof + 0.025
    )
    p.body(unit, roof * 1.6)
    p.body(p.frame.slab(c(-0.5), c(0.5), c(0.05), roof, 0.01, 0.05, 0.03), roof)
    p.flat(
        p.frame.box(c(-0.5), c(0.49), low * 0.74, low * 0.86) * 0.75,
        _STRIPE,
    )
    panes = 5 + dice.below(3)
    step = 0.78 / panes
    place = (p.frame.u + 0.46) / step[:, None, None]
    off_centre = (place - place.floor() - 0.5).abs() - 0.41
    row = p.frame.box(c(-0.46), c(0.31), low, high)
    p.glass(row * p.frame.coverage(off_centre * step[:, None, None]), low, high)
    p.glass(p.frame.box(c(0.335), c(0.395), c(0.085), high), low * 0.2, high)
    p.glass(p.frame.slab(c(0.425), c(0.505), low * 0.9, high + 0.01, 0.0, 0.05, 0.01), low, high)
    p.flat(p.frame.box(c(-0.49), c(0.49), c(0.05), c(0.07)) * 0.6, _DARK)
    p.wheels([dice.between(-0.32, -0.26), dice.between(0.2, 0.26)], dice.between(0.06, 0.07))
    p.lamps(0.495, -0.5, c(0.1))


def draw_truck(p: Painter) -> None:
    """A lorry: cab, gap, and a taller box on a dark chassis with three axles."""
    c, dice = p.constant, p.dice
    box, cab = dice.between(0.44, 0.52), dice.between(0.32, 0.37)
    back, gap = dice.between(0.16, 0.2), dice.between(0.035, 0.06)
    p.shadow()
    p.flat(p.frame.box(c(-0.48), c(0.47), c(0.06), c(0.115)), _DARK)
    p.body(p.frame.slab(c(-0.5), back, c(0.115), box, radius=0.008), box, lighten=0.08)
    ribs = (p.frame.u * 14 - (p.frame.u * 14).floor() - 0.5).abs() - 0.07
    inside = p.frame.box(c(-0.47), back - 0.03, c(0.135), box - 0.03)
    p.flat(inside * p.frame.coverage(ribs / 14) * 0.22, _DARK)
    p.body(p.frame.slab(back + gap, c(0.5), c(0.07), cab, 0.0, 0.16, 0.03), cab)
    low = cab * dice.between(0.56, 0.6)
    window = p.frame.slab(back + gap + 0.07, c(0.475), low, cab - 0.035, 0.0, 0.16, 0.01)
    p.glass(window, low, cab)
    p.seam(back + gap + 0.055, c(0.09), cab - 0.04)
    rear = dice.between(-0.40, -0.36)
    radius = dice.between(0.066, 0.076)
    p.wheels([rear, rear + 2.3 * radius, dice.between(0.33, 0.37)], radius)
    p.lamps(0.495, -0.5, c(0.125))


def draw_van(p: Painter) -> None:
    """A panel van: one tall box that slopes into a short bonnet, glazed in front only or whole."""
    c, dice = p.constant, p.dice
    roof, belt = dice.between(0.42, 0.49), dice.between(0.225, 0.255)
    rake = dice.between(0.5, 0.75)
    p.shadow()
    p.body(p.frame.slab(c(-0.5), c(0.45), belt - 0.04, roof, 0.03, rake, 0.035), roof)
    p.body(p.frame.slab(c(-0.5), c(0.5), c(0.06), belt, 0.02, 0.22, 0.04), roof)
    high = roof - 0.055
    pane = p.frame.slab(c(0.10), c(0.405), belt + 0.015, high, 0.0, rake, 0.012)
    p.glass(pane, belt, roof)
    glazed = (dice.between(0, 1) < 0.35).float()[:, None, None]
    split = p.frame.box(c(-0.2), c(-0.17), belt, roof)
    p.glass(p.frame.box(c(-0.45), c(0.06), belt + 0.02, high) * (1 - split) * glazed, belt, roof)
    p.seam(c(0.08), c(0.1), roof - 0.05)
    p.seam(dice.between(-0.22, -0.15), c(0.1), roof - 0.05)
    p.flat(p.frame.box(c(-0.49), c(0.49), c(0.06), c(0.085)) * 0.6, _DARK)
    p.wheels([dice.between(-0.34, -0.3), dice.between(0.29, 0.33)], dice.between(0.078, 0.09))
    p.lamps(0.485, -0.498, belt - 0.075)


DRAWERS: dict[str, Callable[[Painter], None]] = {
    "bus": draw_bus,
    "car": draw_car,
    "truck": draw_truck,
    "van": draw_van,
}
