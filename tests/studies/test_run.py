from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from json import dumps

import pytest

from lit_synth.studies import run
from lit_synth.studies.jobs import Jobs
from lit_synth.studies.plan import load_plan
from lit_synth.studies.worker import RESULT, Result


def silent(line):
    assert line


@pytest.fixture
def jobs(write_plan, tmp_path):
    return Jobs(load_plan(write_plan()), [0], tmp_path / "runs", "cpu")


class Executor:
    """Runs a job at once in this process, or pretends that its worker died."""

    def __init__(self, dies=""):
        self.dies, self.restarts = dies, 0

    def submit(self, function, job):
        future = Future()
        if job.label == self.dies:
            self.dies = ""
            future.set_exception(BrokenProcessPool())
        else:
            future.set_result(function(job))
        return future

    def shutdown(self, cancel_futures=False):
        self.restarts += not cancel_futures


@pytest.fixture
def ran(monkeypatch):
    """Labels of the jobs that were run, none of them really."""
    labels = []

    def pretend(job):
        labels.append(job.label)
        return Result({"fid": 1.0}, error="boom" if job.label == "prepare source" else "")

    monkeypatch.setattr(run, "run_job", pretend)
    return labels


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failure_is_inherited_and_the_rest_goes_on(jobs, ran, workers, monkeypatch):
    monkeypatch.setattr(run.Pool, "_executor", lambda _: Executor())
    lines = []
    results = run.run_jobs(jobs, workers, say=lines.append)
    assert sorted(ran) == ["prepare source", "scratch-5 seed 0", "scratch-50 seed 0"]
    assert results[jobs.arms["transfer-5"][0].key].error == "what it needs has failed: boom"
    assert results[jobs.arms["scratch-5"][0].key].metrics == {"fid": 1.0}
    assert sum("FAILED: boom" in line for line in lines) == 1
    assert len(lines) == 1 + jobs.total


def test_a_dead_worker_is_a_failure_and_is_replaced(jobs, ran, monkeypatch):
    executor = Executor(dies="scratch-5 seed 0")
    monkeypatch.setattr(run.Pool, "_executor", lambda _: executor)
    results = run.run_jobs(jobs, 1, say=silent)
    assert "died" in results[jobs.arms["scratch-5"][0].key].error
    assert executor.restarts == 1
    assert "scratch-50 seed 0" in ran


def test_what_is_done_is_not_run_again(jobs, ran):
    for job in jobs.in_order():
        job.folder.mkdir(parents=True)
        (job.folder / RESULT).write_text(dumps(asdict(Result({"fid": 7.0}))))
    results = run.run_jobs(jobs, 0, say=silent)
    assert ran == []
    assert {result.metrics["fid"] for result in results.values()} == {7.0}
    run.run_jobs(jobs, 0, fresh=True, say=silent)
    assert "prepare source" in ran
