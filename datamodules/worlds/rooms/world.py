"""A world of rooms: colour, depth, classes, near infrared and normals of the same scenes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from datamodules.augment.images import TransformSpec
from datamodules.augment.scenes import build_joint_augment
from datamodules.base.translation_data import HeldOut, TranslationData, refuse_leaks
from datamodules.errors import DataError
from datamodules.items.modalities import Modality
from datamodules.items.scenes import MemoryScenes
from datamodules.items.splits import Batch
from datamodules.worlds.rooms.cache import cached
from datamodules.worlds.rooms.paint import paint
from datamodules.worlds.rooms.plans import Plan, rows, sample_plan
from datamodules.worlds.rooms.raycast import (
    Boxes,
    Camera,
    Rays,
    Surface,
    axes,
    camera_rays,
    carved_surface,
    look_up,
    nearest,
    outer_surface,
    positive,
)
from datamodules.worlds.rooms.things import CLASSES

PALETTE = (
    (196, 78, 82), (129, 91, 60), (235, 235, 230), (221, 132, 82), (140, 140, 140), (204, 185, 116),
    (218, 139, 195), (85, 168, 104), (147, 55, 130), (255, 196, 0), (40, 40, 48), (166, 200, 226),
    (60, 110, 200),
)  # fmt: skip
MODALITIES = {
    "rgb": Modality("image", 3),
    "depth": Modality("depth", 1),
    "segmentation": Modality("labels", len(CLASSES), CLASSES, PALETTE),
    "nir": Modality("image", 1),
    "normals": Modality("image", 3),
}
MAX_VIEWS = 100

_PAINTED = {"rgb", "nir"}
_RAYS = 2**16  # at a time, so that intermediate results stay in a core's cache
_PLANS = 2**10  # at a time
_BLOCK = 1_000_000  # indices that each set and split has for itself
_FIRST: dict[HeldOut, int] = {"val": 0, "test": _BLOCK}
_COMPLETE = 1000 * _BLOCK  # behind any number of sets
_WORLDS = Path(__file__).parents[1]
_RENDERER = (
    "canvas/dice",
    *(f"rooms/{name}" for name in ("paint", "plans", "raycast", "things", "world")),
)


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
        Modality -> images uint8 (N, C, size, size); depth float32 (N, 1, size, size) in metres
        along the optical axis; labels uint8 (N, size, size).
    """
    chunks = []
    step = max(1, _RAYS // size**2)
    for some in torch.split(index, _PLANS):
        plan = sample_plan(world_seed, some, view)
        starts = range(0, len(some), step)
        chunks += [render_plan(rows(plan, k, k + step), size, modalities) for k in starts]
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in modalities}


def render_plan(plan: Plan, size: int, modalities: Sequence[str]) -> Batch:
    """Return pictures of planned rooms; see `render`."""
    pictures: Batch = {}
    if _PAINTED & set(modalities):
        pictures |= _painted(plan, size)
    if set(modalities) - _PAINTED:
        pictures |= _measured(plan, size)
    return {name: pictures[name] for name in modalities}


def _painted(plan: Plan, size: int) -> Batch:
    """Return colour and near infrared, of whole outlines.

    Half of each pixel is what its middle shows, the other half what its four corners show.
    """
    middles = _paint_grid(plan, _middles(size), _middles(size))
    corners = _paint_grid(plan, _corners(size), _corners(size))
    beside = corners[..., :-1] + corners[..., 1:]
    around = beside[:, :, :-1] + beside[:, :, 1:]
    pixels = (middles * 4 + around).mul_(255 / 8).round_().to(torch.uint8)
    return {"rgb": pixels[:, :3], "nir": pixels[:, 3:]}


