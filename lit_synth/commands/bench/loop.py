"""`lit-synth bench`: images per second, time per phase, memory, and what the trainer costs."""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities import move_data_to_device
from pytorch_lightning.core.optimizer import LightningOptimizer
from rich.console import Console
from rich.table import Table

from lit_synth.baselines import BicycleGAN
from lit_synth.callbacks import Checkpoint, Evaluate, SampleGrid
from lit_synth.callbacks.trainer_queries import callback_of, images_per_iteration
from lit_synth.commands.bench import bicyclegan, sdit, udit
from lit_synth.commands.bench.minegan import selective_against_full
from lit_synth.commands.bench.mmnets import shared_against_recomputed
from lit_synth.commands.bench.timing import peak_rss, synchronise
from lit_synth.errors import InputError
from lit_synth.method import Method
from lit_synth.methods import SDIT, UDIT, MineGAN, MMNets
from lit_synth.networks.small import SmallCritic, SmallGenerator
from lit_synth.releases.format import save_release
from lit_synth.runs.lightning_internals import PlainTrainer
from lit_synth.stages import Stage
from lit_synth.training.cli import SynthCLI

PAIRS = 5
RUNS = Path("runs")  # where `fit` leaves what a config prepares


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `bench` and its options."""
    parser = subparsers.add_parser("bench", help="time a config without starting a run")
    parser.add_argument("--config", required=True, help="a YAML file that `fit` takes")
    parser.add_argument(
        "--iterations", type=int, default=60, help="of each timed block; there are 1 + 2 x 5 blocks"
    )
    parser.add_argument(
        "--random_sources",
        type=int,
        default=0,
        help="MineGAN: instead of the config's, this many sources with random weights",
    )
    parser.add_argument("--width", type=int, default=32, help="channels of the random sources")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="replaces a value of the config, e.g. data.init_args.batch_size=8",
    )


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    report = measure(args.config, args.overrides, args.iterations, args.random_sources, args.width)
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        show(report, Console())
    return 0


def show(report: dict[str, float], console: Console) -> None:
    """Print a report as a table."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in report.items():
        table.add_row(name, f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}")
    console.print(table)


def measure(
    config: str,
    overrides: list[str],
    iterations: int = 60,
    random_sources: int = 0,
    width: int = 32,
) -> dict[str, float]:
    """Time a config in one process, the trainer and a plain loop in turn.

    Args:
        config: YAML file that `fit` takes.
        overrides: Values of the config to replace, each KEY=VALUE.
        iterations: Of each timed block.
        random_sources: If not 0, MineGAN mines this many sources with random weights.
        width: Channels of the random sources.

    Returns:
        Name with unit -> median over the blocks.
    """
    if iterations < 1:
        raise InputError(f"--iterations is {iterations}: give at least 1.")
    with tempfile.TemporaryDirectory() as scratch:
        options = [f"--{override}" for override in overrides]
        argv = ["fit", "--config", config, *options, "--runs_dir", scratch]

        def adjust(settings: Any) -> None:
            settings.evaluate.beside = settings.samples.beside = None  # shown beside, not timed
            if random_sources:
                data = settings.data.init_args
                settings.model.init_args.sources = [
                    str(random_release(Path(scratch) / f"source_{i}", data, width))
                    for i in range(random_sources)
                ]

        built = SynthCLI.build(argv, adjust, prepared_in=RUNS)
        method = built.method
        trainer: Any = built.trainer  # its callbacks are set where mypy does not see them
        needed = iterations * (PAIRS + 1)
        if method.total_iterations < needed:
            raise InputError(
                f"the stages have {method.total_iterations} iterations, but {PAIRS + 1} blocks of "
                f"{iterations} need {needed}: give fewer --iterations."
            )
        bench = Bench(built.data, iterations, callback_of(trainer, Evaluate))
        # What fires every so many iterations would fall into some blocks and not into others.
        periodic = Checkpoint | Evaluate | SampleGrid
        trainer.callbacks = [c for c in trainer.callbacks if not isinstance(c, periodic)] + [bench]
        trainer.limit_val_batches = 0
        with redirect_stdout(sys.stderr):  # the run's own progress
            trainer.fit(method, built.data)
    return bench.report


def random_release(folder: Path, data: Any, width: int) -> Path:
    """Write a release of networks with random weights for the images of `data`; return it."""
    networks = {
        "generator": SmallGenerator(data.image_size, data.channels, width=width),
        "critic": SmallCritic(data.image_size, data.channels, width=width),
    }
    return save_release(folder, networks, "Random weights.")


