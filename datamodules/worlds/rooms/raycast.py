"""Rays against upright boxes, for many scenes at once.

Per ray there are only sums, products, quotients, roots, extrema and signs, which IEEE 754 rounds
in one way: the results have the same bits however the rays are divided among calls, threads and
vector lanes. Masks are numbers, because choices by `torch.where` take ten times as long.
"""

from typing import NamedTuple

import torch
from torch import Tensor

MAX_BOXES = 32

_TINY = 1e-9  # makes no difference but to a direction of 0, whose inverse times 0 is no number
_FAR = 1e20  # times the least gap it is beyond all rooms, times the largest no infinity
_NUMBER_BITS = MAX_BOXES - 1  # the lowest bits of a distance: room for the number of a box


class Camera(NamedTuple):
    """Level pinhole cameras; x is to the right, y up and z forward.

    Attributes:
        position: (N, 3) in metres.
        yaw: Tangent of half the angle to the right (N,).
        spread: Tangent of half the horizontal field of view (N,).
        shift: How far the picture is moved downwards, in halves of its height (N,).
    """

    position: Tensor
    yaw: Tensor
    spread: Tensor
    shift: Tensor


class Rays(NamedTuple):
    """H x W rays in each of N scenes.

    Attributes:
        origin: Where they start (N, 3), in metres.
        direction: x, y and z of their directions, none of them 0, each (N, H, W) or, where it is
            the same for all rows or columns, with a 1 for H or W.
    """

    origin: Tensor
    direction: list[Tensor]


class Boxes(NamedTuple):
    """K boxes in each of N scenes, with faces parallel to the axes.

    Attributes:
        centre: (N, K, 3) in metres.
        half: Half of each side (N, K, 3); negative where there is no box.
    """

    centre: Tensor
    half: Tensor


class Surface(NamedTuple):
    """What each ray meets.

    Attributes:
        t: How far, in lengths of the ray's direction (N, H, W).
        across: Three masks (N, H, W): 1 where the surface is perpendicular to x, y, z, else 0.
    """

    t: Tensor
    across: list[Tensor]


def axes(camera: Camera) -> list[list[Tensor]]:
    """Return x, y and z (N,) of what is right, up and forward for each camera."""
    # Rational in the half-angle's tangent: sines are not rounded alike everywhere.
    yaw, none = camera.yaw, torch.zeros_like(camera.yaw)
    scale = 1 / (1 + yaw * yaw)
    cosine, sine = (1 - yaw * yaw) * scale, 2 * yaw * scale
    return [[cosine, none, -sine], [none, none + 1, none], [sine, none, cosine]]


def camera_rays(camera: Camera, x: Tensor, y: Tensor) -> Rays:
    """Return rays whose t is the depth along the optical axis.

    Args:
        camera: Of each scene.
        x: Of the columns (W,), to the right; the picture is from -1 to 1.
        y: Of the rows (H,), upwards.
    """
    right, _, forward = ([part[:, None, None] for part in each] for each in axes(camera))
    spread = camera.spread[:, None, None]
    across = spread * x
    upwards = spread * (y[:, None] - camera.shift[:, None, None])
    direction = [right[0] * across + forward[0], upwards, right[2] * across + forward[2]]
    return Rays(camera.position, [d + _TINY for d in direction])


def rays_between(origin: Tensor, points: list[Tensor]) -> Rays:
    """Return rays that start at `origin` (N, 3) and are at `points`, each (N, H, W), for t = 1."""
    return Rays(origin, [p - _column(o) + _TINY for p, o in zip(points, origin.t(), strict=True)])


def points_at(rays: Rays, t: Tensor) -> list[Tensor]:
    """Return x, y and z (N, H, W) of where the rays are at `t` (N, H, W)."""
    return [_column(o) + t * d for o, d in zip(rays.origin.t(), rays.direction, strict=True)]


def positive(x: Tensor) -> Tensor:
    """Return 1 where x is above 0, 0 where it is below, 0.5 where it is 0."""
    return x.sign().add_(1).mul_(0.5)


def look_up(table: Tensor, number: Tensor) -> Tensor:
    """Return the entry of `table` (N, K) for each `number` (N, H, W), int32 in 0..K - 1."""
    first = torch.arange(len(table), dtype=torch.int32) * table.shape[1]
    flat = (number + _column(first)).view(-1)
    return table.reshape(-1).index_select(0, flat).view(number.shape)


