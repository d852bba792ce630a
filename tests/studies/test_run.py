import os
import signal
import sys
from dataclasses import asdict
from json import dumps

import pytest
import study_work

from lit_synth.studies import run
from lit_synth.studies.jobs import Jobs
from lit_synth.studies.plan import load_plan
from lit_synth.studies.worker import RESULT, Result


def silent(line):
    assert line


@pytest.fixture
def jobs(write_plan, tmp_path):
    return Jobs(load_plan(write_plan()), [0], tmp_path / "runs", "cpu")


@pytest.fixture
def ran(monkeypatch):
    """Labels of the jobs that were run, none of them really."""
    labels = []

    def pretend(job):
        labels.append(job.label)
        return Result({"fid": 1.0}, error="boom" if job.label == "prepare source" else "")

    monkeypatch.setattr(run, "run_job", pretend)
    return labels


def test_a_failure_is_inherited_and_the_rest_goes_on(jobs, ran):
    lines = []
    results = run.run_jobs(jobs, 0, say=lines.append)
    assert sorted(ran) == ["prepare source", "scratch-5 seed 0", "scratch-50 seed 0"]
    assert results[jobs.arms["transfer-5"][0].key].error == "what it needs has failed: boom"
    assert results[jobs.arms["scratch-5"][0].key].metrics == {"fid": 1.0}
    assert sum("FAILED: boom" in line for line in lines) == 1
    assert len(lines) == 1 + jobs.total


def test_each_job_is_forked_from_one_process_that_has_imported_everything(jobs, monkeypatch):
    monkeypatch.setattr(run, "work", study_work.pretend)
    results = run.run_jobs(jobs, 2, say=silent)
    assert results[jobs.arms["transfer-5"][0].key].error == "what it needs has failed: boom"
    ran = [result.metrics for result in results.values() if result.metrics]
    assert len(ran) == 3
    assert all(each["warm"] for each in ran)
    assert len({each["pid"] for each in ran}) == 3
    (server,) = {each["parent"] for each in ran}
    assert server != os.getpid()


def test_a_job_whose_process_dies_takes_no_other_with_it(jobs, monkeypatch):
    monkeypatch.setattr(run, "work", study_work.die)
    results = run.run_jobs(jobs, 2, say=silent)
    died = results.pop(jobs.arms["scratch-5"][0].key)
    assert died.error == "its process ended with exit code 3"
    assert {result.error for result in results.values()} == {""}
    assert len(results) == jobs.total - 1


def test_jobs_share_what_is_prepared_once(jobs, monkeypatch):
    monkeypatch.setattr(run, "work", study_work.make_release)
    results = run.run_jobs(jobs, 2, say=silent)
    source, *arms = (results[job.key].metrics["made_by"] for job in jobs.in_order())
    assert arms == [0, 0, source, source]


def test_what_a_job_says_is_in_its_folder_and_its_mistake_is_its_result(jobs):
    results = run.run_jobs(jobs, 2, say=silent)
    scratch = jobs.arms["scratch-5"][0]
    assert "InputError" in results[scratch.key].error
    assert "Traceback" in (scratch.folder / "log.txt").read_text()


def test_a_study_that_is_stopped_stops_its_jobs_and_goes_on_later(jobs, monkeypatch, capfd):
    monkeypatch.setattr(run, "work", study_work.ask_to_stop)
    before = signal.getsignal(signal.SIGTERM)
    lines = []
    with pytest.raises(SystemExit) as stop:
        run.run_jobs(jobs, 2, say=lines.append)
    assert stop.value.code == 128 + signal.SIGTERM
    assert len(lines) == 1  # no job has failed
    assert "stopped by SIGTERM with 0 of 5 runs done" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before
    monkeypatch.setattr(run, "work", study_work.make_release)
    assert len(run.run_jobs(jobs, 2, say=silent)) == jobs.total


@pytest.mark.parametrize(
    ("accelerator", "system", "method"),
    [("cpu", "linux", "forkserver"), ("gpu", "linux", "spawn"), ("cpu", "darwin", "spawn")],
)
def test_only_a_process_that_bears_it_is_forked(accelerator, system, method, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    assert run.context_for(accelerator).get_start_method() == method


def test_what_is_done_is_not_run_again(jobs, ran):
    for job in jobs.in_order():
        job.folder.mkdir(parents=True)
        (job.folder / RESULT).write_text(dumps(asdict(Result({"fid": 7.0}))))
    results = run.run_jobs(jobs, 0, say=silent)
    assert ran == []
    assert {result.metrics["fid"] for result in results.values()} == {7.0}
    run.run_jobs(jobs, 0, fresh=True, say=silent)
    assert "prepare source" in ran
