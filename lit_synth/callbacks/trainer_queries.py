"""What callbacks ask of a running trainer: each other, real images, counts."""

from collections.abc import Mapping
from typing import TypeVar

import pytorch_lightning as pl
from torch import Tensor

from lit_synth.contracts.data import Batch, Images, TranslationData
from lit_synth.errors import InputError
from lit_synth.method import Method

C = TypeVar("C", bound=pl.Callback)


def callback_of(trainer: pl.Trainer, kind: type[C]) -> C | None:
    """Return the trainer's first callback of this class, or None."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it elsewhere
    return next((each for each in callbacks if isinstance(each, kind)), None)


def has_split(trainer: pl.Trainer, name: str) -> bool:
    """Tell whether the run's data has images in the split `name`."""
    datamodule = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it elsewhere
    asked = getattr(datamodule, "has_split", None)
    return hasattr(datamodule, "split") and (asked is None or asked(name))


def split_of(trainer: pl.Trainer, name: str) -> Images:
    """Return the split `name` of the run's data; InputError if there is none."""
    if not has_split(trainer, name):
        raise InputError(
            f"the data has no split '{name}' to compare generated images with: hold images out "
            "in the data's settings, or name another split in evaluate.split."
        )
    return trainer.datamodule.split(name)  # type: ignore[attr-defined]


def translation_data(trainer: pl.Trainer) -> TranslationData:
    """Return the run's data module; InputError if it has no modalities to translate between."""
    data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it elsewhere
    if not all(hasattr(data, name) for name in ("modalities", "sets", "aligned")):
        raise InputError(
            f"the method translates between modalities, but the data {type(data).__name__} has "
            "none: give a data module of several modalities."
        )
    return data


def described_data(trainer: pl.Trainer) -> list[str]:
    """Return a line on the run's data and one on each set of its training images: count, hash."""
    data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it elsewhere
    lines = [type(data).__name__]
    if hasattr(data, "sets"):
        for name, modalities in data.sets.items():
            scenes = data.training_set(name)
            what = f"{len(scenes)} of {', '.join(modalities)}"
            lines.append(f"{name}: {what} ({scenes.sha256[:12]})")
    elif has_split(trainer, "train"):
        images = split_of(trainer, "train")
        lines.append(f"train: {len(images)} images ({images.sha256[:12]})")
    return lines


def due(every_n_iterations: int | None, method: Method) -> bool:
    """Tell whether something periodic happens after this iteration; None is never.

    The last iteration of the run always counts.
    """
    if every_n_iterations is None:
        return False
    iteration = method.iteration
    return iteration % every_n_iterations == 0 or iteration == method.total_iterations


def check_period(name: str, every_n_iterations: int | None) -> None:
    """Raise InputError unless the period is None or at least 1."""
    if every_n_iterations is not None and every_n_iterations < 1:
        raise InputError(f"{name} is {every_n_iterations}: expected at least 1, or null for never.")


def images_per_iteration(trainer: pl.Trainer, batch: Mapping[str, Tensor | Batch]) -> int:
    """Return the size of the global batch, of which `batch` is this process's part.

    Of a batch of several training sets, it is the number of scenes in all of them.
    """
    sizes = [len(next(iter(each.values()))) for each in batch.values() if isinstance(each, dict)]
    return (sum(sizes) if sizes else len(next(iter(batch.values())))) * trainer.world_size
