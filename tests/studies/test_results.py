import json

import pytest

from lit_synth.studies.jobs import Jobs
from lit_synth.studies.plan import Expectation, load_plan
from lit_synth.studies.report import write_report
from lit_synth.studies.results import collect, judge, quantity, write
from lit_synth.studies.worker import Result

ARMS = {
    "a-1": {0: {"fid": 1.0, "kid": 5.0}, 1: {"fid": 2.0, "kid": 6.0}},
    "a-2": {0: {"fid": 3.0, "kid": 7.0}, 1: {"fid": 4.0, "kid": 8.0}},
    "b": {0: {"fid": 9.0, "kid": 1.0}, 1: {"fid": 5.0, "kid": 1.0}},
}


def test_a_term_averages_what_its_pattern_matches():
    assert quantity("a-*", "fid", ARMS, 0) == 2.0
    assert quantity("b - 2 * a-1:kid", "fid", ARMS, 1) == 5.0 - 12.0


def test_less_pairs_by_seed():
    verdict, gains = judge(Expectation("s", "fid", "less", ["a-*", "b"]), ARMS)
    assert gains == {0: 7.0, 1: 2.0}
    assert verdict.p == 1 / 4
    assert verdict.outcome == "mixed"


def test_order_compares_means_over_seeds():
    terms = [["a-1", "a-2", "b"], ["a-1:kid", "a-2:kid", "b:kid"]]
    verdict, _ = judge(Expectation("s", "fid", "same_order", terms), ARMS)
    assert verdict.statistic == pytest.approx(-0.5)


def test_a_failed_run_leaves_a_test_undone():
    arms = {**ARMS, "b": {0: ARMS["b"][0]}}
    verdict, _ = judge(Expectation("s", "fid", "less", ["a-1", "b"]), arms)
    assert verdict.outcome == "not tested"
    assert not verdict.holds


@pytest.fixture
def outcome(write_plan, tmp_path):
    changes = {
        "curves": ["val/fid"],
        "plot": {"curve": "val/fid", "panels": {"all": ["*"]}},
        "paper": {"caption": "Table 1.", "columns": ["arm", "FID"], "rows": [["scratch", 99.5]]},
        "notes": ["Batch 8 was tried too."],
        "seeds": [0, 1, 2, 3, 4],
    }
    jobs = Jobs(load_plan(write_plan(**changes)), [0, 1, 2, 3, 4], tmp_path / "runs", "cpu")

    def result(job):
        if job.label == "transfer-50 seed 4":
            return Result(error="boom")
        fid = float("transfer" not in job.label) * 10 + job.config["seed_everything"]
        size = job.config["data"]["init_args"].get("limit", 0)
        card = {"extractor": "judge", "seed": 0, "n_real": size}
        return Result({"fid": fid, "extra": 1.0}, card, {"val/fid": [[1, fid], [2, fid]]}, 60.0)

    collected = collect(jobs, {key: result(job) for key, job in jobs.by_key.items()}, "abc")
    return json.loads(json.dumps(collected))


def test_outcome_has_every_number_and_says_what_failed(outcome):
    assert set(outcome) >= {
        *("id", "claim", "source_tables", "scale", "arms", "tests", "cards"),
        *("revision", "wall_s", "notes"),
    }
    assert outcome["arms"]["scratch-5"]["3"] == {"fid": 13.0}
    assert outcome["failures"] == {"transfer-50 seed 4": "boom"}
    assert outcome["wall_s"] == 60.0 * 20
    small, large = outcome["tests"]
    assert (small["p"], small["holds"], small["verdict"]) == (1 / 32, True, "holds")
    assert (large["p"], large["holds"], large["verdict"]) == (None, False, "not tested")
    assert outcome["verdict"] == "not tested"
    assert outcome["cards"]["common"] == {"extractor": "judge"}
    assert outcome["cards"]["differ"]["scratch-50"] == {"n_real": 50}


def test_report_shows_all_of_it(outcome, tmp_path):
    write(tmp_path / "results" / "toy.json", outcome)
    assert write_report(tmp_path, tmp_path / "results", tmp_path / "RESULTS.md") == ["toy"]
    text = (tmp_path / "RESULTS.md").read_text()
    for expected in (
        "| [toy](#toy) | Transfer helps. | not tested |",
        "| scratch-5 | 5 | 12 ± 1.6 |",
        "| transfer is better with 5 | fid | 10 | 10 10 10 10 10 | 0.031 | **holds** |",
        "- transfer-50 seed 4: boom",
        "| scratch-5 | 3 | 13 |",
        "- extractor: judge",
        "The paper, at another scale",
        "| scratch | 99.5 |",
        "- Batch 8 was tried too.",
        "![toy](results/toy.png)",
    ):
        assert expected in text
    assert "The plan was changed" not in text
    assert (tmp_path / "results" / "toy.png").stat().st_size > 1000


def test_report_says_that_the_plan_was_changed(outcome, tmp_path, write_plan):
    write(tmp_path / "results" / "toy.json", outcome)
    write_plan(claim="Transfer helps a lot.")
    write_report(tmp_path, tmp_path / "results", tmp_path / "RESULTS.md")
    assert "The plan was changed after these runs" in (tmp_path / "RESULTS.md").read_text()


def test_notes_and_looks_are_not_part_of_the_plan(write_plan):
    plain = load_plan(write_plan()).sha256
    assert load_plan(write_plan(notes=["later"], plot={"curve": "x"})).sha256 == plain
    assert load_plan(write_plan(seeds=[0])).sha256 != plain
    assert load_plan(write_plan(), "smoke").sha256 != plain
