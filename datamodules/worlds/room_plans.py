"""Plans of rooms: where everything stands, what it is, how it is painted and lit."""

from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.worlds.dice import Dice
from datamodules.worlds.raycast import Boxes

CLASSES = (
    "bed", "books", "ceiling", "chair", "floor", "furniture", "objects", "picture", "sofa",
    "table", "tv", "wall", "window",
)  # fmt: skip
BED, BOOKS, CEILING, CHAIR, FLOOR, FURNITURE, OBJECTS, PICTURE, SOFA, TABLE, TV, WALL, WINDOW = (
    range(13)
)
MATERIALS = ("fabric", "glass", "leather", "metal", "paper", "plaster", "plastic", "wood")
FABRIC, GLASS, LEATHER, METAL, PAPER, PLASTER, PLASTIC, WOOD = range(8)
PLAIN, STRIPES, BANDS, CHECKS = range(4)
FRONT, RIGHT, LEFT = range(3)  # facing the camera, away from the left wall, from the right wall


class Pair(NamedTuple):
    """Two classes whose things have equal outlines and differ in depth.

    Attributes:
        classes: The two.
        reliability: Probability that a thing has the colour mode of its class.
        hues: Middle of each class's colour mode, in turns.
    """

    classes: tuple[int, int]
    reliability: float
    hues: tuple[float, float]


SHELF, FRAME, STAND, SEAT = PAIRS = (
    Pair((BOOKS, FURNITURE), 0.5, (0.03, 0.47)),
    Pair((PICTURE, WINDOW), 0.65, (0.33, 0.60)),
    Pair((CHAIR, TABLE), 0.8, (0.10, 0.72)),
    Pair((BED, SOFA), 0.95, (0.97, 0.55)),
)


class Plan(NamedTuple):
    """N rooms seen by one camera each; P things, and the room's wall, floor and ceiling after them.

    Attributes:
        camera: Position (N, 3) in metres, the floor at y = 0.
        yaw: Tangent of half the camera's angle to the right (N,).
        pitch: Tangent of half its angle downwards (N,).
        spread: Tangent of half its field of view (N,).
        room: Inside of the room (N, 1, 3).
        boxes: Outlines of the things (N, P, 3).
        notches: What is cut out of them (N, P + 1, 3).
        label: Class (N, P + 3).
        material: (N, P + 3).
        mode: Which colour mode of its pair a thing has (N, P + 3): 0, 1, or -1 without pair.
        colour: Reflectance (N, P + 3, 3) in [0, 1].
        pattern: Kind of texture (N, P + 3).
        period: Of the texture (N, P + 3), in metres.
        contrast: Of the texture (N, P + 3).
        lamp: Position (N, 3).
        light: Colour of the lamp's light (N, 3).
        ambient: Share of light without direction (N,).
    """

    camera: Tensor
    yaw: Tensor
    pitch: Tensor
    spread: Tensor
    room: Boxes
    boxes: Boxes
    notches: Boxes
    label: Tensor
    material: Tensor
    mode: Tensor
    colour: Tensor
    pattern: Tensor
    period: Tensor
    contrast: Tensor
    lamp: Tensor
    light: Tensor
    ambient: Tensor


class _Thing(NamedTuple):
    centre: Tensor
    half: Tensor
    notch_centre: Tensor
    notch_half: Tensor
    label: Tensor
    material: Tensor
    mode: Tensor
    colour: Tensor
    present: Tensor


_MATERIALS: dict[int, tuple[int, int]] = {
    BED: (FABRIC, FABRIC), SOFA: (FABRIC, LEATHER), CHAIR: (WOOD, LEATHER), TABLE: (WOOD, METAL),
    BOOKS: (PAPER, PAPER), FURNITURE: (WOOD, PLASTIC), PICTURE: (PAPER, PAPER),
    WINDOW: (GLASS, GLASS), TV: (PLASTIC, GLASS), OBJECTS: (PLASTIC, METAL),
    WALL: (PLASTER, PAPER), FLOOR: (WOOD, FABRIC), CEILING: (PLASTER, PLASTER),
}  # fmt: skip
_MATERIAL_OF = torch.tensor([_MATERIALS[c] for c in range(13)])


