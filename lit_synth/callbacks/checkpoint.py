"""Checkpoints: written whole or not at all, and holding all that an exact resume needs."""

import io
import math
import random
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, Literal, cast

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed as dist
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

from lit_synth.batches.labels import HasLabels, check_checkpoint
from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.callbacks.trainer_queries import callback_of
from lit_synth.errors import InputError
from lit_synth.method import Method
from lit_synth.runs.files import write_atomically, writing
from lit_synth.runs.lightning_internals import cluster_environment, training_state
from lit_synth.runs.metrics_csv import CSVLogger
from lit_synth.runs.resume import check_same_architecture, checkpoint_folder
from lit_synth.runs.stopping import SIGNALS, say_goodbye
from lit_synth.runs.telling import warn
from lit_synth.tensors.processes import of_all_processes

NAMED = 8  # measures that a message names


class Checkpoint(pl.callbacks.Checkpoint):
    """Save the run in `checkpoints/`: `last.ckpt`, `best.ckpt` and, if asked, numbered ones.

    Everything happens at the end of an iteration, after all other callbacks: on SIGUSR1, SIGTERM or
    Ctrl+C as well, which save, stop the run and exit with 128 + the signal's number. On SIGUSR1
    under SLURM, the job is also requeued; its first command then goes on from `last.ckpt`.

    Args:
        every_n_iterations: Save `last.ckpt` this often; also at the end of training.
        every_n_minutes: Save it at least this often; None: by iterations only.
        best: Measure of the Evaluate callback by which `best.ckpt` is chosen; None: no such file.
        mode: Is the best measure the lowest or the highest?
        keep_every: Keep a numbered checkpoint this often; None: never.
    """

    def __init__(
        self,
        every_n_iterations: int = 1000,
        every_n_minutes: float | None = 10,
        best: str | None = "fid",
        mode: Literal["min", "max"] = "min",
        keep_every: int | None = None,
    ) -> None:
        for name, value in (("every_n_iterations", every_n_iterations), ("keep_every", keep_every)):
            if value is not None and value < 1:
                raise InputError(f"checkpoint.{name} is {value}: expected at least 1.")
        self.every_n_iterations, self.every_n_minutes = every_n_iterations, every_n_minutes
        self.best, self.mode, self.keep_every = best, mode, keep_every
        self.best_value: float | None = None
        self._resumed: dict[str, Any] = {}
        self._saved: int | None = None
        self._clock = time.monotonic()
        self._signal = 0

    # What is saved, and put back.

    def state_dict(self) -> dict[str, Any]:
        return {"best_value": self.best_value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_value = state_dict["best_value"]

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["iteration"] = cast("Method", pl_module).iteration
        checkpoint["random"] = of_all_processes(_random_state(trainer.strategy.root_device))

    def on_load_checkpoint(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        self._resumed = {key: checkpoint.get(key) for key in ("iteration", "random", "rows")}

    # When.

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # Lightning would save in the middle of an iteration, to a file of its own.
        environment = cluster_environment(trainer)
        if isinstance(environment, SLURMEnvironment):
            environment.auto_requeue = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._saved = self._resumed.get("iteration")
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                own = Path(trainer.default_root_dir) in Path(trainer.ckpt_path or "").parents
                logger.rewind(self._saved, self._resumed.get("rows") if own else None)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        method = cast("Method", pl_module)
        if method.iteration >= method.total_iterations:
            warn(
                f"the run is finished, at iteration {method.iteration} of "
                f"{method.total_iterations}: to train longer, give a larger --iterations."
            )
        self._clock = time.monotonic()
        self._signal = 0
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:  # Lightning puts the handlers before ours back when it is done.
                signal.signal(signum, self._note)
        states = self._resumed.pop("random", None) or []
        if len(states) == trainer.world_size:
            _set_random_state(states[trainer.global_rank], trainer.strategy.root_device)
        elif states:
            warn(
                f"the checkpoint is of {len(states)} processes and this run has "
                f"{trainer.world_size}: it goes on, but not exactly."
            )

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT == self._signal:
            raise KeyboardInterrupt
        self._signal = signum

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        method = cast("Method", pl_module)
        iteration, total = method.iteration, method.total_iterations
        minutes = (time.monotonic() - self._clock) / 60
        stop, improved, waited = _agree(
            trainer,
            self._signal,
            self._improved(trainer, iteration),
            self.every_n_minutes is not None and minutes >= self.every_n_minutes,
        )
        names = []
        if iteration % self.every_n_iterations == 0 or iteration >= total or waited or stop:
            names.append("last")
        if improved:
            names.append("best")
        if self.keep_every is not None and iteration % self.keep_every == 0:
            names.append(f"iteration_{iteration:08d}")
        if names:
            self._save(trainer, method, names)
        if stop and iteration < total:
            if trainer.is_global_zero:
                say_goodbye(stop, f"and saved at iteration {iteration}")
            raise SystemExit(128 + stop)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        method = cast("Method", pl_module)
        if self._saved != method.iteration:
            self._save(trainer, method, ["last"])

    def _improved(self, trainer: pl.Trainer, iteration: int) -> bool:
        """Tell whether an evaluation at this iteration gave the best value so far, and keep it."""
        evaluate = callback_of(trainer, Evaluate)
        if self.best is None or evaluate is None or evaluate.iteration != iteration:
            return False
        if self.best not in evaluate.latest:
            names = list(evaluate.latest)
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            warn(
                f"no best.ckpt is kept: checkpoint.best is '{self.best}', but the evaluation "
                f"measures {', '.join(names[:NAMED])}{more}."
            )
            self.best = None
            return False
        value = evaluate.latest[self.best]
        sign = 1 if self.mode == "min" else -1
        best = math.inf if self.best_value is None else sign * self.best_value
        if sign * value < best:
            self.best_value = value
            return True
        return False

    def _save(self, trainer: pl.Trainer, method: Method, names: list[str]) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]  # Lightning sets it elsewhere
            return
        checkpoint = training_state(trainer)
        problem = None
        if trainer.is_global_zero:
            try:
                _write(trainer, checkpoint, names)
            except InputError as error:
                problem = str(error)
        # All processes wait for the files, and stop together if there are none.
        problem = trainer.strategy.broadcast(problem)
        if problem is not None:
            raise InputError(problem)
        if "last" in names:
            self._saved, self._clock = method.iteration, time.monotonic()


def misfit(method: Method, checkpoint: dict[str, Any]) -> str | None:
    """Say why a method cannot go on from what a checkpoint holds; None if it can.

    Raises:
        InputError: It was trained with other labels: no other checkpoint of the run will do.
    """
    if isinstance(method, HasLabels):
        check_checkpoint(method, checkpoint)
    try:
        check_same_architecture(method.state_dict(), checkpoint["state_dict"])
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]
        if progress["processed"] != checkpoint["iteration"]:
            return "is damaged: its loops and its iteration do not agree"
        torch.Generator().set_state(checkpoint["rng"])
        ours, theirs = _optimizers(method), checkpoint["optimizer_states"]
        if _groups([optimizer.state_dict() for optimizer in ours]) != _groups(theirs):
            return "is damaged, or of other settings: its optimizers are not those of the method"
        untouched = all(not state["state"] for state in theirs)
        adaptive = any(not isinstance(optimizer, torch.optim.SGD) for optimizer in ours)
        if untouched and checkpoint["iteration"] and adaptive:
            return "is damaged: its optimizers have forgotten their moments"
    except InputError as error:
        return f"does not fit: {error}".removesuffix(".")
    except (LookupError, TypeError, AttributeError, RuntimeError):
        return "is damaged: a part that a run goes on from is missing"
    return None


