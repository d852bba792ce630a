"""Rays against upright boxes, for many scenes at once.

Per ray there are only sums, products, quotients, roots, extrema and signs, which IEEE 754 rounds
in one way: the results have the same bits however the rays are divided among calls, threads and
vector lanes. Masks are numbers, because choices by `torch.where` take ten times as long.
"""

from typing import NamedTuple

import torch
from torch import Tensor

_TINY = 1e-6  # replaces directions of 0, whose inverse times 0 is no number
_CLOSE = 1e-3  # metres; faces nearer to each other than this are one
_FAR = 1e30
_NUMBER_BITS = 31  # of a distance, the lowest bits: room for the number of a box

MAX_BOXES = _NUMBER_BITS + 1


class Camera(NamedTuple):
    """Pinhole cameras; x is to the right, y up and z forward.

    Attributes:
        position: (N, 3) in metres.
        yaw: Tangent of half the angle to the right (N,).
        pitch: Tangent of half the angle downwards (N,).
        spread: Tangent of half the field of view (N,).
    """

    position: Tensor
    yaw: Tensor
    pitch: Tensor
    spread: Tensor


class Rays(NamedTuple):
    """R rays in each of N scenes.

    Attributes:
        origin: Where they start (N, 3), in metres.
        direction: x, y and z of their directions, each (N, R), none of them 0.
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
        t: How far, in lengths of the ray's direction (N, R).
        across: Three masks (N, R): 1 where the surface is perpendicular to x, y, z, else 0.
    """

    t: Tensor
    across: list[Tensor]


def axes(camera: Camera) -> list[list[Tensor]]:
    """Return x, y and z (N,) of what is right, up and forward for each camera."""
    # Rational in the half-angle's tangent: sines are not rounded alike everywhere.
    yaw, pitch = camera.yaw, camera.pitch
    cos_y, sin_y = (1 - yaw * yaw) / (1 + yaw * yaw), 2 * yaw / (1 + yaw * yaw)
    cos_p, sin_p = (1 - pitch * pitch) / (1 + pitch * pitch), 2 * pitch / (1 + pitch * pitch)
    right = [cos_y, torch.zeros_like(yaw), -sin_y]
    up = [sin_y * sin_p, cos_p, cos_y * sin_p]
    forward = [sin_y * cos_p, -sin_p, cos_y * cos_p]
    return [right, up, forward]


def camera_rays(camera: Camera, x: Tensor, y: Tensor) -> Rays:
    """Return rays whose t is the depth along the optical axis.

    Args:
        camera: Of each scene.
        x: To the right in the picture (R,), from -1 to 1.
        y: Upwards in the picture (R,), from -1 to 1.
    """
    to_right, upwards = camera.spread[:, None] * x, camera.spread[:, None] * y
    direction = [
        right[:, None] * to_right + up[:, None] * upwards + forward[:, None]
        for right, up, forward in zip(*axes(camera), strict=True)
    ]
    return Rays(camera.position, [_nonzero(d) for d in direction])


def rays_between(origin: Tensor, points: list[Tensor]) -> Rays:
    """Return rays that start at `origin` (N, 3) and are at `points`, each (N, R), for t = 1."""
    towards = [p - o[:, None] for p, o in zip(points, origin.t(), strict=True)]
    return Rays(origin, [_nonzero(d) for d in towards])


def points_at(rays: Rays, t: Tensor) -> list[Tensor]:
    """Return x, y and z (N, R) of where the rays are at `t` (N, R)."""
    both = zip(rays.origin.t(), rays.direction, strict=True)
    return [o[:, None] + t * d for o, d in both]


def positive(x: Tensor) -> Tensor:
    """Return 1 where x is above 0, 0 where it is below, 0.5 where it is 0."""
    return x.sign().add_(1).mul_(0.5)


def look_up(table: Tensor, number: Tensor) -> Tensor:
    """Return the entry of `table` (N, K) for each `number` (N, R), int32 in 0..K - 1."""
    first = torch.arange(len(table), dtype=torch.int32)[:, None] * table.shape[1]
    return table.reshape(-1).index_select(0, (number + first).view(-1)).view(number.shape)