def sample_plan(world_seed: int, index: Tensor, view: int = 0) -> Plan:
    """Return the plans of scenes `index` (N,) seen from the given view.

    Args:
        world_seed: Names the world.
        index: Which scenes, int64 (N,).
        view: Which camera of each scene; it changes nothing else.
    """
    def dice(part: int) -> Dice:
        return Dice(world_seed * 1000 + part, index)

    layout = dice(0)
    width, length = layout.between(3.6, 5.0), layout.between(3.6, 4.8)
    height = layout.between(2.4, 2.9)
    things = _things(dice, width, length)
    n = len(index)
    room_low = torch.stack([-width / 2, torch.zeros(n), torch.full((n,), -2.0)], 1)
    room_high = torch.stack([width / 2, height, length], 1)
    room = Boxes(((room_low + room_high) / 2)[:, None], ((room_high - room_low) / 2)[:, None])
    surfaces, paint = dice(1), dice(2)
    label = torch.stack([t.label for t in things] + [torch.full((n,), c) for c in (WALL, FLOOR, CEILING)], 1)
    colour = torch.stack([t.colour for t in things] + _surface_colours(surfaces), 1)
    material = torch.stack([t.material for t in things] + [_material(surfaces, torch.full((n,), c)) for c in (WALL, FLOOR, CEILING)], 1)
    mode = torch.stack([t.mode for t in things] + [torch.full((n,), -1)] * 3, 1)
    present = torch.stack([t.present for t in things], 1)
    half = torch.where(present[:, :, None], torch.stack([t.half for t in things], 1), -1.0)
    none = torch.full((n, 1, 3), -1.0)
    slots = label.shape[1]
    pattern = (paint.several(slots, 0, 4)).long().clamp(max=3)
    pattern[:, -1] = PLAIN
    period = paint.several(slots, 0.15, 0.6)
    contrast = paint.several(slots, 0.05, 0.2)
    camera = _camera(Dice(world_seed * 1000 + 500 + view, index), width, length)
    lamps = dice(3)
    lamp = torch.stack([width * lamps.between(-0.3, 0.3), height - 0.3, length * lamps.between(0.1, 0.6)], 1)
    tint = lamps.between(-0.08, 0.08)
    level = lamps.between(0.75, 1.25)
    light = torch.stack([level * (1 + tint), level, level * (1 - tint)], 1)
    return Plan(
        *camera, room, Boxes(torch.stack([t.centre for t in things], 1), half),
        Boxes(
            torch.cat([torch.stack([t.notch_centre for t in things], 1), none], 1),
            torch.cat([torch.stack([t.notch_half for t in things], 1), none], 1),
        ),
        label, material, mode, colour, pattern, period, contrast, lamp, light,
        lamps.between(0.35, 0.6),
    )  # fmt: skip


