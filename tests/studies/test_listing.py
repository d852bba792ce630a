import json
from dataclasses import asdict

import pytest

from lit_synth.studies import listing
from lit_synth.studies.jobs import Jobs
from lit_synth.studies.listing import standing
from lit_synth.studies.plan import load_plan
from lit_synth.studies.worker import RESULT, Result


@pytest.fixture
def plan(write_plan):
    """Four arms with two seeds each."""
    return load_plan(write_plan(seeds=[0, 1]))


def write_result(plan, path, **changes):
    arms = {arm: {seed: {"fid": 1.0} for seed in plan.seeds} for arm in plan.arms}
    outcome = {"verdict": "supported", "scale": "default", "arms": arms}
    outcome |= {"provenance": {"plan": plan.sha256}}
    path.write_text(json.dumps(outcome | changes))


def told(plan, folder):
    return standing(plan, folder / "toy.json", folder / "runs", "cpu")


def test_a_committed_result_is_counted_without_naming_its_run_folders(plan, tmp_path, monkeypatch):
    write_result(plan, tmp_path / "toy.json")
    monkeypatch.setattr(listing, "Jobs", None)
    assert told(plan, tmp_path) == "supported: 8 of 8 runs done"


def test_what_a_result_lacks_may_be_in_its_run_folder(plan, tmp_path):
    assert told(plan, tmp_path) == "not judged yet: 0 of 8 runs done"
    write_result(plan, tmp_path / "toy.json", arms={"scratch-5": {"0": {"fid": 1.0}}})
    arms = Jobs(plan, plan.seeds, tmp_path / "runs", "cpu").arms
    for job in (arms["scratch-5"][0], arms["transfer-5"][1]):
        job.folder.mkdir(parents=True)
        (job.folder / RESULT).write_text(json.dumps(asdict(Result({"fid": 1.0}))))
    assert told(plan, tmp_path) == "supported: 2 of 8 runs done"


def test_numbers_of_another_plan_or_scale_do_not_count(plan, tmp_path):
    write_result(plan, tmp_path / "toy.json", provenance={"plan": "another"})
    assert told(plan, tmp_path) == "supported under an earlier plan: 0 of 8 runs done"
    write_result(plan, tmp_path / "toy.json", scale="gpu")
    assert told(plan, tmp_path) == "not judged yet: 0 of 8 runs done"
