"""Run the jobs of a study, several at a time, each in a process forked from a warm one."""

import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from types import FrameType

from lit_synth.runs.stopping import PASSED_ON, handling, say_goodbye
from lit_synth.studies.jobs import Job, Jobs
from lit_synth.studies.worker import Result, finished, run_job, work

Say = Callable[[str], None]
WARM = "lit_synth.studies.warm"


def run_jobs(jobs: Jobs, workers: int, fresh: bool = False, say: Say = print) -> dict[str, Result]:
    """Run what is not done yet and return every job's result by key.

    A job that fails, or whose process dies, has an error as its result; so has what needs it. The
    rest goes on. Failures are tried again by the next call.

    Args:
        jobs: All jobs of a study.
        workers: Processes at a time; 0 runs everything in this one.
        fresh: Run everything again, whatever is there.
        say: Gets one line per job.

    Raises:
        SystemExit: A signal has asked to stop: all jobs have saved themselves, and the next call
            goes on with them.
    """
    order = jobs.in_order()
    if fresh:
        for job in order:
            shutil.rmtree(job.folder, ignore_errors=True)
    results = {job.key: result for job in order if (result := finished(job)) is not None}
    todo = [job for job in order if job.key not in results]
    say(f"{jobs.plan.id}: {len(order)} runs, {len(results)} of them done before.")
    progress = Progress(len(todo), max(workers, 1), say)
    if workers == 0:
        for job in todo:
            results[job.key] = _blocked(job, results) or run_job(job)
            progress.tell(job, results[job.key])
    elif todo:
        Pool(todo, results, workers, progress, context_for(jobs.accelerator)).run()
    return results


def context_for(accelerator: str) -> ForkServerContext | SpawnContext:
    """Return how the process of a job starts.

    It is forked from a server that has imported everything and computed nothing. The driver of a
    GPU does not bear that, nor do systems other than Linux: there each process starts anew.
    """
    if accelerator != "cpu" or sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([WARM])
    return context


class Pool:
    """A process for each job, so many at a time; one that dies takes no other with it.

    Args:
        todo: Jobs in the order in which they should start.
        results: Result of each job by key; filled as jobs end.
        workers: How many run at a time.
        progress: Is told of each job that has ended.
        context: How processes start.
    """

    def __init__(
        self,
        todo: list[Job],
        results: dict[str, Result],
        workers: int,
        progress: "Progress",
        context: ForkServerContext | SpawnContext,
    ) -> None:
        self.todo, self.results, self.workers, self.progress = todo, results, workers, progress
        self.context = context
        self.running: dict[Connection, tuple[Job, BaseProcess]] = {}
        self.stopped = 0  # the signal that has asked for it

    def run(self) -> None:
        """Run all jobs."""
        # Processes inherit the environment; the thread count must stand before they import torch.
        os.environ["OMP_NUM_THREADS"] = "1"
        with handling(self._stop):
            try:
                while self.running or (self.todo and not self.stopped):
                    self._start_ready()
                    if self.running:
                        self._collect()
            finally:  # none is left, unless something here has failed
                for _, process in self.running.values():
                    process.kill()
        if self.stopped:
            done = f"{self.progress.done} of {self.progress.total} runs"
            say_goodbye(self.stopped, f"with {done} done")
            raise SystemExit(128 + self.stopped)

    def _stop(self, signum: int, _: FrameType | None) -> None:
        """Have all jobs save themselves and end; at a second Ctrl+C, end them."""
        impatient = signum == signal.SIGINT == self.stopped
        self.stopped = signum
        for _job, process in self.running.values():
            process.kill() if impatient else process.terminate()

    def _start_ready(self) -> None:
        for job in list(self.todo):
            blocked = _blocked(job, self.results)
            if blocked:
                self.todo.remove(job)
                self._end(job, blocked)
            elif len(self.running) < self.workers and _is_ready(job, self.results):
                if self.stopped:
                    return
                self.todo.remove(job)
                self._start(job)

    def _start(self, job: Job) -> None:
        ours, theirs = self.context.Pipe(duplex=False)
        process = self.context.Process(target=work, args=(job, theirs))
        with _unheard():
            process.start()
        theirs.close()  # or the job's end would not close the pipe
        self.running[ours] = (job, process)
        if self.stopped:  # while it started
            process.terminate()

    def _collect(self) -> None:
        for ours in wait(list(self.running)):
            assert isinstance(ours, Connection)
            job, process = self.running.pop(ours)
            try:
                result = ours.recv()
            except EOFError:
                result = None
            process.join()
            ours.close()
            if result is not None:
                self._end(job, result)
            elif not self.stopped:
                self._end(job, Result(error=_death(process.exitcode)))

    def _end(self, job: Job, result: Result) -> None:
        self.results[job.key] = result
        self.progress.tell(job, result)


@contextmanager
def _unheard() -> Iterator[None]:
    """Have processes that start here never hear what a terminal sends to all: we tell them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, set(PASSED_ON) - {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        memory = ": out of memory?" if -code == signal.SIGKILL else ""
        return f"its process died of {signal.Signals(-code).name}{memory}"
    return f"its process ended with exit code {code}"


class Progress:
    """One line per job, with the time that is left.

    Args:
        total: Jobs to run.
        workers: How many run at a time.
        say: Gets the lines.
    """

    def __init__(self, total: int, workers: int, say: Say) -> None:
        self.total, self.workers, self.say = total, workers, say
        self.done = 0
        self.began = time.perf_counter()

    def tell(self, job: Job, result: Result) -> None:
        """Report a job that has ended."""
        self.done += 1
        elapsed = time.perf_counter() - self.began
        left = elapsed / self.done * (self.total - self.done)
        numbers = "  ".join(
            f"{name} {value:.3g}" for name, value in list(result.metrics.items())[:3]
        )
        outcome = f"FAILED: {result.error}" if result.error else numbers
        self.say(
            f"[{self.done:3}/{self.total}] {job.label}: {outcome}  "
            f"({result.wall_s:.0f} s, {left / 60:.1f} min left)"
        )


def _is_ready(job: Job, results: dict[str, Result]) -> bool:
    return all(need in results for need in job.needs)


def _blocked(job: Job, results: dict[str, Result]) -> Result | None:
    """Return the failure that a job inherits from what it needs, or None."""
    errors = [results[need].error for need in job.needs if need in results and results[need].error]
    return Result(error=f"what it needs has failed: {errors[0]}") if errors else None