def nearest(rays: Rays, boxes: Boxes) -> tuple[Tensor, Tensor]:
    """Return how far the first surface is, and whose it is.

    Args:
        rays: They start inside the last box, the room, and outside of the other ones.
        boxes: At most `MAX_BOXES`.

    Returns:
        t (N, R), up to 4e-6 of itself too small, and the number of the box, int32 (N, R).
    """
    inverse = [1 / d for d in rays.direction]
    steep = [i.abs() for i in inverse]
    room = boxes.half.shape[1] - 1
    best = _numbered(_crossing(rays.origin, inverse, steep, boxes, room)[1], room)
    for number in range(room):
        near, far = _crossing(rays.origin, inverse, steep, boxes, number)
        near.clamp_(min=0)  # so that a box behind the start is left before it is entered
        missed = far.sub_(near).neg_().clamp_(min=0).mul_(_FAR)
        best = torch.minimum(best, _numbered(near.add_(missed), number))
    return best, best.view(torch.int32).bitwise_and(_NUMBER_BITS)


def outer_surface(rays: Rays, boxes: Boxes, number: Tensor) -> Surface:
    """Return the surface where each ray enters its box, or leaves the room.

    Args:
        rays: As in `nearest`.
        boxes: As in `nearest`.
        number: Of each ray's box, int32 (N, R).
    """
    side = torch.ones_like(boxes.half[:, :, 0])
    side[:, -1] = -1  # the room is left, and the first -t is the last t
    away = side[:, :, None] * (boxes.centre - rays.origin[:, None])
    signed = [
        look_up(away[:, :, a], number) / d - look_up(boxes.half[:, :, a], number) / d.abs()
        for a, d in enumerate(rays.direction)
    ]
    last = torch.maximum(torch.maximum(signed[0], signed[1]), signed[2])
    return Surface(last * look_up(side, number), _equal(signed, last))


def carved_surface(rays: Rays, outer: Surface, notches: Boxes, number: Tensor) -> Surface:
    """Return the surface of boxes that lack a notch each, which is open where it sticks out.

    Args:
        rays: As in `nearest`.
        outer: The surface of the whole boxes.
        notches: What is cut out of each box; for the room, nothing.
        number: Of each ray's box, int32 (N, R).
    """
    away = notches.centre - rays.origin[:, None]
    middle = [look_up(away[:, :, a], number) / d for a, d in enumerate(rays.direction)]
    reach = [
        look_up(notches.half[:, :, a], number) / d.abs() for a, d in enumerate(rays.direction)
    ]
    near = torch.stack([m - r for m, r in zip(middle, reach, strict=True)]).amax(0)
    leave = [m + r for m, r in zip(middle, reach, strict=True)]
    far = torch.minimum(torch.minimum(leave[0], leave[1]), leave[2])
    opened = (near < outer.t) & (far > outer.t + _CLOSE)
    across = [
        torch.where(opened, inner, whole)
        for inner, whole in zip(_equal(leave, far), outer.across, strict=True)
    ]
    return Surface(torch.where(opened, far, outer.t), across)


def _nonzero(direction: Tensor) -> Tensor:
    return torch.where(direction.abs() < _TINY, _TINY, direction)


def _crossing(
    origin: Tensor, inverse: list[Tensor], steep: list[Tensor], boxes: Boxes, number: int
) -> tuple[Tensor, Tensor]:
    """Return where each ray enters and leaves a box (N, R); it misses where it leaves first."""
    enter, leave = [], []
    for a in range(3):
        middle = inverse[a] * (boxes.centre[:, number, a] - origin[:, a])[:, None]
        reach = steep[a] * boxes.half[:, number, a, None]
        enter.append(middle - reach)
        leave.append(middle.add_(reach))
    near = torch.maximum(torch.maximum(enter[0], enter[1]), enter[2])
    return near, torch.minimum(torch.minimum(leave[0], leave[1]), leave[2])


def _numbered(t: Tensor, number: int) -> Tensor:
    """Write a number into the lowest bits of t >= 0, so that the smallest t brings it along."""
    t.view(torch.int32).bitwise_and_(~_NUMBER_BITS).bitwise_or_(number)
    return t


def _equal(t: list[Tensor], chosen: Tensor) -> list[Tensor]:
    """Return a mask for each of three axes: whose t was chosen; the first of several."""
    first = 1 - (t[0] - chosen).sign_().abs_()
    second = (1 - (t[1] - chosen).sign_().abs_()) * (1 - first)
    return [first, second, 1 - first - second]
