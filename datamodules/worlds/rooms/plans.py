"""Plans of rooms: where everything stands, how it is lit and from where it is seen."""

from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.rooms.raycast import Camera
from datamodules.worlds.rooms.things import (
    AHEAD,
    CASE,
    CEILING,
    FLOOR,
    OBJECTS,
    PANE,
    SEAT,
    STAND,
    TO_LEFT,
    TO_RIGHT,
    TV,
    WALL,
    Things,
    paired_thing,
    plain_thing,
    rgb_of,
    stack,
)

_CAMERA_PART = 100  # of the dice; with the number of the view
_BEHIND = 2.0  # metres of the room behind z = 0
_CONTRAST = {WALL: (0.12, 0.0, 0.04, 0.0), FLOOR: (0.0, 0.0, 0.12, 0.3), CEILING: (0.0,) * 4}


class Lamp(NamedTuple):
    """Light of N rooms.

    Attributes:
        position: (N, 3), in metres.
        colour: Of its light (N, 3), about 1.
        ambient: Share of the light that comes from everywhere (N,).
    """

    position: Tensor
    colour: Tensor
    ambient: Tensor


class Plan(NamedTuple):
    """N rooms, each seen by one camera."""

    camera: Camera
    things: Things
    lamp: Lamp


class _Room(NamedTuple):
    """Extent of the rooms in metres, and who stands where.

    Attributes:
        width: x is from -width / 2 to width / 2 (N,).
        height: y is from 0 to height.
        length: The wall that the cameras look at is at z = length.
        side: 1: the case at the back wall is at the right end, -1: at the left.
        corners: Order of the four places beside the middle (N, 4).
    """

    width: Tensor
    height: Tensor
    length: Tensor
    side: Tensor
    corners: Tensor


def sample_plan(world_seed: int, index: Tensor, view: int = 0) -> Plan:
    """Return the plans of scenes `index` (N,).

    Args:
        world_seed: Names the world.
        index: Which scenes, int64 (N,).
        view: Which camera; all else is the same for all views of a scene.
    """

    def dice(part: int) -> Dice:
        return Dice(1000 * world_seed + part, index)

    room = _sample_room(dice(0))
    seat = _seat(dice(4), room)
    things = [
        _case_at_the_back(dice(2), room),
        _case_at_the_side(dice(3), room),
        seat,
        _pane_above(seat, dice(5), room),
        _pane_at_the_side(dice(6), room),
        _stand(dice(7), room, 0),
        _stand(dice(8), room, 1),
        *_screen(dice(9), room),
        *_floor_lamp(dice(10), room),
        *[_crate(dice(11 + k), room, k) for k in range(3)],
        *_surfaces(dice(14), room),
    ]
    lamp = _sample_lamp(dice(1), room)
    return Plan(_sample_camera(dice(_CAMERA_PART + view), room), stack(things), lamp)


def rows(plan: Plan, start: int, stop: int) -> Plan:
    """Return the rooms from `start` to before `stop`."""
    return Plan(
        Camera(*(values[start:stop] for values in plan.camera)),
        Things(*(values[start:stop] for values in plan.things)),
        Lamp(*(values[start:stop] for values in plan.lamp)),
    )


def _sample_room(dice: Dice) -> _Room:
    return _Room(
        width=dice.between(3.6, 4.8),
        height=dice.between(2.4, 2.8),
        length=dice.between(3.4, 4.4),
        side=torch.where(dice.between(0, 1) < 0.5, -1.0, 1.0),
        corners=dice.several(4, 0, 1).argsort(1),
    )


def _sample_camera(dice: Dice, room: _Room) -> Camera:
    x = room.width * dice.between(-0.2, 0.2)
    position = torch.stack([x, dice.between(1.35, 1.7), dice.between(-0.7, -0.2)], 1)
    # To the middle of the room, about: half the tangent for the tangent of half the angle.
    yaw = -x / room.length / 2 + dice.between(-0.1, 0.1)
    return Camera(position, yaw, dice.between(0.60, 0.76), dice.between(0.15, 0.4))


def _sample_lamp(dice: Dice, room: _Room) -> Lamp:
    x, z = room.width * dice.between(-0.3, 0.3), room.length * dice.between(0.1, 0.6)
    level, tint = dice.between(0.75, 1.35), dice.between(-0.08, 0.08)
    return Lamp(
        torch.stack([x, room.height - 0.2, z], 1),
        torch.stack([level * (1 + tint), level, level * (1 - tint)], 1),
        dice.between(0.35, 0.6),
    )


def _case_at_the_back(dice: Dice, room: _Room) -> Things:
    size = _size(dice, (0.9, 1.2), (1.5, 2.0), (0.4, 0.55))
    x = room.side * (room.width - size[:, 0] - 0.1) / 2
    place = torch.stack([x, size[:, 1] / 2, room.length - size[:, 2] / 2], 1)
    return paired_thing(dice, CASE, place, size, torch.full_like(x, AHEAD))


def _case_at_the_side(dice: Dice, room: _Room) -> Things:
    size = _size(dice, (0.9, 1.3), (1.5, 2.0), (0.4, 0.55))
    x = -room.side * (room.width - size[:, 2]) / 2
    z = room.length - size[:, 0] / 2 - dice.between(1.0, 1.5)
    place = torch.stack([x, size[:, 1] / 2, z], 1)
    return paired_thing(dice, CASE, place, size, _inwards(x), dice.between(0, 1) < 0.75)


