"""All that we touch of Lightning's insides, in one place; a test holds it to the versions named.

Beside this, `datamodules.items.stream` reads the same counter as `iterations_done`, and `SynthCLI`
overrides three hooks of the command line.
"""

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.loops.progress import _ProcessedTracker
from pytorch_lightning.profilers import PassThroughProfiler

HOLDS_FOR = ("2.6",)  # releases of pytorch-lightning, major and minor


def iterations_done(trainer: pl.Trainer) -> int:
    """Return how many batches `training_step` has finished, over all epochs and resumes."""
    return cast("_ProcessedTracker", trainer.fit_loop.epoch_loop.batch_progress.total).processed


def training_state(trainer: pl.Trainer) -> dict[str, Any]:
    """Return what a checkpoint holds: networks, optimizers, loops and what callbacks add."""
    return trainer._checkpoint_connector.dump_checkpoint(weights_only=False)


def cluster_environment(trainer: pl.Trainer) -> Any:
    """Return Lightning's view of the cluster, or None on a machine by itself."""
    return trainer._accelerator_connector.cluster_environment


class _NoProfiler(PassThroughProfiler):
    """Measures nothing, and makes no context for each of the 80 places of an iteration."""

    _nothing = nullcontext("")

    def profile(self, action_name: str) -> nullcontext[str]:  # type: ignore[override]  # noqa: ARG002
        return self._nothing


def lighten(trainer: pl.Trainer) -> None:
    """Spare a run what does nothing in its iterations and takes a percent or two of short ones."""
    if type(trainer.profiler) is PassThroughProfiler:  # type: ignore[attr-defined]  # set late
        trainer.profiler = _NoProfiler()  # type: ignore[attr-defined]  # set late
    if not torch.cuda.is_available():
        # Lightning asks for it, and without GPUs each step of Adam then looks for their library.
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


@dataclass
class PlainTrainer:
    """What a training step asks of its trainer, without the trainer: raw optimizers, one process.

    Attributes:
        optimizers: Of torch.
        processed: Iterations done.
    """

    optimizers: list[torch.optim.Optimizer]
    processed: int = 0
    world_size: int = 1
    global_rank: int = 0
    strategy: SimpleNamespace = field(init=False)

    def __post_init__(self) -> None:
        self.strategy = SimpleNamespace(
            _lightning_optimizers=self.optimizers,
            backward=lambda loss, _, *args, **kwargs: loss.backward(*args, **kwargs),
        )

    @property
    def fit_loop(self) -> SimpleNamespace:
        total = SimpleNamespace(processed=self.processed)
        return SimpleNamespace(
            epoch_loop=SimpleNamespace(batch_progress=SimpleNamespace(total=total))
        )


def missing(trainer: pl.Trainer) -> list[str]:
    """Return what is touched here and is not in this version of Lightning, by dotted name."""
    touched: dict[str, Callable[[], object]] = {
        "Trainer.fit_loop.epoch_loop.batch_progress.total.processed": lambda: iterations_done(
            trainer
        ),
        "Trainer._checkpoint_connector.dump_checkpoint": lambda: (
            trainer._checkpoint_connector.dump_checkpoint
        ),
        "Trainer._accelerator_connector.cluster_environment": lambda: cluster_environment(trainer),
        "Trainer.strategy._lightning_optimizers": lambda: trainer.strategy._lightning_optimizers,
    }
    found = []
    for name, touch in touched.items():
        try:
            touch()
        except AttributeError:
            found.append(name)
    return found