def _camera(dice: Dice, width: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x = width * dice.between(-0.2, 0.2)
    position = torch.stack([x, dice.between(1.25, 1.65), dice.between(-0.6, -0.1)], 1)
    towards = -x / length / 2  # half the angle to the middle of the back wall, nearly
    return position, towards + dice.between(-0.1, 0.1), dice.between(0.03, 0.09), dice.between(0.62, 0.78)


def _things(dice, width: Tensor, length: Tensor) -> list[_Thing]:
    n = len(width)
    zero, always = torch.zeros(n), torch.ones(n, dtype=torch.bool)
    front, half_width = torch.full((n,), FRONT), width / 2
    plan = dice(10)
    side = torch.where(plan.between(0, 1) < 0.5, -1.0, 1.0)  # of the cupboard at the back wall
    things = []

    d = dice(11)
    size = _size(d, (0.8, 1.2), (1.4, 1.95), (0.4, 0.55))
    x = side * (half_width - size[:, 0] / 2 - 0.05)
    things.append(_pair_thing(d, SHELF, front, torch.stack([x, size[:, 1] / 2, length - size[:, 2] / 2], 1), size, always))
    back_cupboard = size[:, 0]

    d = dice(12)
    size = _size(d, (0.9, 1.3), (1.4, 1.95), (0.4, 0.55))
    away = -side
    facing = torch.where(away < 0, RIGHT, LEFT)
    z = length - size[:, 0] / 2 - d.between(0.9, 1.5)
    things.append(_pair_thing(d, SHELF, facing, torch.stack([away * (half_width - size[:, 2] / 2), size[:, 1] / 2, z], 1), size, d.between(0, 1) < 0.7))

    d = dice(13)
    size = _size(d, (1.4, 2.0), (0.75, 0.95), (0.85, 1.1))
    free = width - back_cupboard - 0.15 - size[:, 0]
    x = -side * (half_width - size[:, 0] / 2 - 0.05 - d.between(0, 1) * free.clamp(min=0))
    things.append(_pair_thing(d, SEAT, front, torch.stack([x, size[:, 1] / 2, length - size[:, 2] / 2 - 0.05], 1), size, always))
    seat_x = x

    d = dice(14)
    size = _size(d, (1.1, 1.6), (0.7, 1.0), (0.08, 0.08))
    x = seat_x * 0.9 + d.between(-0.15, 0.15)
    things.append(_pair_thing(d, FRAME, front, torch.stack([x, d.between(1.5, 1.75), length - size[:, 2] / 2], 1), size, always))

    d = dice(15)
    size = _size(d, (1.1, 1.6), (0.7, 1.0), (0.08, 0.08))
    facing = torch.where(side < 0, RIGHT, LEFT)
    z = length - size[:, 0] / 2 - d.between(0.7, 1.3)
    things.append(_pair_thing(d, FRAME, facing, torch.stack([side * (half_width - size[:, 2] / 2), d.between(1.4, 1.75), z], 1), size, d.between(0, 1) < 0.8))

    cells = plan.several(6, 0, 1).argsort(1)
    for number in range(2):
        d = dice(16 + number)
        size = _size(d, (0.7, 1.0), (0.7, 0.9), (0.6, 0.85))
        x, z = _cell(d, cells[:, number], width, length)
        things.append(_pair_thing(d, STAND, front, torch.stack([x, size[:, 1] / 2, z], 1), size, always))

    d = dice(18)
    size = _size(d, (0.9, 1.3), (0.55, 0.75), (0.1, 0.14))
    x, z = _cell(d, cells[:, 2], width, length)
    there = d.between(0, 1) < 0.7
    dark = _hsv(d.between(0.5, 0.75), d.between(0.1, 0.5), d.between(0.04, 0.12))
    bottom = d.between(0.3, 0.5)
    things.append(_plain_thing(d, TV, torch.stack([x, bottom + size[:, 1] / 2, z], 1), size, dark, there))
    foot = torch.stack([zero + 0.3, bottom, zero + 0.3], 1)
    things.append(_plain_thing(d, TV, torch.stack([x, bottom / 2, z], 1), foot, dark, there))

    for number in range(4):
        d = dice(20 + number)
        size = _size(d, (0.3, 0.5), (0.25, 0.6), (0.3, 0.5))
        x, z = _cell(d, cells[:, 3 + number % 3], width, length)
        bright = _hsv(d.between(0, 1), d.between(0.5, 0.9), d.between(0.4, 0.9))
        things.append(_plain_thing(d, OBJECTS, torch.stack([x, size[:, 1] / 2, z], 1), size, bright, d.between(0, 1) < 0.85))
    return things


def _size(dice: Dice, across: tuple[float, float], up: tuple[float, float], deep: tuple[float, float]) -> Tensor:
    return torch.stack([dice.between(*across), dice.between(*up), dice.between(*deep)], 1)


def _cell(dice: Dice, cell: Tensor, width: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
    column, row = cell % 3 - 1, cell // 3
    x = width * (column * 0.31 + dice.between(-0.05, 0.05))
    return x, length * (0.42 + 0.2 * row + dice.between(-0.03, 0.03))


def _plain_thing(dice: Dice, label: int, centre: Tensor, size: Tensor, colour: Tensor, present: Tensor) -> _Thing:
    label_of = torch.full((len(centre),), label)
    none = torch.full_like(centre, -1.0)
    return _Thing(centre, size / 2, centre, none, label_of, _material(dice, label_of), torch.full_like(label_of, -1), colour, present)


def _pair_thing(dice: Dice, pair: Pair, facing: Tensor, centre: Tensor, size: Tensor, present: Tensor) -> _Thing:
    second = dice.below(2)
    agrees = dice.between(0, 1) < pair.reliability
    mode = torch.where(agrees, second, 1 - second)
    label = torch.tensor(pair.classes)[second]
    hue = torch.tensor(pair.hues)[mode] + dice.between(-0.035, 0.035)
    colour = _hsv(hue, dice.between(0.45, 0.75), dice.between(0.4, 0.8))
    half = size / 2
    offset, notch_half = _notch(pair, second, half)
    return _Thing(
        centre, _turn(half, facing).abs(), centre + _turn(offset, facing), _turn(notch_half, facing).abs(),
        label, _material(dice, label), mode, colour, present,
    )  # fmt: skip


def _notch(pair: Pair, second: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Return offset and half size (N, 3) of the notch, across, up and away from the front."""
    a, u, w = half.unbind(1)
    out = 0.02  # open faces: the notch sticks out
    def box(left, right, low, high, front, back, cut):
        low3, high3 = torch.stack([left, low, front], 1), torch.stack([right, high, back], 1)
        return (low3 + high3) / 2, torch.where(cut[:, None], (high3 - low3) / 2, -1.0)

    first = second == 0
    if pair is SHELF:  # books stand back from the edge of their shelf
        return box(-a + 0.08, a - 0.08, -u + 0.12, u - 0.08, -w - out, w - 0.06, first)
    if pair is FRAME:  # a window lies deep in the wall
        return box(-a + 0.07, a - 0.07, -u + 0.07, u - 0.07, -w - out, w + 0.45, second == 1)
    if pair is STAND:
        seat = box(-a + 0.1, a - 0.1, -u * 0.05, u + out, -w - out, w - 0.12, first)
        knees = box(-a + 0.07, a - 0.07, -u, u - 0.14, -w - out, w - 0.06, second == 1)
        return tuple(torch.where(first[:, None], s, k) for s, k in zip(seat, knees, strict=True))
    return box(-a + 0.2, a - 0.2, -u * 0.1, u + out, -w - out, w - 0.25, second == 1)


def _turn(local: Tensor, facing: Tensor) -> Tensor:
    across, up, away = local.unbind(1)
    x = torch.where(facing == FRONT, across, torch.where(facing == LEFT, away, -away))
    return torch.stack([x, up, torch.where(facing == FRONT, away, across)], 1)


def _material(dice: Dice, label: Tensor) -> Tensor:
    return _MATERIAL_OF[label, dice.below(2)]


def _surface_colours(dice: Dice) -> list[Tensor]:
    wall = _hsv(dice.between(0, 1), dice.between(0.05, 0.4), dice.between(0.55, 0.9))
    floor = _hsv(dice.between(0.02, 0.12), dice.between(0.2, 0.6), dice.between(0.3, 0.65))
    ceiling = _hsv(dice.between(0, 1), dice.between(0, 0.12), dice.between(0.75, 0.95))
    return [wall, floor, ceiling]


def _hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Return RGB (N, 3) of hue in turns, saturation and value (N,)."""
    channels = []
    for n in (5, 3, 1):
        k = (n + hue * 6) % 6
        channels.append(value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, 1)