def _seat(dice: Dice, room: _Room) -> Things:
    size = _size(dice, (1.6, 2.1), (0.8, 1.0), (0.85, 1.1))
    free = (room.width - size[:, 0] - 1.3).clamp(min=0)  # 1.3: the case and a gap
    x = -room.side * ((room.width - size[:, 0] - 0.1) / 2 - free * dice.between(0, 1))
    place = torch.stack([x, size[:, 1] / 2, room.length - size[:, 2] / 2 - 0.05], 1)
    return paired_thing(dice, SEAT, place, size, torch.full_like(x, AHEAD))


def _pane_above(seat: Things, dice: Dice, room: _Room) -> Things:
    size = _size(dice, (1.2, 1.7), (0.75, 1.0), (0.15, 0.15))
    x = seat.centre[:, 0] + dice.between(-0.15, 0.15)
    place = torch.stack([x, dice.between(1.55, 1.8), room.length - size[:, 2] / 2], 1)
    return paired_thing(dice, PANE, place, size, torch.full_like(x, AHEAD))


def _pane_at_the_side(dice: Dice, room: _Room) -> Things:
    size = _size(dice, (1.2, 1.7), (0.75, 1.0), (0.15, 0.15))
    x = room.side * (room.width - size[:, 2]) / 2
    z = room.length - size[:, 0] / 2 - dice.between(0.7, 1.2)
    place = torch.stack([x, dice.between(1.5, 1.8), z], 1)
    return paired_thing(dice, PANE, place, size, _inwards(x), dice.between(0, 1) < 0.85)


def _stand(dice: Dice, room: _Room, number: int) -> Things:
    size = _size(dice, (0.65, 0.95), (0.7, 0.9), (0.6, 0.8))
    x, z = _corner(dice, room, number)
    place = torch.stack([x, size[:, 1] / 2, z], 1)
    return paired_thing(dice, STAND, place, size, torch.full_like(x, AHEAD))


def _screen(dice: Dice, room: _Room) -> list[Things]:
    size = _size(dice, (0.9, 1.2), (0.5, 0.65), (0.1, 0.14))
    x, z = _corner(dice, room, 2)
    foot, there = dice.between(0.35, 0.6), dice.between(0, 1) < 0.7
    dark = rgb_of(dice.between(0.5, 0.75), dice.between(0.1, 0.5), dice.between(0.03, 0.1))
    panel = torch.stack([x, foot + size[:, 1] / 2, z], 1)
    stand = torch.stack([x, foot / 2, z], 1)
    broad = torch.stack([torch.full_like(foot, 0.4), foot, torch.full_like(foot, 0.3)], 1)
    return [
        plain_thing(dice, TV, panel, size, dark, there),
        plain_thing(dice, TV, stand, broad, dark, there),
    ]


def _floor_lamp(dice: Dice, room: _Room) -> list[Things]:
    height, there = dice.between(1.2, 1.7), dice.between(0, 1) < 0.6
    x, z = _corner(dice, room, 3)
    pole = torch.stack([torch.full_like(x, 0.08), height, torch.full_like(x, 0.08)], 1)
    shade = _size(dice, (0.3, 0.45), (0.25, 0.4), (0.3, 0.45))
    colour = _bright(dice)
    return [
        plain_thing(dice, OBJECTS, torch.stack([x, height / 2, z], 1), pole, colour / 2, there),
        plain_thing(dice, OBJECTS, torch.stack([x, height, z], 1), shade, colour, there),
    ]


def _crate(dice: Dice, room: _Room, number: int) -> Things:
    size = _size(dice, (0.28, 0.5), (0.25, 0.5), (0.28, 0.5))
    x = room.width * dice.between(-0.12, 0.12)
    z = room.length * (0.4 + 0.14 * number + dice.between(-0.03, 0.03))
    place = torch.stack([x, size[:, 1] / 2, z], 1)
    return plain_thing(dice, OBJECTS, place, size, _bright(dice), dice.between(0, 1) < 0.7)


def _surfaces(dice: Dice, room: _Room) -> list[Things]:
    none = torch.zeros_like(room.width)
    low = torch.stack([-room.width / 2, none, none - _BEHIND], 1)
    high = torch.stack([room.width / 2, room.height, room.length], 1)
    wall = rgb_of(dice.between(0, 1), dice.between(0.03, 0.35), dice.between(0.6, 0.9))
    floor = rgb_of(dice.between(0.02, 0.14), dice.between(0.2, 0.6), dice.between(0.3, 0.65))
    ceiling = rgb_of(dice.between(0, 1), dice.between(0, 0.1), dice.between(0.8, 0.95))
    painted = []
    for label, colour in ((WALL, wall), (FLOOR, floor), (CEILING, ceiling)):
        thing = plain_thing(dice, label, (low + high) / 2, high - low, colour)
        panels = ((high - low) / dice.several(3, 0.3, 1.2)).ceil()
        contrast = dice.several(4, 0, 1) * torch.tensor(_CONTRAST[label])
        painted.append(thing._replace(panels=panels, contrast=contrast))
    return painted


def _size(
    dice: Dice, across: tuple[float, float], up: tuple[float, float], deep: tuple[float, float]
) -> Tensor:
    return torch.stack([dice.between(*across), dice.between(*up), dice.between(*deep)], 1)


def _corner(dice: Dice, room: _Room, number: int) -> tuple[Tensor, Tensor]:
    """Return x and z of the place beside the middle that is the thing's."""
    corner = room.corners[:, number]
    x = room.width * ((corner % 2) * 0.62 - 0.31 + dice.between(-0.04, 0.04))
    return x, room.length * (0.38 + 0.22 * (corner // 2) + dice.between(-0.03, 0.03))


def _inwards(x: Tensor) -> Tensor:
    return torch.where(x < 0, TO_RIGHT, TO_LEFT)


def _bright(dice: Dice) -> Tensor:
    return rgb_of(dice.between(0, 1), dice.between(0.4, 0.8), dice.between(0.4, 0.9))
