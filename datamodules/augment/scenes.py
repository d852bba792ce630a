"""Albumentations of scenes: one random geometry for all modalities, colours image by image."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from datamodules.augment.images import TransformSpec, build_augment
from datamodules.errors import DataError
from datamodules.items.modalities import IGNORE, UNKNOWN, Modality
from datamodules.items.splits import Batch, to_unit_range

if TYPE_CHECKING:
    import albumentations as A

Pictures = dict[str, np.ndarray]  # uint8 (H, W, C) of an image, (H, W) of depth and of labels

_OWN = {"RandomZoom": "datamodules.augment.zoom.RandomZoom"}  # not albumentations', yet a bare name
_TARGETS = {"image": "image", "depth": "mask", "labels": "mask"}
_OUTSIDE = {"depth": UNKNOWN, "labels": IGNORE}


class JointAugment:
    """Apply transforms in order to all modalities of each scene, seeded by its draw.

    Args:
        steps: Each changes the pictures of one scene.
        modalities: Name -> what it is; a batch may have only some of them.
        size: Side in pixels of what comes out; None: that of what goes in.
    """

    def __init__(
        self,
        steps: Sequence["_Geometry | _Colours"],
        modalities: Mapping[str, Modality],
        size: int | None = None,
    ) -> None:
        self.steps, self.modalities, self.size = steps, modalities, size

    def __call__(self, batch: Batch, seeds: Sequence[int]) -> Batch:
        """Return the batch with every modality augmented, one seed for each scene."""
        names = [name for name in self.modalities if name in batch]
        scenes = [
            self._one({name: batch[name][i] for name in names}, seed)
            for i, seed in enumerate(seeds)
        ]
        return {**batch, **{name: torch.stack([scene[name] for scene in scenes]) for name in names}}

    def _one(self, scene: Batch, seed: int) -> Batch:
        pictures = {name: _to_picture(self.modalities[name], x) for name, x in scene.items()}
        state = np.random.default_rng(seed), random.Random(seed)
        for step in self.steps:
            # One state shared by all, so that no two transforms make the same random choices.
            step.transform.set_random_state(*state)
            pictures = step(pictures)
        for name, picture in pictures.items():
            self._check(name, picture, scene[name])
        return {name: _to_values(self.modalities[name], each) for name, each in pictures.items()}

    def _check(self, name: str, picture: np.ndarray, before: Tensor) -> None:
        side = (self.size, self.size) if self.size else tuple(before.shape[-2:])
        if picture.shape[:2] != side:
            raise DataError(
                f"The transforms made {name} {picture.shape[1]}x{picture.shape[0]} pixels large; "
                f"it must be {side[1]}x{side[0]}: keep the size, e.g. with RandomResizedCrop."
            )
        if self.modalities[name].kind == "image" and picture.dtype != np.uint8:
            raise DataError(
                f"The transforms made {name} {picture.dtype}; leave out those that normalise."
            )


def build_joint_augment(
    specs: Sequence[TransformSpec], modalities: Mapping[str, Modality], size: int | None = None
) -> JointAugment:
    """Build the transforms that a configuration names, in order.

    Geometry is drawn once for a scene: images are interpolated, depth and labels take the nearest
    pixel. What comes in from outside is unknown depth, the label to be ignored, and in images what
    the transform fills in: by default black. Transforms of colours change the images that `only`
    names, each by a draw of its own.

    Args:
        specs: See `datamodules.transforms.build_augment`; a bare `RandomZoom` is
            `datamodules.zoom`'s. One of colours may have `only`, names of images; it may be left
            out if there is one image.
        modalities: Name -> what it is.
        size: See `JointAugment`.
    """
    return JointAugment([_step(spec, modalities) for spec in specs], modalities, size)


@dataclass(frozen=True)
class _Geometry:
    """One draw of a transform for all modalities."""

    transform: "A.Compose"
    modalities: Mapping[str, Modality]

    def __call__(self, pictures: Pictures) -> Pictures:
        height, width = next(iter(pictures.values())).shape[:2]
        inside = np.ones((height, width), dtype=np.uint8)  # 0 afterwards where nothing was
        targets = {_target(name): picture for name, picture in pictures.items()}
        made = self.transform(image=inside, mask=inside, **targets)
        outside = made["mask"] != 1
        return {name: self._filled(name, made[_target(name)], outside) for name in pictures}

    def _filled(self, name: str, picture: np.ndarray, outside: np.ndarray) -> np.ndarray:
        kind = self.modalities[name].kind
        if kind == "image":
            return picture
        return np.where(outside, np.asarray(_OUTSIDE[kind], picture.dtype), picture)


@dataclass(frozen=True)
class _Colours:
    """A draw of a transform for each of some images."""

    transform: "A.Compose"
    only: Sequence[str]

    def __call__(self, pictures: Pictures) -> Pictures:
        changed = {name: pictures[name] for name in self.only if name in pictures}
        return {**pictures, **{n: self.transform(image=im)["image"] for n, im in changed.items()}}


def _step(spec: TransformSpec, modalities: Mapping[str, Modality]) -> _Geometry | _Colours:
    import albumentations as A  # a slow import, needed only with augmentation

    path = spec.get("class_path", "")
    plain = {key: value for key, value in spec.items() if key != "only"}
    if path in _OWN:
        plain["class_path"] = _OWN[path]
    transform = build_augment([plain]).transform
    colours = {isinstance(leaf, A.ImageOnlyTransform) for leaf in _leaves(transform)}
    if colours == {True, False}:
        raise DataError(f"{path} has transforms of geometry and of colours; list them apart.")
    if colours == {True}:
        return _Colours(transform, _only(spec, modalities))
    if "only" in spec:
        raise DataError(
            f"{path} moves pixels, so it must change all modalities of a scene; leave out only."
        )
    targets = {_target(name): _TARGETS[m.kind] for name, m in modalities.items()}
    return _Geometry(A.Compose(transform.transforms, additional_targets=targets), modalities)


def _only(spec: TransformSpec, modalities: Mapping[str, Modality]) -> list[str]:
    """Return the images that a transform of colours may change."""
    images = [name for name, modality in modalities.items() if modality.kind == "image"]
    only = spec.get("only", images if len(images) == 1 else None)
    if not isinstance(only, list) or not only or not set(only) <= set(images):
        raise DataError(
            f"{spec['class_path']} changes colours of {only}; say of which images, e.g. "
            f"only: [{images[0] if images else 'rgb'}]; there are {', '.join(images) or 'none'}."
        )
    return only


def _leaves(transform: "A.BasicTransform | A.BaseCompose") -> list["A.BasicTransform"]:
    import albumentations as A

    if isinstance(transform, A.BaseCompose):
        return [leaf for inner in transform.transforms for leaf in _leaves(inner)]
    return [transform]


def _target(name: str) -> str:
    return f"modality {name}"  # apart from albumentations' own names, such as mask


def _to_picture(modality: Modality, values: Tensor) -> np.ndarray:
    if modality.kind == "image":
        return ((values + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return values[0].numpy() if modality.kind == "depth" else values.to(torch.uint8).numpy()


def _to_values(modality: Modality, picture: np.ndarray) -> Tensor:
    values = torch.from_numpy(np.ascontiguousarray(picture))
    if modality.kind == "image":
        return to_unit_range(values.permute(2, 0, 1))
    return values[None] if modality.kind == "depth" else values.long()