def nearest(rays: Rays, boxes: Boxes) -> tuple[Tensor, Tensor]:
    """Return how far the first surface is, and whose it is.

    Args:
        rays: They start inside the last box, the room, and outside of the other ones.
        boxes: At most `MAX_BOXES`.

    Returns:
        t (N, H, W), up to 4e-6 of itself too small, and the number of the box, int32 (N, H, W).
    """
    inverse = [1 / d for d in rays.direction]
    steep = [i.abs() for i in inverse]
    room = boxes.half.shape[1] - 1
    best = _numbered(_crossing(rays.origin, inverse, steep, boxes, room)[1], room)
    for number in range(room):
        near, far = _crossing(rays.origin, inverse, steep, boxes, number)
        near.clamp_(min=0)  # so that a box behind the start is left before it is entered
        missed = far.sub_(near).neg_().clamp_(min=0).mul_(_FAR)
        torch.minimum(best, _numbered(near.add_(missed), number), out=best)
    return best, best.view(torch.int32).bitwise_and(_NUMBER_BITS)


def outer_surface(rays: Rays, boxes: Boxes, number: Tensor) -> Surface:
    """Return the surface where each ray enters its box, or leaves the room.

    Args:
        rays: As in `nearest`.
        boxes: As in `nearest`.
        number: Of each ray's box, int32 (N, H, W).
    """
    side = torch.ones_like(boxes.half[:, :, 0])
    side[:, -1] = -1  # the room is left: minus the first crossing is the last of the negatives
    away = side[:, :, None] * (boxes.centre - rays.origin[:, None])
    enter = [
        look_up(away[:, :, a], number) * (1 / d)
        - look_up(boxes.half[:, :, a], number) * (1 / d.abs())
        for a, d in enumerate(rays.direction)
    ]
    last = torch.maximum(torch.maximum(enter[0], enter[1]), enter[2])
    return Surface(last * look_up(side, number), _chosen(enter, last))


def carved_surface(rays: Rays, outer: Surface, notches: Boxes, number: Tensor) -> Surface:
    """Return the surface of boxes that lack a notch each, which is open where it sticks out.

    Args:
        rays: As in `nearest`.
        outer: The surface of the whole boxes.
        notches: What is cut out of each box; for the room, nothing.
        number: Of each ray's box, int32 (N, H, W).
    """
    away = notches.centre - rays.origin[:, None]
    enter, leave = [], []
    for a, d in enumerate(rays.direction):
        middle = look_up(away[:, :, a], number) * (1 / d)
        reach = look_up(notches.half[:, :, a], number) * (1 / d.abs())
        enter.append(middle - reach)
        leave.append(middle + reach)
    near = torch.maximum(torch.maximum(enter[0], enter[1]), enter[2])
    far = torch.minimum(torch.minimum(leave[0], leave[1]), leave[2])
    opened = (near < outer.t) & (far > outer.t)
    inner = zip(_chosen(leave, far), outer.across, strict=True)
    return Surface(
        torch.where(opened, far, outer.t), [torch.where(opened, i, whole) for i, whole in inner]
    )


def _column(values: Tensor) -> Tensor:
    return values[:, None, None]


def _crossing(
    origin: Tensor, inverse: list[Tensor], steep: list[Tensor], boxes: Boxes, number: int
) -> tuple[Tensor, Tensor]:
    """Return where each ray enters and leaves a box (N, H, W); it misses where it leaves first."""
    enter, leave = [], []
    for a in range(3):
        middle = inverse[a] * _column(boxes.centre[:, number, a] - origin[:, a])
        reach = steep[a] * _column(boxes.half[:, number, a])
        enter.append(middle - reach)
        leave.append(middle.add_(reach))
    # x and z first: for the rays of a camera they are the same in all rows.
    near = torch.maximum(torch.maximum(enter[0], enter[2]), enter[1])
    return near, torch.minimum(torch.minimum(leave[0], leave[2]), leave[1])


def _numbered(t: Tensor, number: int) -> Tensor:
    """Write a number into the lowest bits of t >= 0, so that the smallest t brings it along."""
    t.view(torch.int32).bitwise_and_(~_NUMBER_BITS).bitwise_or_(number)
    return t


def _chosen(t: list[Tensor], result: Tensor) -> list[Tensor]:
    """Return a mask for each of three axes: whose t is the result; the first of several."""
    first = 1 - (t[0] - result).sign_().abs_()
    second = (1 - (t[1] - result).sign_().abs_()) * (1 - first)
    return [first, second, 1 - first - second]
