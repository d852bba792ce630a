"""A world of rooms: colour, depth, classes, near infrared and normals of one scene."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.modalities import Modality
from datamodules.scenes import MemoryScenes
from datamodules.splits import Batch
from datamodules.translation import HeldOut, TranslationData
from datamodules.worlds import dice, raycast, room_paint, room_plans
from datamodules.worlds.raycast import camera_rays, carved_surface, nearest, outer_surface, rotation
from datamodules.worlds.room_cache import cached
from datamodules.worlds.room_paint import paint
from datamodules.worlds.room_plans import CLASSES, Plan, sample_plan

PALETTE = (
    (0, 0, 255), (232, 88, 47), (0, 217, 0), (148, 0, 240), (222, 241, 23), (255, 205, 205),
    (0, 223, 228), (106, 135, 204), (116, 28, 41), (240, 35, 235), (0, 166, 156), (249, 139, 0),
    (225, 228, 194),
)  # fmt: skip
MODALITIES = {
    "rgb": Modality("image", 3),
    "depth": Modality("depth", 1),
    "segmentation": Modality("labels", len(CLASSES), CLASSES, PALETTE),
    "nir": Modality("image", 1),
    "normals": Modality("image", 3),
}
_RAYS = 2**15  # per chunk; their intermediate results fit in a core's cache
_BLOCK = 1_000_000  # indices that a set or split has for itself
_SOURCES = [Path(module.__file__) for module in (dice, raycast, room_paint, room_plans)]
_SOURCES.append(Path(__file__))
_FIRST: dict[HeldOut, int] = {"val": 0, "test": _BLOCK}


def render(
    world_seed: int, index: Tensor, view: int, size: int, modalities: Sequence[str]
) -> Batch:
    """Return pictures of scenes.

    Args:
        world_seed: Names the world.
        index: Which scenes, int64 (N,).
        view: Which camera of each scene.
        size: Side in pixels.
        modalities: Which pictures.

    Returns:
        Images uint8 (N, C, size, size), depth float32 (N, 1, size, size) in metres along the
        optical axis, labels uint8 (N, size, size).
    """
    chunks = torch.split(index, max(1, _RAYS // (4 * size * size)))
    rendered = [_render(sample_plan(world_seed, chunk, view), size, modalities) for chunk in chunks]
    return {name: torch.cat([each[name] for each in rendered]) for name in modalities}


def _render(plan: Plan, size: int, modalities: Sequence[str]) -> Batch:
    pictures: Batch = {}
    if {"rgb", "nir"} & set(modalities):
        pictures |= _painted(plan, size)
    if {"depth", "segmentation", "normals"} & set(modalities):
        pictures |= _measured(plan, size)
    return {name: pictures[name] for name in modalities}


def _grid(size: int) -> tuple[Tensor, Tensor]:
    centres = (2 * torch.arange(size, dtype=torch.float32) + 1 - size) / size
    y, x = torch.meshgrid(-centres, centres, indexing="ij")
    return x.flatten(), y.flatten()


def _painted(plan: Plan, size: int) -> Batch:
    """Return colour and near infrared, the mean of 2 x 2 rays per pixel."""
    rays = camera_rays(plan.camera, plan.yaw, plan.pitch, plan.spread, *_grid(2 * size))
    _, which = nearest(rays, plan.room, plan.boxes)
    surface = outer_surface(rays, plan.room, plan.boxes, which)
    rgb, nir = paint(plan, rays, surface, which)
    return {"rgb": _to_pixels(rgb, size), "nir": _to_pixels([nir], size)}


def _to_pixels(channels: list[Tensor], size: int) -> Tensor:
    quads = torch.stack(channels, 1).view(-1, len(channels), size, 2, size, 2)
    mean = (quads[:, :, :, 0, :, 0] + quads[:, :, :, 0, :, 1]) / 4
    mean = mean + (quads[:, :, :, 1, :, 0] + quads[:, :, :, 1, :, 1]) / 4
    return mean.mul_(255).round_().to(torch.uint8)


def _measured(plan: Plan, size: int) -> Batch:
    """Return depth, classes and normals at the centre of each pixel."""
    rays = camera_rays(plan.camera, plan.yaw, plan.pitch, plan.spread, *_grid(size))
    _, which = nearest(rays, plan.room, plan.boxes)
    outer = outer_surface(rays, plan.room, plan.boxes, which)
    surface = carved_surface(rays, outer, plan.notches, which)
    part = which + room_paint._room_part(plan, outer, which, rays)
    shape = (len(which), size, size)
    return {
        "depth": surface.t.view(shape)[:, None],
        "segmentation": plan.label.gather(1, part).to(torch.uint8).view(shape),
        "normals": _normals(plan, rays, surface).view(len(which), 3, size, size),
    }


def _normals(plan: Plan, rays: raycast.Rays, surface: raycast.Surface) -> Tensor:
    right, up, forward = rotation(plan.yaw, plan.pitch)
    channels = []
    for towards in (right, up, [-f for f in forward]):
        along = torch.zeros_like(surface.t)
        for axis, d in enumerate(rays.direction):
            sign = torch.where(d < 0, 1.0, -1.0)
            along = torch.where(surface.axis == axis, sign * towards[axis][:, None], along)
        channels.append(along)
    return torch.stack(channels, 1).add(1).mul(127.5).round().to(torch.uint8)


class Rooms(TranslationData):
    """Rooms rendered in five modalities.

    Args:
        sets: Training set -> names of its modalities.
        image_size: Side in pixels, 32 to 256.
        scenes_per_set: Scenes of each training set.
        n_val: Scenes of val.
        n_test: Scenes of test.
        views_per_scene: Cameras in each scene; all views of a scene are in the same set.
        world_seed: Of the scenes.
        held_out: Modalities of val and test; None: those of any set.
        batch_size: Views of every set per batch and process.
        num_workers: Processes that prepare batches; the pictures are in memory, so 0 is fastest.
        seed: Of the orders of the scenes and of their augmentation.
        augment: Joint transforms of the training scenes.
    """

    def __init__(
        self,
        sets: dict[str, list[str]] | None = None,
        image_size: int = 32,
        scenes_per_set: int = 4000,
        n_val: int = 500,
        n_test: int = 1000,
        views_per_scene: int = 1,
        world_seed: int = 0,
        held_out: list[str] | None = None,
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
        augment: list[Any] | None = None,
    ) -> None:
        sets = sets or {"rs": ["rgb", "segmentation"], "rd": ["rgb", "depth"]}
        super().__init__(sets, batch_size, num_workers, seed)
        if not 32 <= image_size <= 256:
            raise DataError(f"image_size is {image_size}; give 32 to 256 pixels.")
        counts = (scenes_per_set, n_val, n_test, views_per_scene)
        if not all(1 <= count <= _BLOCK for count in counts):
            raise DataError(
                f"scenes_per_set, n_val, n_test, views_per_scene are {counts}; give 1 to {_BLOCK}."
            )
        self.modalities = dict(MODALITIES)
        self._check_names()
        used = {name for names in self.sets.values() for name in names}
        self.held_out = held_out or [name for name in MODALITIES if name in used]
        for name in self.held_out:
            if name not in MODALITIES:
                raise DataError(
                    f"held_out has {name!r}; the modalities are {', '.join(MODALITIES)}."
                )
        self.image_size, self.views_per_scene, self.world_seed = image_size, views_per_scene, world_seed
        self.scenes_per_set = scenes_per_set
        self.counts: dict[HeldOut, int] = {"val": n_val, "test": n_test}
        if augment:
            from datamodules.joint_transforms import build_joint_augment

            self.augment = build_joint_augment(augment, self.modalities)

    def load_set(self, name: str) -> MemoryScenes:
        first = (2 + list(self.sets).index(name)) * _BLOCK
        return self._load(first, self.scenes_per_set, self.sets[name])

    def load_held_out(self, name: HeldOut) -> MemoryScenes:
        return self._load(_FIRST[name], self.counts[name], self.held_out)

    def _load(self, first: int, count: int, names: list[str]) -> MemoryScenes:
        index = torch.arange(first, first + count)
        stored = {name: self._cached(name, first, count) for name in names}
        ids = [f"room-{i:06d}" for i in index.tolist() for _ in range(self.views_per_scene)]
        return MemoryScenes({name: MODALITIES[name] for name in names}, stored, ids)

    def _cached(self, name: str, first: int, count: int) -> Tensor:
        parameters = {
            "seed": self.world_seed, "first": first, "count": count, "size": self.image_size,
            "views": self.views_per_scene, "modality": name,
        }  # fmt: skip

        def make() -> Batch:
            index = torch.arange(first, first + count)
            views = [
                render(self.world_seed, index, view, self.image_size, [name])[name]
                for view in range(self.views_per_scene)
            ]
            return {name: torch.stack(views, 1).flatten(0, 1)}

        return cached(parameters, _SOURCES, make)[name]
