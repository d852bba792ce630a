"""Albumentations of training images, seeded by the draw."""

import importlib
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.items.splits import Batch, to_unit_range

if TYPE_CHECKING:
    import albumentations as A

TransformSpec = dict[str, Any]  # {class_path, init_args}: what a YAML file can say


class Augment:
    """Apply a composed transform to each image of a batch, seeded by its draw.

    Images are given to the transform as uint8 (H, W, C) and returned in their own size.

    Args:
        transform: Changes the image; all its randomness must come from albumentations' states.
    """

    def __init__(self, transform: "A.Compose") -> None:
        self.transform = transform

    def __call__(self, batch: Batch, seeds: Sequence[int]) -> Batch:
        """Return the batch with `image` (N, C, H, W) augmented, one seed for each image."""
        images = [self._one(im, seed) for im, seed in zip(batch["image"], seeds, strict=True)]
        return {**batch, "image": to_unit_range(torch.stack(images))}

    def _one(self, image: Tensor, seed: int) -> Tensor:
        # One state shared by all transforms. `set_random_seed` would give each the same seed, and
        # with it the same decision: a horizontal flip exactly when there is a vertical one.
        self.transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
        pixels = ((image + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0)
        changed = self.transform(image=pixels.numpy())["image"]
        if changed.shape != pixels.shape:
            raise DataError(
                f"The transforms made an image of shape {changed.shape} out of one of shape "
                f"{tuple(pixels.shape)}; keep the size, e.g. with RandomResizedCrop."
            )
        return torch.from_numpy(np.ascontiguousarray(changed)).permute(2, 0, 1)


def build_augment(specs: Sequence[TransformSpec]) -> Augment:
    """Build the transforms that a configuration names, in order.

    Args:
        specs: Each {"class_path": "HorizontalFlip", "init_args": {"p": 0.5}}. A bare name is one
            of albumentations', a dotted path any other; `transforms` in the arguments of a
            container such as OneOf nests.
    """
    import albumentations as A  # a slow import, needed only with augmentation

    return Augment(A.Compose([_build(spec) for spec in specs]))


def _build(spec: TransformSpec) -> "A.BasicTransform | A.BaseCompose":
    from datamodules.augment.internals import refusing_unknown_arguments

    path, args = spec.get("class_path"), dict(spec.get("init_args", {}))
    if not isinstance(path, str) or set(spec) - {"class_path", "init_args"}:
        raise DataError(f"A transform is {spec}; give class_path and, if needed, init_args.")
    transform = _transform_class(path)
    if "transforms" in args:
        args["transforms"] = [_build(inner) for inner in args["transforms"]]
    try:
        with refusing_unknown_arguments():
            return transform(**args)
    except (TypeError, ValueError, UserWarning) as error:
        reason = " ".join(str(error).split(" [type=")[0].split())  # without pydantic's links
        raise DataError(f"The transform {path} does not accept {args}: {reason}.") from error


def _transform_class(path: str) -> "type[A.BasicTransform | A.BaseCompose]":
    import albumentations as A

    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module or "albumentations"), name)
    except (ImportError, AttributeError) as error:
        raise DataError(
            f"There is no transform {path}; give a class of albumentations, e.g. HorizontalFlip, "
            "or the dotted path of one."
        ) from error
    if not (isinstance(found, type) and issubclass(found, A.BasicTransform | A.BaseCompose)):
        raise DataError(f"{path} is not a transform of albumentations; give one that is.")
    return found
