"""Pages of results: they say what the JSON files say, and nothing else."""

import json
import re
from pathlib import Path

import pytest
from outcomes import fids, outcome_of

from lit_synth.studies.plan import load_plan
from lit_synth.studies.report import read_studies, render, write_report

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)#]+)\)")
GATE = [
    {
        "says": "scratch is measured",
        "metric": "fid",
        "between": "scratch-5",
        "within": [0, 100],
    }
]
BETTER = fids(scratch_5=20.06, scratch_50=18, transfer_5=10, transfer_50=9)


@pytest.fixture
def reported(write_plan, tmp_path):
    """Judge numbers by a plan, report, and return the text of both pages."""

    def report(arms=BETTER, changes=None, **plan_changes):
        plot = {"curve": "val/fid", "panels": {"all": ["*"]}, "title": "Does it help?"}
        plan_changes = {"gate": GATE, "plot": plot, "seeds": list(range(8)), **plan_changes}
        plan = load_plan(write_plan(**plan_changes))
        results = tmp_path / "results"
        results.mkdir(exist_ok=True)
        outcome = outcome_of(plan, arms, **(changes or {}))
        (results / "toy.json").write_text(json.dumps(outcome))
        assert write_report(tmp_path, results, tmp_path / "RESULTS.md") == ["toy"]
        return (tmp_path / "RESULTS.md").read_text(), (results / "toy.md").read_text()

    return report


def test_pages_are_those_of_the_committed_results():
    results = ROOT / "docs" / "results"
    found = read_studies(ROOT / "configs" / "studies", results)
    pages = render(found, results, ROOT / "docs" / "RESULTS.md")
    assert set(pages) - {ROOT / "docs" / "RESULTS.md"} == set(results.glob("*.md"))
    stale = [path.name for path, text in pages.items() if path.read_text() != text]
    assert not stale, "`lit-synth study report` writes them again"
    missing = [
        f"{path.name}: {link}"
        for path, text in pages.items()
        for link in LINK.findall(text)
        if "://" not in link and not (path.parent / link).is_file()
    ]
    assert not missing


def test_one_page_has_verdict_effect_picture_meaning_and_link(reported):
    one, _ = reported(means="Start from a source.")
    for expected in (
        "### Does it help?",
        "*Claim:* Transfer helps.",
        "**● Supported:** transfer is better (FID 9.85 against 19.4, difference 9.53 [9.53, 9.53], "
        "p 0.008, 8 seeds).",
        "](results/toy.png)",
        "](results/forest.png)",
        "**For you:** Start from a source.",
        "](results/toy.md)",
        "Of 1 studies: 1 supported.",
    ):
        assert expected in one


def test_the_side_that_should_be_better_comes_first(reported):
    accuracies = {
        arm: {seed: {"accuracy": row["fid"] / 100, "fid": 1.0} for seed, row in rows.items()}
        for arm, rows in BETTER.items()
    }
    expects = {
        "says": "scratch is more accurate",
        "less": ["transfer-*", "scratch-*"],
        "metric": "accuracy",
        "role": "primary",
    }
    one, _ = reported(accuracies, metrics={"accuracy": "higher", "fid": "lower"}, expects=[expects])
    assert "accuracy 0.194 against 0.0985, difference 0.0953" in one


def test_a_void_study_has_its_reason_and_no_effect(reported):
    one, page = reported(gate=[{**GATE[0], "within": [0, 1]}])
    assert "**✕ Void at this scale:** the gate failed: scratch is measured" in one
    assert "9.85 against" not in one
    assert "**Verdict: ✕ void** at this scale." in page
    assert "● supported" not in page
    assert "| scratch is measured | 20.4 | 0 to 1 | **failed** |" in page


def test_a_study_s_page_has_means_facts_and_provenance(reported):
    names = {"transfer-*": "TransferGAN, * images"}
    _, page = reported(
        changes={"failures": {"transfer-50 seed 4": "boom"}},
        plot={"curve": "val/fid", "panels": {"all": ["*"]}, "names": names},
        paper={"caption": "Table 1.", "columns": ["arm", "FID"], "rows": [["scratch", 99.5]]},
        notes=["Batch 8 was tried too."],
        compares={"lr": "rates were tuned"},
        length={"curve": "val/fid", "tolerance": 0.02, "how": "Twice as long changed nothing."},
    )
    for expected in (
        "| TransferGAN, 5 images | 8 | 10.3 [10.2, 10.5] |",
        "| transfer is better | FID ↓ | 9.53 [9.53, 9.53] | 0.008 | ● supported |",
        "In all arms: averaging of weights none; learning rates critic 0.0002;",
        "- Meant to differ: learning rates, rates were tuned",
        "Twice as long changed nothing. Over the last quarter of training, FID on validation may",
        "TransferGAN, 50 images -11%",
        "- transfer-50 seed 4: boom",
        "- extractor: judge",
        "| scratch 50; TransferGAN, 50 images | 8 |",
        "| scratch | 99.5 |",
        "- Batch 8 was tried too.",
        "2 core minutes",
        "abc (40 runs)",
        "[All results](../RESULTS.md)",
    ):
        assert expected in page
    assert "it was changed since" not in page


def test_a_page_says_that_the_plan_was_changed(reported, write_plan, tmp_path):
    reported()
    write_plan(claim="Transfer helps a lot.", gate=GATE)
    write_report(tmp_path, tmp_path / "results", tmp_path / "RESULTS.md")
    assert "it was changed since" in (tmp_path / "results" / "toy.md").read_text()


def test_seeds_are_in_the_json_alone(reported):
    _, page = reported()
    assert "[toy.json](toy.json)" in page
    assert "10.7" not in page  # one seed's
