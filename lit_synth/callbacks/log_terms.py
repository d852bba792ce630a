"""What the method tracked, sent to every logger at regular iterations."""

import time
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor

from lit_synth.callbacks.trainer_queries import images_per_iteration
from lit_synth.contracts.data import Batch
from lit_synth.method import Method
from lit_synth.runs.loggers import log_settings
from lit_synth.runs.metrics_csv import CSVLogger
from lit_synth.stages import stage_at


class LogTerms(pl.Callback):
    """Log `train/<term>` every `trainer.log_every_n_steps` iterations, and at the last one.

    Each is the mean since the last time, over all processes. With them go `images_seen` and the
    index of the stage; and the speed, but not to `metrics.csv`, which two equal runs write equally.
    When training starts, loggers that show settings get those of the run.

    Attributes:
        terms: Name -> mean, as last logged.
    """

    def __init__(self) -> None:
        self.terms: dict[str, float] = {}
        self._since, self._images = 0.0, 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since, self._images = time.perf_counter(), 0
        log_settings(trainer.loggers, Path(trainer.default_root_dir))

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        method = cast("Method", pl_module)
        iteration, size = method.iteration, images_per_iteration(trainer, batch)
        self._images += size
        last = iteration == method.total_iterations
        if iteration % trainer.log_every_n_steps and not last:  # type: ignore[attr-defined]
            return
        self.terms = _over_processes(trainer, method.means.read())
        index, _ = stage_at(method.stages, iteration - 1)
        values = {f"train/{name}": mean for name, mean in self.terms.items()}
        values |= {"images_seen": iteration * size, "stage": index}
        now = time.perf_counter()
        speed = {"images_per_s": self._images / (now - self._since)}
        self._since, self._images = now, 0
        for logger in trainer.loggers:
            timed = {} if isinstance(logger, CSVLogger) else speed
            logger.log_metrics(values | timed, step=iteration)


def _over_processes(trainer: pl.Trainer, means: dict[str, float]) -> dict[str, float]:
    if trainer.world_size == 1 or not means:
        return means
    ours = torch.tensor(list(means.values()), device=trainer.strategy.root_device)
    everyones = cast("Tensor", trainer.strategy.reduce(ours, reduce_op="mean"))
    return dict(zip(means, everyones.tolist(), strict=True))
