"""Run the jobs of a study, several at a time, in worker processes that stay."""

import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from lit_synth.studies.jobs import Job, Jobs
from lit_synth.studies.worker import Result, finished, run_job, start_worker

Say = Callable[[str], None]
DIED = Result(error="its worker process, or another's, died: out of memory?")


def run_jobs(jobs: Jobs, workers: int, fresh: bool = False, say: Say = print) -> dict[str, Result]:
    """Run what is not done yet and return every job's result by key.

    A job that fails, or whose worker dies, has an error as its result; so has what needs it. The
    rest goes on. Failures are tried again by the next call.

    Args:
        jobs: All jobs of a study.
        workers: Processes; 0 runs everything in this one.
        fresh: Run everything again, whatever is there.
        say: Gets one line per job.
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
        Pool(todo, results, workers, progress).run()
    return results


class Pool:
    """Worker processes that import the training code once and then run job after job.

    Args:
        todo: Jobs in the order in which they should start.
        results: Result of each job by key; filled as jobs end.
        workers: How many run at a time.
        progress: Is told of each job that has ended.
    """

    def __init__(
        self, todo: list[Job], results: dict[str, Result], workers: int, progress: "Progress"
    ) -> None:
        self.todo, self.results, self.workers, self.progress = todo, results, workers, progress
        self.running: dict[Future[Result], Job] = {}
        # Workers inherit the environment; the thread count must stand before they import torch.
        os.environ["OMP_NUM_THREADS"] = "1"
        self.executor = self._executor()

    def run(self) -> None:
        """Run all jobs."""
        try:
            while self.todo or self.running:
                self._start_ready()
                if self.running:
                    self._collect()
        finally:
            self.executor.shutdown(cancel_futures=True)

    def _executor(self) -> ProcessPoolExecutor:
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.workers, mp_context=spawn, initializer=start_worker)

    def _start_ready(self) -> None:
        for job in list(self.todo):
            blocked = _blocked(job, self.results)
            if blocked:
                self.todo.remove(job)
                self._end(job, blocked)
            elif len(self.running) < self.workers and _is_ready(job, self.results):
                self.todo.remove(job)
                self.running[self.executor.submit(run_job, job)] = job

    def _collect(self) -> None:
        done, _ = wait(self.running, return_when=FIRST_COMPLETED)
        broken = any(isinstance(future.exception(), BrokenProcessPool) for future in done)
        if broken:  # takes every running job with it
            done, _ = wait(self.running)
            self.executor.shutdown()
            self.executor = self._executor()
        for future in done:
            job = self.running.pop(future)
            died = isinstance(future.exception(), BrokenProcessPool)
            self._end(job, DIED if died else future.result())

    def _end(self, job: Job, result: Result) -> None:
        self.results[job.key] = result
        self.progress.tell(job, result)


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
