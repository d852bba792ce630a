"""Validity before verdict, on rows of a toy study."""

import json
from pathlib import Path

import pytest

from lit_synth.errors import InputError
from lit_synth.studies.expectations import Expectation
from lit_synth.studies.judging import examined, judged, late_change, quantity
from lit_synth.studies.listing import standing
from lit_synth.studies.plan import load_plan
from lit_synth.studies.results import read, rejudge

PUBLISHED = sorted(Path("docs/results").glob("*.json"))
SEEDS = list(range(8))
FACTS = {
    "ema": None,
    "lr": {"critic": 0.1, "generator": 0.1},
    "updates": {"critic": 9, "generator": 3},
    "images": 36,
    "batch_size": 4,
    "data": "Digits 0",
}
ARMS = {
    "a-1": {0: {"fid": 1.0, "kid": 5.0}, 1: {"fid": 2.0, "kid": 6.0}},
    "a-2": {0: {"fid": 3.0, "kid": 7.0}, 1: {"fid": 4.0, "kid": 8.0}},
    "b": {0: {"fid": 9.0, "kid": 1.0}, 1: {"fid": 5.0, "kid": 1.0}},
}
CONTROL = {"says": "c", "between": "scratch-5", "within": [0, 50], "metric": "fid"}


@pytest.fixture
def verdict(write_plan):
    """Return a function: the judged outcome of a plan, by how much better transfer is."""

    def of(gain=5.0, facts=None, rows=None, curves=None, **changes):
        changes = {"seeds": SEEDS, **changes}
        plan = load_plan(write_plan(**changes))
        arms = {
            arm: {
                str(seed): {"fid": 20 + seed - gain * arm.startswith("transfer")} for seed in SEEDS
            }
            for arm in plan.arms
        }
        outcome = {
            "arms": {**arms, **(rows or {})},
            "prepared": {},
            "facts": {arm: {**FACTS, **(facts or {}).get(arm, {})} for arm in arms},
            "curves": curves or {},
            "cards": {},
            "failures": {},
            "provenance": {"scale": "default"},
            "wall_s": 1.0,
        }
        return json.loads(json.dumps(judged(plan, outcome)))

    return of


def test_words_follow_the_primary_endpoint(verdict):
    supported = verdict()
    assert (supported["verdict"], supported["unequal"]) == ("supported", {})
    assert verdict(gain=-5.0)["verdict"] == "reversed"
    assert verdict(gain=0.0)["verdict"] == "undecided"
    primary = next(test for test in supported["tests"] if test["role"] == "primary")
    assert (primary["effect"], primary["p"], primary["p_holm"]) == (5.0, 2 / 256, None)
    assert primary["interval"] == [5.0, 5.0]


def test_secondary_expectations_are_corrected_within_the_study(verdict):
    first, second, primary = verdict()["tests"]
    assert [first["role"], second["role"], primary["role"]] == [*["secondary"] * 2, "primary"]
    assert first["p_holm"] == second["p_holm"] == pytest.approx(2 * 2 / 256)


def test_arms_that_differ_void(verdict):
    outcome = verdict(facts={"transfer-5": {"ema": "half-life 1 kimg"}})
    assert outcome["verdict"] == "void"
    assert "averaging of their weights (ema)" in outcome["because"][0]
    assert outcome["unequal"]["ema"] == {"transfer-5": "half-life 1 kimg", "scratch-5": None}


def test_a_failed_gate_voids(verdict):
    gate = [{"says": "good images", "between": "scratch-*", "within": [0, 9], "metric": "fid"}]
    outcome = verdict(gate=gate)
    assert outcome["verdict"] == "void"
    assert outcome["because"][0] == "the gate failed: good images (23.5, expected [0, 9])"
    assert outcome["gate"] == [
        {"says": "good images", "value": 23.5, "within": [0, 9], "holds": False}
    ]


def test_a_gate_on_what_is_prepared_fails_where_that_was_not_measured(verdict):
    gate = [{"says": "judge", "between": "prepare.source", "within": [0, 9], "metric": "accuracy"}]
    outcome = verdict(gate=gate)
    assert outcome["because"][0] == "the gate failed: judge (not measured, expected [0, 9])"