class Bench(pl.Callback):
    """Times blocks of the running trainer, each followed by the same iterations in a plain loop.

    Args:
        data: What is trained on.
        iterations: Of each block; the first block of the trainer is not timed.
        evaluate: The run's evaluation, if it has one.
    """

    def __init__(
        self, data: pl.LightningDataModule, iterations: int, evaluate: Evaluate | None
    ) -> None:
        self.data, self.iterations, self.evaluate = data, iterations, evaluate
        self.trained: list[float] = []
        self.plain: list[float] = []
        self.waits: list[float] = []
        self.report: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        self.start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        method = cast("Method", pl_module)
        if method.iteration % self.iterations:
            return
        synchronise(method.device)
        elapsed = time.perf_counter() - self.start
        if method.iteration == self.iterations:
            self.loop = PlainLoop(trainer, method, self.data)
            self.loop.run(self.iterations, method.iteration - self.iterations)
        else:
            self.trained.append(elapsed)
            plain, wait = self.loop.run(self.iterations, method.iteration - self.iterations)
            self.plain.append(plain)
            self.waits.append(wait)
        if len(self.trained) == PAIRS:
            trainer.should_stop = True
            self._finish(trainer, method)
        self.start = time.perf_counter()

    def _finish(self, trainer: pl.Trainer, method: Method) -> None:
        seconds = statistics.median(self.trained)
        overheads = [a / b - 1 for a, b in zip(self.trained, self.plain, strict=True)]
        waits = [wait / plain for wait, plain in zip(self.waits, self.plain, strict=True)]
        self.report = {
            "images/s": images_per_iteration(trainer, self.loop.batch) * self.iterations / seconds,
            "ms per iteration": 1000 * seconds / self.iterations,
            "ms per iteration, plain loop": 1000 * statistics.median(self.plain) / self.iterations,
            "trainer overhead, %": 100 * statistics.median(overheads),
            "data wait, %": 100 * statistics.median(waits),
            **self.loop.phases(self.iterations),
        }
        if self.evaluate is not None and self.evaluate.every_n_iterations is not None:
            self.report["ms per evaluation"] = self._time_evaluation(trainer, self.evaluate)
        if isinstance(method, MineGAN) and len(method.members) > 1:
            with self.loop.attached():
                self.report |= selective_against_full(method, self.loop.batch["image"], PAIRS)
        if isinstance(method, MMNets) and (aligned := aligning_stage(method)):
            method.stages = [aligned]
            with self.loop.attached():
                method.on_train_batch_start()
                self.report |= shared_against_recomputed(method, self.loop.batch, PAIRS)
        if isinstance(method, UDIT):
            with self.loop.attached():
                self.report |= udit.rearranged_against_released(method, self.loop.batch, PAIRS)
        if isinstance(method, SDIT):
            with self.loop.attached():
                self.report |= sdit.rearranged_against_released(method, self.loop.batch, PAIRS)
        if isinstance(method, BicycleGAN):
            with self.loop.attached():
                batch = self.loop.batch
                self.report |= bicyclegan.rearranged_against_released(method, batch, PAIRS)
        self.report["peak memory of the process, MiB"] = peak_rss() / 2**20
        if method.device.type == "cuda":
            self.report["peak GPU memory, MiB"] = torch.cuda.max_memory_allocated() / 2**20

    def _time_evaluation(self, trainer: pl.Trainer, evaluate: Evaluate) -> float:
        evaluate.every_n_iterations = self.iterations  # so that one is due now
        evaluate.setup(trainer, trainer.lightning_module, "fit")
        evaluate.on_train_start(trainer, trainer.lightning_module)  # real features, once a run
        start = time.perf_counter()
        evaluate.on_train_batch_end(trainer, trainer.lightning_module)
        return 1000 * (time.perf_counter() - start)


class PlainLoop:
    """The method's own training step in a `for` loop over its own data, without Lightning.

    Args:
        trainer: The running trainer.
        method: What it trains.
        data: What it trains on.
    """

    def __init__(self, trainer: pl.Trainer, method: Method, data: pl.LightningDataModule) -> None:
        self.trainer, self.method = trainer, method
        self.plain = PlainTrainer(trainer.optimizers)
        self.batches = iter(data.train_dataloader())
        self.batch: Any = {}

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Hide the trainer from the method, as long as the context lasts."""
        self.method.trainer = cast("pl.Trainer", self.plain)
        try:
            with self.trainer.precision_plugin.train_step_context():
                yield
        finally:
            self.method.trainer = self.trainer

    def run(
        self, iterations: int, first: int, before_step: Callable[[], None] | None = None
    ) -> tuple[float, float]:
        """Train for some iterations, counted from `first`; return seconds, and those of waiting."""
        start, wait = time.perf_counter(), 0.0
        with self.attached():
            for self.plain.processed in range(first, first + iterations):
                asked = time.perf_counter()
                batch = next(self.batches)
                wait += time.perf_counter() - asked
                self.batch = move_data_to_device(batch, self.method.device)
                if before_step is not None:
                    before_step()
                self.method.training_step(self.batch)
        synchronise(self.method.device)
        return time.perf_counter() - start, wait

    def phases(self, iterations: int) -> dict[str, float]:
        """Time each player's step, named by the networks that it trains.

        It begins with the iteration, or where another's ends, and ends with its optimizer's.
        """
        taken: dict[str, list[float]] = defaultdict(list)
        began = 0.0

        def start(*_: Any) -> None:
            nonlocal began
            synchronise(self.method.device)
            began = time.perf_counter()

        def stepped(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            synchronise(self.method.device)
            taken[trained_by(self.method, optimizer)].append(time.perf_counter() - began)
            start()

        hooks = [each.register_step_post_hook(stepped) for each in self.plain.optimizers]
        self.run(iterations, 0, start)
        for hook in hooks:
            hook.remove()
        return {f"ms per {name} step": 1000 * statistics.median(t) for name, t in taken.items()}


def aligning_stage(method: MMNets) -> Stage | None:
    """Return the method's first stage with all terms but pseudo-pairs, if there is one."""
    found = next((stage for stage in method.stages if "latent" in stage.weights), None)
    return replace(found, reset_optimizers=False) if found else None  # no step is taken


def trained_by(method: Method, optimizer: torch.optim.Optimizer | LightningOptimizer) -> str:
    """Name the networks of a method that an optimizer trains, frozen ones left out."""
    own = {id(p) for group in optimizer.param_groups for p in group["params"] if p.requires_grad}
    children = method.named_children()
    return " and ".join(n for n, net in children if any(id(p) in own for p in net.parameters()))
