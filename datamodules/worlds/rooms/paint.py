"""How the surfaces of a room look: in colour, and in near infrared."""

import torch
from torch import Tensor

from datamodules.worlds.rooms.plans import Plan
from datamodules.worlds.rooms.raycast import (
    Rays,
    Surface,
    look_up,
    nearest,
    points_at,
    positive,
    rays_between,
)
from datamodules.worlds.rooms.things import MATERIALS, Things

NIR_REFLECTANCE = {
    "fabric": 0.80, "glass": 0.08, "leather": 0.55, "metal": 0.32, "paper": 0.70, "plaster": 0.45,
    "plastic": 0.20, "wood": 0.62,
}  # fmt: skip
_NIR = torch.tensor([NIR_REFLECTANCE[name] for name in MATERIALS])
_LINE = 0.44  # panels from the middle of a panel; beyond is the line to the next
_LIT = 0.997  # of the way from the lamp; what ends there is not in the shadow of anything


def paint(plan: Plan, rays: Rays, surface: Surface, part: Tensor) -> list[Tensor]:
    """Return red, green, blue and near infrared of what each ray meets, each (N, H, W) in [0, 1].

    Args:
        plan: The rooms.
        rays: Into the rooms.
        surface: What they meet.
        part: Which thing it belongs to, int32 (N, H, W).
    """
    points = points_at(rays, surface.t)
    light = _light(plan, rays, surface, points)
    painted = light * _texture(plan.things, surface, points, part)
    response = plan.things.colour * plan.lamp.colour[:, None]
    channels = [look_up(response[:, :, c], part) * painted for c in range(3)]
    channels.append(look_up(_NIR[plan.things.material], part) * light)
    return [channel.clamp_(0, 1).sqrt_() for channel in channels]  # sqrt: a display's gamma


def _light(plan: Plan, rays: Rays, surface: Surface, points: list[Tensor]) -> Tensor:
    """Return the light on each point: from everywhere, and from the lamp where it is in sight."""
    beams = rays_between(plan.lamp.position, points)
    x, y, z = beams.direction
    squared = x * x + y * y + z * z
    # A surface faces the camera: against the ray, and so with the beam, if that is to light it.
    x, y, z = (
        mask * beam * ray.sign()
        for mask, beam, ray in zip(surface.across, beams.direction, rays.direction, strict=True)
    )
    towards = x + y + z
    direct = towards.clamp_(min=0) / squared.sqrt() * (5 / (2 + squared))
    direct *= positive(nearest(beams, plan.things.outlines)[0] - _LIT)
    ambient = plan.lamp.ambient[:, None, None]
    return ambient + (1 - ambient) * direct


def _texture(things: Things, surface: Surface, points: list[Tensor], part: Tensor) -> Tensor:
    low = things.centre - things.half
    per_metre = things.panels / (2 * things.half)
    x, y, z = (
        (point - look_up(low[:, :, a], part)) * look_up(per_metre[:, :, a], part)
        for a, point in enumerate(points)
    )
    over_x, over_y, _ = surface.across
    across, up = x + over_x * (z - x), y + over_y * (z - y)
    stripes, bands, checks, lines = (look_up(things.contrast[:, :, k], part) for k in range(4))
    odd, high = _alternating(across), _alternating(up)
    edge = torch.maximum(_from_middle(across), _from_middle(up))
    return 1 + stripes * odd + bands * high + checks * odd * high - lines * positive(edge - _LINE)


def _alternating(x: Tensor) -> Tensor:
    """Return 1 in every other interval between whole numbers, -1 in the others."""
    half = x * 0.5
    return (half - half.floor()).sub_(0.5).sign_()


def _from_middle(x: Tensor) -> Tensor:
    """Return how far x is from the middle of its interval between whole numbers."""
    return (x - x.floor()).sub_(0.5).abs_()
