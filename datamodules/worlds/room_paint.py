"""Colour and near infrared of the surfaces of a room."""

import torch
from torch import Tensor

from datamodules.worlds.raycast import Rays, Surface
from datamodules.worlds.room_plans import BANDS, CHECKS, MATERIALS, PLAIN, Plan

NIR_OF = {
    "fabric": 0.80, "glass": 0.10, "leather": 0.55, "metal": 0.32, "paper": 0.70, "plaster": 0.45,
    "plastic": 0.20, "wood": 0.62,
}  # fmt: skip
_NIR = torch.tensor([NIR_OF[name] for name in MATERIALS])


def paint(plan: Plan, rays: Rays, surface: Surface, which: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return red, green, blue and near infrared of what each ray meets, each (N, R) in [0, 1].

    Args:
        plan: The rooms.
        rays: Into the rooms.
        surface: What they meet.
        which: The thing, or P for the room (N, R).
    """
    point = [o[:, None] + surface.t * d for o, d in zip(rays.origin.t(), rays.direction, strict=True)]
    part = which + _room_part(plan, surface, which, rays)
    texture = _texture(plan, point, surface.axis, part, which)
    shade = _shade(plan, rays, point, surface.axis)
    bright = shade * texture
    rgb = []
    for c in range(3):
        reflectance = (plan.colour[:, :, c] * plan.light[:, c, None]).gather(1, part)
        rgb.append((reflectance * bright).clamp_(0, 1).sqrt_())
    nir = (_NIR[plan.material].gather(1, part) * shade * plan.light[:, 1, None]).clamp_(0, 1).sqrt_()
    return rgb, nir


def _room_part(plan: Plan, surface: Surface, which: Tensor, rays: Rays) -> Tensor:
    inside = which == plan.boxes.half.shape[1]
    horizontal = inside & (surface.axis == 1)
    return torch.where(horizontal, torch.where(rays.direction[1] < 0, 1, 2), 0)


def _texture(plan: Plan, point: list[Tensor], axis: Tensor, part: Tensor, which: Tensor) -> Tensor:
    u = torch.where(axis == 0, point[2], point[0])
    v = torch.where(axis == 1, point[2], point[1])
    scale = 1 / plan.period.gather(1, part)
    kind = plan.pattern.gather(1, part)
    contrast = plan.contrast.gather(1, part)
    a, b = _square(u * scale), _square(v * scale)
    wave = torch.where(kind == CHECKS, a * b, torch.where(kind == BANDS, b, a))
    return 1 + torch.where(kind == PLAIN, 0.0, wave) * contrast


def _square(x: Tensor) -> Tensor:
    return torch.where(x - x.floor() < 0.5, 1.0, -1.0)


def _shade(plan: Plan, rays: Rays, point: list[Tensor], axis: Tensor) -> Tensor:
    to_lamp = [lamp[:, None] - p for lamp, p in zip(plan.lamp.t(), point, strict=True)]
    squared = to_lamp[0] * to_lamp[0] + to_lamp[1] * to_lamp[1] + to_lamp[2] * to_lamp[2]
    facing = torch.where(axis == 0, to_lamp[0], torch.where(axis == 1, to_lamp[1], to_lamp[2]))
    along = torch.where(axis == 0, rays.direction[0], torch.where(axis == 1, rays.direction[1], rays.direction[2]))
    cosine = torch.where(along < 0, facing, -facing).clamp_(min=0) / squared.sqrt()
    ambient = plan.ambient[:, None]
    return ambient + (1 - ambient) * cosine * (6 / (3 + squared))
