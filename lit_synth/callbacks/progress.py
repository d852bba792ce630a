"""How far the run is: a live bar in a terminal, a line now and then in a log file."""

import sys
import time
from collections import deque
from typing import Any, cast

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from lit_synth.callbacks.log_terms import LogTerms
from lit_synth.callbacks.trainer_queries import callback_of, images_per_iteration
from lit_synth.contracts.data import Batch
from lit_synth.method import Method
from lit_synth.stages import stage_at

REFRESH_S = 0.2  # of the bar
LINE_S = 30.0  # least time between two lines of a log
WINDOW_S = 30.0  # that the speed is averaged over


class TrainingProgress(pl.Callback):
    """Show iteration, stage, speed, time left and the terms that LogTerms logged last.

    The bar of a terminal stays, as it was last.

    Standard output that is no terminal gets a line at the first and at the last iteration, where a
    stage begins, and every 30 s.
    """

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._marks: deque[tuple[float, int]] = deque()
        self._shown, self._stage = 0.0, -1

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        method = cast("Method", pl_module)
        self._marks = deque([(time.monotonic(), method.iteration)])
        self._shown, self._stage = 0.0, -1
        if not (trainer.is_global_zero and sys.stdout.isatty()):
            return
        self._bar = Progress(
            TextColumn("{task.completed}/{task.total}"),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            console=Console(),
            refresh_per_second=4,
        )
        self._task = self._bar.add_task(
            "starting", total=method.total_iterations, completed=method.iteration
        )
        self._bar.start()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        method = cast("Method", pl_module)
        if not trainer.is_global_zero or not self._is_time(method):
            return
        size = images_per_iteration(trainer, batch)
        text = self._describe(method, size, callback_of(trainer, LogTerms))
        if self._bar is None:
            print(f"{method.iteration}/{method.total_iterations}  {text}", flush=True)
        else:
            self._bar.update(self._task, completed=method.iteration, description=text)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop()

    def on_exception(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        exception: BaseException,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _is_time(self, method: Method) -> bool:
        now, iteration = time.monotonic(), method.iteration
        stage, _ = stage_at(method.stages, iteration - 1)
        pause = LINE_S if self._bar is None else REFRESH_S
        if (
            now - self._shown < pause
            and stage == self._stage
            and iteration != method.total_iterations
        ):
            return False
        self._shown, self._stage = now, stage
        return True

    def _describe(self, method: Method, size: int, log: LogTerms | None) -> str:
        now, iteration = time.monotonic(), method.iteration
        self._marks.append((now, iteration))
        while len(self._marks) > 2 and now - self._marks[1][0] > WINDOW_S:
            self._marks.popleft()
        began, first = self._marks[0]
        speed = (iteration - first) / max(now - began, 1e-9)
        left = (method.total_iterations - iteration) / max(speed, 1e-9)
        stage = method.stages[self._stage].name
        terms = [f"{name} {mean:.3g}" for name, mean in log.terms.items()] if log else []
        return "  ".join([stage, f"{speed * size:.0f} images/s", f"{_clock(left)} left", *terms])


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"