def test_without_a_gate_nothing_is_told(verdict):
    assert verdict(gate=[])["verdict"] == "void"


@pytest.mark.parametrize(("within", "word"), [([0, 50], "supported"), ([0, 22], "void")])
def test_a_failed_control_voids(verdict, write_plan, within, word):
    plan = load_plan(write_plan())
    primary = {"says": "p", "less": ["transfer-*", "scratch-*"], "metric": "fid", "role": "primary"}
    control = {**CONTROL, "within": within, "role": "control"}
    outcome = verdict(expects=[primary, control])
    assert outcome["verdict"] == word
    assert any("a control failed: c (23.5" in each for each in outcome["because"]) == (
        word == "void"
    )
    assert plan.expects


def test_a_failed_run_leaves_the_primary_undecided(verdict):
    rows = {"transfer-5": {str(seed): {"fid": 1.0} for seed in SEEDS[1:]}}
    outcome = verdict(rows=rows)
    assert outcome["verdict"] == "undecided"
    assert "have failed" in outcome["because"][0]


def test_seeds_that_were_tuned_on_do_not_count(verdict):
    outcome = verdict(seeds=SEEDS[2:], tuned_on=[0, 1])
    assert list(outcome["tests"][-1]["per_seed"]) == [str(seed) for seed in SEEDS[2:]]
    assert len(outcome["arms"]["scratch-5"]) == 8


def test_a_curve_that_still_falls_is_told(verdict):
    length = {"curve": "val/fid", "tolerance": 0.05, "how": "by the budget"}
    falling, flat = [[50, 9.0], [75, 6.0], [100, 4.0]], [[50, 9.0], [75, 4.1], [100, 4.0]]
    curves = {
        arm: {"0": {"val/fid": falling if arm == "scratch-5" else flat}}
        for arm in ("scratch-5", "scratch-50", "transfer-5", "transfer-50")
    }
    outcome = verdict(length=length, curves=curves)
    assert outcome["verdict"] == "supported"
    assert outcome["length"]["flat"]["scratch-5"] == -0.5
    assert "of 1 of 4 arms, by up to 50% (length: by the budget)" in outcome["because"][0]


def test_late_change_is_that_of_the_last_quarter():
    assert late_change([[0, 100.0], [40, 8.0], [80, 5.0], [100, 4.0]]) == -0.25


def test_an_outcome_of_another_form_or_study(verdict, write_plan):
    plan = load_plan(write_plan())
    with pytest.raises(InputError, match="of another form than this version writes"):
        judged(plan, {"arms": {}})
    outcome = {**verdict(), "arms": {"other": {}}}
    with pytest.raises(InputError, match=r"do not have the same arms \('other'\)"):
        judged(plan, outcome)


def test_a_term_averages_what_its_pattern_matches():
    assert quantity("a-*", "fid", ARMS, 0) == 2.0
    assert quantity("b - 2 * a-1:kid", "fid", ARMS, 1) == 5.0 - 12.0


def test_less_pairs_by_seed():
    told, gains = examined(Expectation("s", "fid", "less", ["a-*", "b"]), ARMS)
    assert gains == {0: 7.0, 1: 2.0}
    assert told.p == 2 / 4


def test_order_compares_means_over_seeds():
    terms = [["a-1", "a-2", "b"], ["a-1:kid", "a-2:kid", "b:kid"]]
    told, _ = examined(Expectation("s", "fid", "same_order", terms), ARMS)
    assert told.effect == pytest.approx(-0.5)


def test_every_published_study_is_here():
    assert len(PUBLISHED) == 24


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_results_are_judged_as_their_plans_say(path):
    published = read(path)
    plan = load_plan(f"configs/studies/{path.stem}.yaml", published["scale"])
    if published["provenance"]["plan"] != plan.sha256:  # to be run again, and said so
        assert "under an earlier plan" in standing(plan, path, Path("nowhere"), "cpu")
        return
    assert json.loads(json.dumps(rejudge(plan, published))) == published
    assert published["verdict"] == "void" or not published["unequal"]
