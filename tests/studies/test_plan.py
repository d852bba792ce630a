from pathlib import Path

import pytest

from lit_synth.errors import InputError
from lit_synth.studies.jobs import Jobs
from lit_synth.studies.plan import fill, load_plan, split_term

STUDIES = sorted(Path("configs/studies").glob("*.yaml"))


def test_every_study_is_here():
    assert len(STUDIES) == 9


@pytest.mark.parametrize("scale", ["default", "smoke", "gpu"])
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_expands_at_every_scale(path, scale):
    plan = load_plan(path, scale)
    jobs = Jobs(plan, plan.seeds, Path("runs"), "cpu")
    assert plan.id == path.stem
    assert len(plan.seeds) >= (1 if scale == "smoke" else 5)
    assert all("$" not in str(job.config) for job in jobs.in_order())


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_rivals_have_equal_batches_and_iterations(path):
    """Arms that train nothing on purpose are left out."""
    budgets = set()
    for job in Jobs(load_plan(path), [0], Path("runs"), "cpu").arms.values():
        stages = job[0].config["model"]["init_args"]["stages"]
        if stages[0]["name"] not in ("none", "nothing"):
            iterations = sum(stage["iterations"] for stage in stages)
            budgets.add((iterations, job[0].config["data"]["init_args"]["batch_size"]))
    assert len(budgets) == 1


def test_loops_make_arms_and_expectations(write_plan):
    plan = load_plan(write_plan())
    assert list(plan.arms) == ["scratch-5", "scratch-50", "transfer-5", "transfer-50"]
    assert plan.arms["transfer-50"].set["data.init_args.limit"] == 50
    assert [each.terms for each in plan.expects] == [
        ["transfer-5", "scratch-5"],
        ["transfer-50", "scratch-50"],
    ]


def test_fill_keeps_types_and_reaches_into_mappings():
    values = {"size": 5, "mix": {"two": 30}, "name": "low"}
    assert fill({"a": ["$size", "x-$mix.two"]}, values) == {"a": [5, "x-30"]}
    assert fill({"$size": "$prepare.$name"}, values) == {5: "$prepare.low"}
    assert fill("$seed", values) == "$seed"


def test_terms():
    assert split_term("a-b:fid - 2 * c-* + d", "kid") == [
        (1.0, "a-b", "fid"),
        (-2.0, "c-*", "kid"),
        (1.0, "d", "kid"),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expect": []}, "has the key 'expect'"),
        ({"common": {"a": "$sise"}}, r"uses \$sise"),
        ({"metrics": {"kid": "lower"}}, "names 'fid', not among the metrics"),
        ({"arms": {"x": {"config": "base.yaml", "sett": {}}}}, "has the key 'sett'"),
        (
            {"expects": [{"says": "s", "metric": "fid", "less": ["nobody", "scratch-5"]}]},
            "names the arm 'nobody'",
        ),
        ({"expects": [{"says": "s", "metric": "fid"}]}, "has 0 tests"),
    ],
)
def test_a_mistake_is_one_sentence(write_plan, change, message):
    with pytest.raises(InputError, match=message):
        load_plan(write_plan(**change))


def test_unknown_scale(write_plan):
    with pytest.raises(InputError, match="no scale 'huge': it has default, smoke"):
        load_plan(write_plan(), "huge")


def test_not_yaml(tmp_path):
    (tmp_path / "bad.yaml").write_text("id: [")
    with pytest.raises(InputError, match="cannot be read"):
        load_plan(tmp_path / "bad.yaml")
