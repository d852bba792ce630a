import json

import pytest

from lit_synth.errors import InputError
from lit_synth.studies.jobs import Jobs
from lit_synth.studies.plan import load_plan
from lit_synth.studies.results import collect, read, rejudge, with_history
from lit_synth.studies.worker import Result


@pytest.fixture
def outcome(write_plan, tmp_path):
    changes = {
        "curves": ["val/fid"],
        "plot": {"curve": "val/fid", "panels": {"all": ["*"]}},
        "paper": {"caption": "Table 1.", "columns": ["arm", "FID"], "rows": [["scratch", 99.5]]},
        "notes": ["Batch 8 was tried too."],
        "seeds": [0, 1, 2, 3, 4],
        "gate": [{"says": "good", "between": "prepare.source", "within": [0, 99], "metric": "fid"}],
    }
    jobs = Jobs(load_plan(write_plan(**changes)), [0, 1, 2, 3, 4], tmp_path / "runs", "cpu")

    def result(job):
        if job.label == "transfer-50 seed 4":
            return Result(error="boom")
        fid = float("transfer" not in job.label) * 10 + job.config["seed_everything"]
        size = job.config["data"]["init_args"].get("limit", 0)
        card = {"extractor": "judge", "seed": 0, "n_real": size}
        revision = "def" if "scratch-50" in job.label else "abc"
        curves = {"val/fid": [[1, fid], [2, fid]]}
        metrics = {"fid": fid, "extra": 1.0}
        return Result(metrics, card, curves, 60.0, revision=revision, machine={"cpu": "fast"})

    return json.loads(json.dumps(collect(jobs, {k: result(j) for k, j in jobs.by_key.items()})))


def test_outcome_has_every_number_and_says_what_failed(outcome):
    assert outcome["arms"]["scratch-5"]["3"] == {"fid": 13.0}
    assert outcome["failures"] == {"transfer-50 seed 4": "boom"}
    assert outcome["wall_s"] == 60.0 * 20
    small, large, primary = outcome["tests"]
    assert (small["p"], small["effect"], small["verdict"]) == (2 / 32, 10.0, "undecided")
    assert large["effect"] is primary["effect"] is None
    assert outcome["verdict"] == "undecided"
    assert outcome["cards"]["common"] == {"extractor": "judge"}
    assert outcome["cards"]["differ"]["scratch-50"] == {"n_real": 50}


def test_provenance_is_that_of_the_runs(outcome):
    told = outcome["provenance"]
    assert told["revisions"] == {"abc": 15, "def": 5}
    assert told["machine"] == {"cpu": "fast"}
    assert list(told["world"]) == ["Digits"]
    assert outcome["facts"]["transfer-5"]["updates"] == {"critic": 9, "generator": 3}
    assert outcome["prepared"] == {"source": {"0": {"fid": 10.0}}}


def test_a_changed_plan_keeps_its_history(outcome, write_plan):
    plan = load_plan(write_plan(seeds=[0, 1, 2, 3, 4], gate=[]))
    again = rejudge(plan, outcome)
    assert again["verdict"] == "void"
    assert again["arms"] == {
        arm: {int(seed): row for seed, row in by.items()} for arm, by in outcome["arms"].items()
    }
    (entry,) = again["history"]
    assert entry == {
        "plan": outcome["provenance"]["plan"],
        "scale": "default",
        "verdict": "undecided",
        "because": outcome["because"],
        "revisions": {"abc": 15, "def": 5},
    }
    assert rejudge(plan, again)["history"] == [entry]  # the same of the same is no news
    assert with_history(outcome, again)["history"][-1]["verdict"] == "void"


def test_a_file_that_is_no_result(tmp_path):
    path = tmp_path / "toy.json"
    assert read(path) is None
    for text, message in (("{", "is not JSON"), ("[1]", "is not the result of a study")):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read(path)


def test_notes_and_looks_are_not_part_of_the_plan(write_plan):
    plain = load_plan(write_plan()).sha256
    assert load_plan(write_plan(notes=["later"], plot={"curve": "x"})).sha256 == plain
    assert load_plan(write_plan(seeds=[0])).sha256 != plain
    assert load_plan(write_plan(), "smoke").sha256 != plain