def _paint_grid(plan: Plan, x: Tensor, y: Tensor) -> Tensor:
    boxes = plan.things.outlines
    painted = []
    for some in torch.split(y, _rows_at_a_time(len(x))):
        rays = camera_rays(plan.camera, x, -some)
        number = nearest(rays, boxes)[1]
        surface = outer_surface(rays, boxes, number)
        part = _part(rays, surface, boxes, number)
        painted.append(torch.stack(paint(plan, rays, surface, part), 1))
    return torch.cat(painted, 2)


def _measured(plan: Plan, size: int) -> Batch:
    """Return depth, classes and normals at the middle of each pixel, of carved things."""
    boxes, notches = plan.things.outlines, plan.things.notches
    depth, labels, normals = [], [], []
    for some in torch.split(_middles(size), _rows_at_a_time(size)):
        rays = camera_rays(plan.camera, _middles(size), -some)
        number = nearest(rays, boxes)[1]
        outer = outer_surface(rays, boxes, number)
        surface = carved_surface(rays, outer, notches, number)
        depth.append(surface.t)
        labels.append(look_up(plan.things.label, _part(rays, outer, boxes, number)))
        normals.append(_normals(plan.camera, rays, surface))
    return {
        "depth": torch.cat(depth, 1)[:, None],
        "segmentation": torch.cat(labels, 1).to(torch.uint8),
        "normals": torch.cat(normals, 2).add_(1).mul_(127.5).round_().to(torch.uint8),
    }


def _middles(size: int) -> Tensor:
    """Return where the middles of a picture's columns are, from -1 to 1; of its rows, downwards."""
    return (2 * torch.arange(size, dtype=torch.float32) + 1 - size) / size


def _corners(size: int) -> Tensor:
    return (2 * torch.arange(size + 1, dtype=torch.float32) - size) / size


