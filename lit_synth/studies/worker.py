"""One job in a worker process: train, test, and keep what was measured."""

import contextlib
import csv
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import yaml

from lit_synth.studies.jobs import Job
from lit_synth.studies.provenance import machine, revision

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

RESULT = "study.json"
# Exit codes of a run that was asked to stop, and saved itself to go on later.
STOPPED = {128 + number for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)}
Metrics = dict[str, float]
Curves = dict[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class Result:
    """What is known of a job that has ended.

    Attributes:
        metrics: Metric -> value on the test split at the last iteration, and the numbers that are
            released with the networks, e.g. `selector_0`.
        card: How the metrics were measured.
        curves: Column of `metrics.csv` -> [[iteration, value], ...].
        wall_s: Seconds of training and testing.
        error: What went wrong; empty if nothing.
        revision: Of the code that ran.
        machine: That it ran on.
    """

    metrics: Metrics = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    curves: Curves = field(default_factory=dict)
    wall_s: float = 0.0
    error: str = ""
    revision: str = ""
    machine: dict[str, Any] = field(default_factory=dict)


def finished(job: Job) -> Result | None:
    """Return the result of a job that was run before, or None."""
    path = job.folder / RESULT
    return Result(**json.loads(path.read_text())) if path.is_file() else None


def work(job: Job, results: "Connection") -> None:
    """Run a job in a process of its own, which saves and stops when that of the study is gone."""
    import torch

    torch.set_num_threads(1)
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    results.send(run_job(job))


def _stop_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def run_job(job: Job) -> Result:
    """Train and test one job, or go on with it where it was stopped; a failure is a result too."""
    job.config_file.parent.mkdir(parents=True, exist_ok=True)
    job.config_file.write_text(yaml.safe_dump(job.config, sort_keys=False))
    job.folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    with _output_to(job.folder / "log.txt"):
        try:
            metrics, card, curves = _carry_out(job)
        except (Exception, SystemExit) as error:  # whatever fails is reported with the study
            if isinstance(error, SystemExit) and error.code in STOPPED:
                raise
            traceback.print_exc()
            return Result(
                wall_s=time.perf_counter() - began, error=f"{type(error).__name__}: {error}"
            )
    wall_s = time.perf_counter() - began
    told = machine(job.config.get("trainer", {}).get("accelerator", "cpu"))
    result = Result(metrics, card, curves, wall_s, revision=revision(), machine=told)
    # Written last: only a job that has all of this is done.
    (job.folder / RESULT).write_text(json.dumps(asdict(result), indent=1) + "\n")
    return result


def _carry_out(job: Job) -> tuple[Metrics, dict[str, Any], Curves]:
    if "classifier" in job.config:
        from lit_synth.studies.classifiers import train_judge

        return {"accuracy": train_judge(job.config["classifier"], job.release)}, {}, {}

    from lit_synth.training.cli import SynthCLI

    run = SynthCLI(["fit", "--config", str(job.config_file), "--runs_dir", str(job.runs_dir)])
    # What `lit-synth test` does, without building the command line and reading the end again.
    run.trainer.test(run.model, datamodule=run.datamodule, verbose=False)
    report = json.loads((job.folder / "cards" / "test.json").read_text())
    curves = _curves(job.folder / "metrics.csv")
    metrics = {**report["values"], **_released_numbers(job), **_curve_metrics(curves)}
    return metrics, report["card"], curves


def _curves(path: Path) -> Curves:
    """Read every column of a run's log as (iteration, value) pairs."""
    curves: Curves = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if value and name != "iteration":
                    curves.setdefault(name, []).append((int(row["iteration"]), float(value)))
    return curves


def _curve_metrics(curves: Curves) -> Metrics:
    """Summaries of the validation FID over training: its mean, at half of it, and at its end."""
    points = curves.get("val/fid", [])
    if not points:
        return {}
    half = points[-1][0] / 2
    return {
        "val_fid_mean": mean(value for _, value in points),
        "val_fid_half": min(points, key=lambda point: abs(point[0] - half))[1],
        "val_fid_end": points[-1][1],
    }


def _released_numbers(job: Job) -> Metrics:
    """Numbers that were saved with the networks; a list `x` of numbers becomes `x_0`, `x_1`, ..."""
    extra = yaml.safe_load((job.release / "config.yaml").read_text()).get("extra", {})
    numbers: Metrics = {}
    for name, value in extra.items():
        values = {name: value}
        if isinstance(value, list):
            values = {f"{name}_{i}": each for i, each in enumerate(value)}
        numbers.update({key: each for key, each in values.items() if type(each) in (int, float)})
    return numbers


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send everything that this process prints to a file, whoever holds the old streams."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(number) for number in (1, 2)]
    with path.open("a") as log:
        for number in (1, 2):
            os.dup2(log.fileno(), number)
        try:
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                yield
        finally:
            log.flush()
            for number, old in zip((1, 2), saved, strict=True):
                os.dup2(old, number)
                os.close(old)
