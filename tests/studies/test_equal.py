"""Facts of arms against numbers counted by hand, and what is refused."""

from pathlib import Path

import pytest
import yaml

from lit_synth.errors import InputError
from lit_synth.studies.equal import comparable, facts_of_arms, refuse_unequal, unequal
from lit_synth.studies.jobs import Jobs
from lit_synth.studies.plan import load_plan

EMA = {"trainer.callbacks": [{"class_path": "EMA", "init_args": {"half_life_kimg": 2.0}}]}


def jobs_of(path, scale="default"):
    plan = load_plan(path, scale)
    return Jobs(plan, plan.seeds[:1], Path("runs"), "cpu")


@pytest.fixture
def planned(write_plan):
    """Return a function: a plan whose transfer arms have more settings, and its facts."""

    def plan_with(more, **changes):
        path = write_plan(**changes)
        plan = yaml.safe_load(path.read_text())
        plan["arms"]["transfer-$size"]["set"] |= more
        path.write_text(yaml.safe_dump(plan))
        jobs = jobs_of(path)
        return jobs.plan, facts_of_arms(jobs)

    return plan_with


@pytest.mark.parametrize(
    ("name", "arm", "facts"),
    [
        # 400 iterations of the critic, then 200; the miners step at every third of all 600.
        (
            "mine-vehicles",
            "minegan-30",
            {
                "ema": None,
                "lr": {"miner": 2e-3, "critic": 1e-3, "generator": 2e-4},
                "updates": {"critic": 600, "generator": 200},
                "images": 600 * 32,
                "batch_size": 32,
            },
        ),
        (
            "mine-vehicles",
            "mined-30",
            {"lr": {"miner": 2e-3, "critic": 1e-3}},
        ),  # generators are frozen
        (
            "mine-vehicles",
            "transfer-car-30",
            {
                "ema": "half-life 5 kimg, ramp-up 0.05",
                "lr": {"critic": 1e-3, "generator": 1e-3},
                "updates": {"critic": 600, "generator": 200},
            },
        ),
        (
            "mine-vehicles",
            "scratch-30",
            {"ema": None, "updates": {"critic": 600, "generator": 200}},
        ),
        ("mine-few", "vae-25", {"updates": {"generator": 2000}}),
        (
            "udit-bias",
            "bags-colour-munit",
            {
                "ema": "half-life 1 kimg, ramp-up 0.05",
                "lr": {"critic": 5e-4, "generator": 5e-4},
                "updates": {"critic": 1200, "generator": 1200},
                "images": 2400,
                "batch_size": 2,
            },
        ),
        ("udit-bias", "bags-colour-udit", {"updates": {"critic": 1200, "generator": 1200}}),
        # The content critic steps in each of 2,400 iterations, the others in every third.
        (
            "udit-bias",
            "bags-colour-drit",
            {"updates": {"content_critic": 2400, "critic": 800, "generator": 800}},
        ),
        # 200 iterations of copying, by the generator alone, and 700 of the game.
        (
            "sdit-ablation",
            "full",
            {"updates": {"generator": 900, "critic": 700}, "images": 1800, "batch_size": 2},
        ),
        (
            "sdit-domains",
            "icgan",
            {"updates": {"critic": 1000, "generator": 1000, "encoder": 500}},
        ),
        # 500 iterations after the 1,000 + 1,000 of the runs that it goes on from, at half the rate.
        (
            "mm-pseudo-pairs",
            "none-pp",
            {"updates": {"generator": 2500}, "images": 2500 * 16, "lr": {"generator": 1e-3}},
        ),
        ("mine-speed", "dgn-am", {"updates": {}, "lr": {}}),
    ],
)
def test_facts_are_those_counted_by_hand(name, arm, facts):
    found = facts_of_arms(jobs_of(f"configs/studies/{name}.yaml"))[arm]
    assert {key: found[key] for key in facts} == facts


def test_a_plan_whose_arms_differ_in_ema_is_refused(planned):
    plan, facts = planned(EMA)
    with pytest.raises(
        InputError,
        match=r"\(ema\).* scratch-5 has none, transfer-5 has half-life 2 kimg.* name 'ema' in comp",
    ):
        refuse_unequal(plan, facts)


def test_it_passes_where_ema_is_what_is_compared(planned):
    refuse_unequal(*planned(EMA, compares={"ema": "the average is what is compared"}))


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("lr", "model.init_args.lr", 0.5),
        ("updates", "model.init_args.n_critic", 1),
        ("images", "model.init_args.stages", [{"name": "train", "iterations": 99}]),
        ("batch_size", "data.init_args.batch_size", 5),
        ("data", "data.init_args.classes", [1, 2]),
    ],
)
def test_any_other_difference_is_told(planned, name, setting, value):
    assert name in unequal(*planned({setting: value}))


def test_trials_that_differ_are_refused(planned):
    plan, facts = planned({}, trials={"transfer-*": 6, "*": 1})
    with pytest.raises(InputError, match=r"\(trials\).* scratch-5 has 1, transfer-5 has 6"):
        refuse_unequal(plan, facts)


def test_equal_arms_are_comparable_and_pooled_sides_need_the_same_values(planned):
    plan, facts = planned({})
    assert unequal(plan, facts) == {}  # though sizes of one side differ from each other
    small, large = facts["scratch-5"], facts["scratch-50"]
    assert comparable([small, large], [large, small]) == []
    assert comparable([small], [large]) == ["data"]


def test_what_was_not_run_yet_is_equal():
    paths = [
        path
        for path in sorted(Path("configs/studies").glob("*.yaml"))
        if not Path(f"docs/results/{path.stem}.json").is_file()
    ]
    for path in paths:
        jobs = jobs_of(path)
        refuse_unequal(jobs.plan, facts_of_arms(jobs))


def test_an_arm_that_trains_nothing_may_be_what_it_is(planned):
    assert unequal(*planned({**EMA, "model.init_args.lr": 0.0})) == {}


def test_stages_that_are_none(planned):
    with pytest.raises(InputError, match="transfer-5 seed 0 has stages that are none"):
        planned({"model.init_args.stages": [{"nam": "train"}]})
