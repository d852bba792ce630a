"""What callbacks ask of a running trainer: each other, its data, counts."""

from collections.abc import Mapping
from typing import TypeVar

import pytorch_lightning as pl
from torch import Tensor

from lit_synth.contracts.data import Batch
from lit_synth.errors import InputError
from lit_synth.method import Method

C = TypeVar("C", bound=pl.Callback)


def callback_of(trainer: pl.Trainer, kind: type[C]) -> C | None:
    """Return the trainer's first callback of this class, or None."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it elsewhere
    return next((callback for callback in callbacks if isinstance(callback, kind)), None)


def data_of(trainer: pl.Trainer) -> object:
    """Return the run's data module; None if it has none."""
    return trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it elsewhere


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
    sizes = [len(next(iter(part.values()))) for part in batch.values() if isinstance(part, dict)]
    return (sum(sizes) if sizes else len(next(iter(batch.values())))) * trainer.world_size
