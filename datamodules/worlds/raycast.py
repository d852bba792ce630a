"""Rays against upright boxes, for many scenes at once.

Everything per ray is one of + - * / sqrt, comparisons and choices, each rounded by IEEE 754: the
result has the same bits however the rays are divided among calls, threads or vector lanes.
"""

from typing import NamedTuple

import torch
from torch import Tensor

_TINY = 1e-6  # a direction of 0 would make 0 / 0
_CLOSE = 1e-3  # metres; faces nearer than this to each other count as one


class Rays(NamedTuple):
    """R rays in each of N scenes.

    Attributes:
        origin: Where they start (N, 3), in metres; x to the right, y up, z forward.
        direction: x, y and z of their directions, each (N, R), none of them 0.
    """

    origin: Tensor
    direction: list[Tensor]


class Boxes(NamedTuple):
    """P boxes in each of N scenes, with faces parallel to the axes.

    Attributes:
        centre: (N, P, 3) in metres.
        half: Half of each side (N, P, 3); negative where there is no box.
    """

    centre: Tensor
    half: Tensor


class Surface(NamedTuple):
    """What each ray meets.

    Attributes:
        t: How far (N, R), in lengths of the ray's direction.
        axis: The axis 0, 1, 2 that the surface is perpendicular to (N, R).
    """

    t: Tensor
    axis: Tensor


def camera_rays(
    origin: Tensor, yaw: Tensor, pitch: Tensor, spread: Tensor, x: Tensor, y: Tensor
) -> Rays:
    """Return the rays of pinhole cameras, scaled so that t is the depth along the optical axis.

    Args:
        origin: Position (N, 3).
        yaw: Tangent of half the angle to the right (N,).
        pitch: Tangent of half the angle downwards (N,).
        spread: Tangent of half the field of view (N,).
        x: To the right in the picture (R,), -1 to 1.
        y: Upwards in the picture (R,), -1 to 1.
    """
    across, upward = spread[:, None] * x, spread[:, None] * y
    rows = zip(*rotation(yaw, pitch), strict=True)
    direction = [r[:, None] * across + u[:, None] * upward + f[:, None] for r, u, f in rows]
    return Rays(origin, [torch.where(d.abs() < _TINY, _TINY, d) for d in direction])


def rotation(yaw: Tensor, pitch: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return the world directions of a camera's right, up and forward, x, y and z each (N,).

    Args:
        yaw: Tangent of half the angle to the right (N,).
        pitch: Tangent of half the angle downwards (N,).
    """
    # Half-angle tangents, because sine and cosine are not rounded alike everywhere.
    cos_y, sin_y = (1 - yaw * yaw) / (1 + yaw * yaw), 2 * yaw / (1 + yaw * yaw)
    cos_p, sin_p = (1 - pitch * pitch) / (1 + pitch * pitch), 2 * pitch / (1 + pitch * pitch)
    right = [cos_y, torch.zeros_like(yaw), -sin_y]
    up = [sin_y * sin_p, cos_p, cos_y * sin_p]
    forward = [sin_y * cos_p, -sin_p, cos_y * cos_p]
    return right, up, forward


def nearest(rays: Rays, room: Boxes, boxes: Boxes) -> tuple[Tensor, Tensor]:
    """Return how far the first surface is and whose it is.

    Args:
        rays: They start within the room and outside of all boxes.
        room: One box per scene, seen from within.
        boxes: Seen from outside.

    Returns:
        t (N, R), and the number of the box (N, R) int64, P for the room.
    """
    inverse = [1 / d for d in rays.direction]
    steep = [i.abs() for i in inverse]
    best = _crossings(rays.origin, inverse, steep, room, 0)[1]
    count = boxes.half.shape[1]
    which = torch.full_like(best, count, dtype=torch.int64)
    for number in range(count):
        near, far = _crossings(rays.origin, inverse, steep, boxes, number)
        hit = (near <= far) & (near > 0) & (near < best)
        best = torch.where(hit, near, best)
        which = torch.where(hit, number, which)
    return best, which


def _crossings(
    origin: Tensor, inverse: list[Tensor], steep: list[Tensor], boxes: Boxes, number: int
) -> tuple[Tensor, Tensor]:
    near = far = torch.empty(0)
    for axis in range(3):
        middle = inverse[axis] * (boxes.centre[:, number, axis] - origin[:, axis])[:, None]
        reach = steep[axis] * boxes.half[:, number, axis][:, None]
        enter, leave = middle - reach, middle + reach
        near = torch.maximum(near, enter) if axis else enter
        far = torch.minimum(far, leave) if axis else leave
    return near, far


def outer_surface(rays: Rays, room: Boxes, boxes: Boxes, which: Tensor) -> Surface:
    """Return the surface of the box that each ray enters, or of the room that it leaves.

    Args:
        rays: As in `nearest`.
        room: As in `nearest`.
        boxes: As in `nearest`.
        which: Number of the box (N, R), P for the room.
    """
    enter, leave = _per_axis(rays, _picked(boxes, room, which))
    near, entered = _last(enter)
    far, left = _first(leave)
    inside = which == boxes.half.shape[1]
    return Surface(torch.where(inside, far, near), torch.where(inside, left, entered))


def carved_surface(rays: Rays, outer: Surface, notches: Boxes, which: Tensor) -> Surface:
    """Return the surface where each box lacks a notch, open where it breaks through a face.

    Args:
        rays: As in `nearest`.
        outer: The surface of the uncarved boxes.
        notches: What is cut out of each box, and of the room as number P (N, P + 1, 3).
        which: Number of the box (N, R), P for the room.
    """
    picked = [_pick(notches.centre, which), _pick(notches.half, which)]
    enter, leave = _per_axis(rays, picked)
    near, _ = _last(enter)
    far, axis = _first(leave)
    # A notch that begins no later than the surface is open there.
    opened = (near <= outer.t + _CLOSE) & (far > outer.t + _CLOSE) & (near < far)
    return Surface(torch.where(opened, far, outer.t), torch.where(opened, axis, outer.axis))


def _picked(boxes: Boxes, room: Boxes, which: Tensor) -> list[list[Tensor]]:
    both = zip(boxes, room, strict=True)
    return [_pick(torch.cat(pair, dim=1), which) for pair in both]


def _pick(table: Tensor, which: Tensor) -> list[Tensor]:
    return [table[:, :, axis].gather(1, which) for axis in range(table.shape[2])]


def _per_axis(rays: Rays, box: list[list[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    enter, leave = [], []
    for axis, d in enumerate(rays.direction):
        middle = (box[0][axis] - rays.origin[:, axis, None]) / d
        reach = box[1][axis] / d.abs()
        enter.append(middle - reach)
        leave.append(middle + reach)
    return enter, leave


def _last(t: list[Tensor]) -> tuple[Tensor, Tensor]:
    latest = torch.maximum(torch.maximum(t[0], t[1]), t[2])
    return latest, torch.where(t[0] == latest, 0, torch.where(t[1] == latest, 1, 2))


def _first(t: list[Tensor]) -> tuple[Tensor, Tensor]:
    earliest = torch.minimum(torch.minimum(t[0], t[1]), t[2])
    return earliest, torch.where(t[0] == earliest, 0, torch.where(t[1] == earliest, 1, 2))