def _optimizers(method: Method) -> list[torch.optim.Optimizer]:
    configured: Any = method.configure_optimizers()
    return configured if isinstance(configured, list) else [configured]


def _groups(optimizer_states: list[dict[str, Any]]) -> list[list[Any]]:
    """Return which parameters each group of each optimizer has."""
    return [[group["params"] for group in state["param_groups"]] for state in optimizer_states]


def _write(trainer: pl.Trainer, checkpoint: dict[str, Any], names: list[str]) -> None:
    """Write a checkpoint under `names`, after all that was logged up to it."""
    folder = checkpoint_folder(trainer.default_root_dir)
    with writing(folder):
        for logger in trainer.loggers:
            logger.save()
            if isinstance(logger, CSVLogger):
                checkpoint["rows"] = logger.rows
        # Through memory: torch reports a full disk as an internal error.
        serialised = io.BytesIO()
        torch.save(checkpoint, serialised)
        for name in names:
            previous = folder / "previous.ckpt" if name == "last" else None
            write_atomically(folder / f"{name}.ckpt", serialised.getbuffer(), keep=previous)


def _agree(trainer: pl.Trainer, *flags: int) -> list[int]:
    """Return the highest value of each flag over all processes, so that all act as one."""
    if trainer.world_size == 1:
        return list(flags)
    highest = torch.tensor(flags, device=trainer.strategy.root_device)
    dist.all_reduce(highest, op=dist.ReduceOp.MAX)
    return highest.tolist()


def _random_state(device: torch.device) -> dict[str, Any]:
    """Return the states of all global random generators as tensors and plain values."""
    kind, keys, *position = np.random.get_state(legacy=True)  # noqa: NPY002
    state = {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *position),
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def _set_random_state(state: dict[str, Any], device: torch.device) -> None:
    random.setstate(state["python"])
    kind, keys, *position = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *position))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
