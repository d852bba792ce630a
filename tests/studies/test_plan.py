from pathlib import Path

import pytest
import yaml

from lit_synth.errors import InputError
from lit_synth.studies.jobs import Jobs
from lit_synth.studies.plan import load_plan
from lit_synth.studies.terms import fill, split_term

PRIMARY = {"says": "s", "metric": "fid", "less": ["transfer-*", "scratch-*"], "role": "primary"}
GATE = {"says": "s", "metric": "fid", "between": "scratch-*", "within": [0, 1]}
STUDIES = sorted(Path("configs/studies").glob("*.yaml"))


def test_every_result_has_its_plan():
    results = {path.stem for path in Path("docs/results").glob("*.json")}
    assert results
    assert results <= {path.stem for path in STUDIES}


@pytest.mark.parametrize("scale", ["default", "smoke", "gpu"])
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_expands_at_every_scale(path, scale):
    plan = load_plan(path, scale)
    jobs = Jobs(plan, plan.seeds, Path("runs"), "cpu")
    assert plan.id == path.stem
    assert len(plan.seeds) >= (1 if scale == "smoke" else 5)
    assert all("$" not in str(job.config) for job in jobs.in_order())


def test_loops_make_arms_and_expectations(write_plan):
    plan = load_plan(write_plan())
    assert list(plan.arms) == ["scratch-5", "scratch-50", "transfer-5", "transfer-50"]
    assert plan.arms["transfer-50"].set["data.init_args.limit"] == 50
    assert [each.terms for each in plan.expects] == [
        ["transfer-5", "scratch-5"],
        ["transfer-50", "scratch-50"],
        ["transfer-*", "scratch-*"],
    ]


def test_eight_seeds_if_none_are_given(write_plan):
    path = write_plan()
    plan = yaml.safe_load(path.read_text())
    del plan["seeds"]
    path.write_text(yaml.safe_dump(plan))
    assert load_plan(path).seeds == list(range(8))


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
            {"expects": [{**PRIMARY, "less": ["nobody", "scratch-5"]}]},
            "names the arm 'nobody'",
        ),
        ({"expects": [{"says": "s", "metric": "fid"}]}, "has 0 tests"),
        ({"expects": []}, "0 expectations have the role primary"),
        ({"expects": [PRIMARY, PRIMARY]}, "2 expectations have the role primary"),
        ({"expects": [{**PRIMARY, "role": "first"}]}, "has role first: give primary, secondary"),
        ({"gate": [{**GATE, "role": "primary"}]}, "a gate has the key 'role'"),
        ({"gate": [{**GATE, "between": "prepare.x"}]}, "names the arm 'prepare.x'"),
        ({"tuned_on": [3]}, "was tuned on seed 3"),
        ({"compares": {"colour": "why"}}, "compares has the key 'colour'"),
        ({"compares": {"lr": None}}, "compares has lr: None: give the reason"),
        ({"trials": {"nobody": 1}}, "trials names the arm 'nobody'"),
        ({"length": {"curve": "val/fid"}}, "of another kind"),
        ({"prepare": {"x": {"config": "c.yaml", "seeds": 0}}}, "'x' has seeds: 0"),
        ({"arms": ["a"]}, "has arms: .*; expected names with values"),
        ({"arms": {"x": ["a"]}}, "'x' is .*: expected names with values"),
        ({"seeds": "three"}, "has seeds: 'three'; expected a list"),
        ({"id": 3}, "has id: 3; expected a text"),
        ({"expects": ["a < b"]}, "an expectation is 'a < b': expected names with values"),
        ({"scales": {"default": 1, "smoke": {}}}, "of another kind than a plan has there"),
        ({"expects": [{"metric": "fid", "less": ["a", "b"]}]}, "of another kind than a plan has"),
        ({"expects": [{**PRIMARY, "less": 3}]}, "of another kind"),
        ({"arms": {"x": {"config": "base.yaml", "for": {"n": 3}}}}, "of another kind"),
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
