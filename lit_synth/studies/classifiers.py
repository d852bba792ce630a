"""The classifier that judges a study's images, trained on real images of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import datamodules
from datamodules.base.image_data import ImageDataModule, SplitName
from lit_synth.features.classifier import Recipe, ReleaseClassifier, train_classifier


def train_judge(spec: Mapping[str, Any], folder: Path) -> float:
    """Train a classifier on a data module's training split and write it as a release.

    Args:
        spec: `data`: class name and arguments of a data module; `fields`: what the classifier tells
            apart, e.g. [kind, colour] for every combination of both (default: [label]); `recipe`:
            settings of `lit_synth.features.classifier.Recipe`.
        folder: Where the release goes.

    Returns:
        Its accuracy on the test split.
    """
    module = getattr(datamodules, spec["data"]["class_path"])
    data: ImageDataModule = module(**spec["data"].get("init_args", {}))
    fields = spec.get("fields", ["label"])
    train, test = _images(data, "train", fields), _images(data, "test", fields)
    recipe = Recipe(**spec.get("recipe", {}))
    train_classifier(*train, folder, recipe, held_out=test)
    return ReleaseClassifier(folder).release.extra["held_out_accuracy"]


def _images(
    data: ImageDataModule, split: SplitName, fields: Sequence[str]
) -> tuple[Tensor, Tensor]:
    """Return a split's images and the number of each one's combination of fields."""
    batch = data.split(split).fetch(range(len(data.split(split))))
    number = torch.zeros(len(batch["image"]), dtype=torch.long)
    for field in fields:
        values, position = torch.unique(batch[field], return_inverse=True)
        number = number * len(values) + position
    return batch["image"], number