def _rows_at_a_time(columns: int) -> int:
    return max(1, _RAYS // columns)


def _part(rays: Rays, surface: Surface, boxes: Boxes, number: Tensor) -> Tensor:
    """Return the number of the thing that is met, where the room is wall, floor and ceiling."""
    of_room = (number == boxes.half.shape[1] - 1).to(torch.int32)
    level = surface.across[1] * (1 + positive(rays.direction[1]))  # 1: floor, 2: ceiling
    return number + of_room * level.to(torch.int32)


def _normals(camera: Camera, rays: Rays, surface: Surface) -> Tensor:
    """Return the normals (N, 3, H, W) to the right, upwards and towards the camera."""
    facing = [-mask * ray.sign() for mask, ray in zip(surface.across, rays.direction, strict=True)]
    right, up, forward = axes(camera)
    channels = []
    for way in (right, up, [-f for f in forward]):
        x, y, z = (f * w[:, None, None] for f, w in zip(facing, way, strict=True))
        channels.append(x + y + z)
    return torch.stack(channels, 1)


class Rooms(TranslationData):
    """Furnished rooms with exact depth, classes, near infrared and normals.

    Scene i is a pure function of `world_seed` and i, a view of it also of the number of the view.
    Each set and each split has indices of its own; all views of a scene have the scene's identity.

    Args:
        sets: Training set -> names of its modalities; default: colour with segmentation, and
            colour with depth.
        image_size: Side in pixels, 32 to 256.
        scenes_per_set: Scenes of each training set.
        n_val: Scenes of `val`.
        n_test: Scenes of `test`.
        views_per_scene: Cameras in each scene.
        world_seed: Of the scenes.
        held_out: Modalities of `val` and `test`; None: those that any set has.
        batch_size: Views of every set per batch and process.
        num_workers: Processes that prepare batches; the pictures are in memory, so 0 is fastest.
        seed: Of the orders of the views and of their augmentation.
        augment: Joint transforms of a training scene's modalities.
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
        augment: list[TransformSpec] | None = None,
    ) -> None:
        default = {"rs": ["rgb", "segmentation"], "rd": ["rgb", "depth"]}
        super().__init__(default if sets is None else sets, batch_size, num_workers, seed)
        self.modalities = dict(MODALITIES)
        self.image_size, self.scenes_per_set = image_size, scenes_per_set
        self.views_per_scene, self.world_seed = views_per_scene, world_seed
        self.counts: dict[HeldOut, int] = {"val": n_val, "test": n_test}
        self.held_out = self._used() if held_out is None else held_out
        self._check_arguments()
        if augment:
            self._check_turnable()
            self.augment = build_joint_augment(augment, self.modalities)

    def load_set(self, name: str) -> MemoryScenes:
        first = (2 + list(self.sets).index(name)) * _BLOCK
        return self._load(first, self.scenes_per_set, self.sets[name])

    def load_held_out(self, name: HeldOut) -> MemoryScenes:
        return self._load(_FIRST[name], self.counts[name], self.held_out)

    def complete_set(self, names: list[str]) -> MemoryScenes:
        """Return `scenes_per_set` scenes in all modalities `names`, none in any set or split.

        They are the pairs that the sets lack: for a network to compare a method with, never for
        the method.
        """
        if unknown := [name for name in names if name not in MODALITIES]:
            raise DataError(f"There is no modality {unknown[0]!r} among {', '.join(MODALITIES)}.")
        scenes = self._load(_COMPLETE, self.scenes_per_set, names)
        parts = {f"set {name}": self.training_set(name).ids for name in self.sets}
        parts |= {name: self.split(name).ids for name in _FIRST}
        refuse_leaks({**parts, "the complete set": scenes.ids})
        return scenes

    def describe(self) -> dict[str, object]:
        return {
            **super().describe(),
            "image_size": self.image_size,
            "views_per_scene": self.views_per_scene,
            "world_seed": self.world_seed,
        }

    def _used(self) -> list[str]:
        used = {name for names in self.sets.values() for name in names}
        return [name for name in MODALITIES if name in used]

    def _check_arguments(self) -> None:
        self._check_names()
        if not self.held_out or not set(self.held_out) <= set(MODALITIES):
            raise DataError(f"held_out is {self.held_out}; give some of {', '.join(MODALITIES)}.")
        if not 32 <= self.image_size <= 256:
            raise DataError(f"image_size is {self.image_size}; give 32 to 256 pixels.")
        if not 1 <= self.views_per_scene <= MAX_VIEWS:
            raise DataError(f"views_per_scene is {self.views_per_scene}; give 1 to {MAX_VIEWS}.")
        if self.world_seed < 0:
            raise DataError(f"world_seed is {self.world_seed}; give 0 or more.")
        for count in (self.scenes_per_set, *self.counts.values()):
            if not 1 <= count <= _BLOCK:
                raise DataError(f"{count} scenes were asked for; give 1 to {_BLOCK}.")

    def _check_turnable(self) -> None:
        for name, modalities in self.sets.items():
            if "normals" in modalities:
                raise DataError(
                    f"The set {name} has normals, which augment would not turn with the picture; "
                    "drop one of them."
                )

    def _load(self, first: int, count: int, names: list[str]) -> MemoryScenes:
        parameters = {
            "world_seed": self.world_seed, "first": first, "count": count, "size": self.image_size,
            "views": self.views_per_scene, "modalities": sorted(set(names)),
        }  # fmt: skip
        sources = [_WORLDS / f"{name}.py" for name in _RENDERER]
        stored = cached(parameters, sources, lambda: self._render(first, count, names))
        ids = [
            f"room-{i:06d}"
            for i in range(first, first + count)
            for _ in range(self.views_per_scene)
        ]
        return MemoryScenes({name: MODALITIES[name] for name in names}, stored, ids)

    def _render(self, first: int, count: int, names: list[str]) -> Batch:
        index = torch.arange(first, first + count)
        views = [
            render(self.world_seed, index, view, self.image_size, names)
            for view in range(self.views_per_scene)
        ]
        return {
            name: torch.stack([view[name] for view in views], 1).flatten(0, 1) for name in names
        }
