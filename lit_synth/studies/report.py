"""`docs/RESULTS.md`: every study's claim, numbers, verdicts, and the paper's numbers apart."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from lit_synth.studies import pictures
from lit_synth.studies.plan import Plan, load_plan

INTRODUCTION = """\
# Results

Written by `lit-synth study report` from `docs/results/*.json`; change those by running studies.

Each study takes a claim of a paper's table and states in `configs/studies/<id>.yaml`, written
before its runs, what must hold and how that is tested. Our runs are of another scale (small images,
minutes of two cores), so the papers' numbers stand apart, as context: only orderings and effects
are compared, never values.

- Numbers are means over seeds, with their standard deviation, of the last checkpoint on the test
  split. A seed sets weights, order of data and noise; what is prepared (sources, judges) is shared
  by all seeds unless the protocol says otherwise, so p-values speak about training on the target.
- An ordering is tested by a paired exact sign-flip test over seeds, one-sided in the stated
  direction. It holds if p <= .05; with five seeds that takes all five (p = 1/32). An order of
  sources is tested by an exact permutation test. A range holds if every seed lies in it. There is
  no correction for several expectations.
- *holds*: passes its test. *mixed*: the mean agrees, the test does not pass. *does not hold*: the
  mean disagrees. *not tested*: a run has failed. A study is mixed if its expectations differ.
  Controls check the experiment, and do not count for the study's verdict.
"""


def write_report(studies: Path, results: Path, report: Path) -> list[str]:
    """Render all results that there are.

    Args:
        studies: Folder of the plans.
        results: Folder of the JSON files; the pictures go there too.
        report: The Markdown file.

    Returns:
        Ids of the studies in it.
    """
    sections, rows = [], []
    for path in sorted(results.glob("*.json")):
        outcome = json.loads(path.read_text())
        plan = load_plan(studies / f"{path.stem}.yaml", outcome["scale"])
        rows.append([f"[{plan.id}](#{plan.id})", plan.claim, outcome["verdict"]])
        sections.append(_section(plan, outcome, results, report.parent))
    report.parent.mkdir(parents=True, exist_ok=True)
    summary = _table(["study", "claim", "verdict"], rows)
    report.write_text("\n\n".join([INTRODUCTION.rstrip(), summary, *sections]) + "\n")
    return [path.stem for path in sorted(results.glob("*.json"))]


def _section(plan: Plan, outcome: Mapping[str, Any], results: Path, root: Path) -> str:
    claims = [test for test in outcome["tests"] if not test["control"]]
    controls = [test for test in outcome["tests"] if test["control"]]
    parts = [
        f"## {plan.id}",
        f"**{plan.claim}** Verdict: **{outcome['verdict']}**.",
        f"Paper: {', '.join(plan.source_tables)}. {_numbers_of(plan, outcome)}",
        plan.protocol.strip(),
        _arms(plan, outcome),
        *_pictures(plan, outcome, results, root),
        _tests("expectation", claims),
        *([_tests("control", controls)] if controls else []),
        *(_bullets("Failed runs", [f"{k}: {v}" for k, v in outcome["failures"].items()])),
        *(_bullets("Notes", plan.notes)),
        _folded("Every seed", _every_seed(plan, outcome)),
        _folded("How it was measured", _cards(outcome["cards"])),
    ]
    if plan.paper:
        parts.append(_folded("The paper, at another scale", _paper(plan.paper)))
    return "\n\n".join(parts)


def _numbers_of(plan: Plan, outcome: Mapping[str, Any]) -> str:
    changed = (
        "" if outcome["plan"] == plan.sha256 else " **The plan was changed after these runs.**"
    )
    return (
        f"Scale: {outcome['scale']}; {outcome['wall_s'] / 60:.0f} core minutes; "
        f"revision {outcome['revision']}.{changed}"
    )


def _arms(plan: Plan, outcome: Mapping[str, Any]) -> str:
    arrows = {"lower": " ↓", "higher": " ↑", "neither": ""}
    measured = _measured(plan, outcome)
    head = ["arm", "seeds", *(f"{name}{arrows[plan.metrics[name]]}" for name in measured)]
    rows = [
        [
            arm,
            str(len(by_seed)),
            *(_spread([v[m] for v in by_seed.values() if m in v]) for m in measured),
        ]
        for arm, by_seed in outcome["arms"].items()
    ]
    return _table(head, rows)


def _measured(plan: Plan, outcome: Mapping[str, Any]) -> list[str]:
    there = {name for by in outcome["arms"].values() for values in by.values() for name in values}
    return [name for name in plan.metrics if name in there]


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    return f"{mean(values):.3g} ± {stdev(values):.2g}" if len(values) > 1 else f"{values[0]:.3g}"


def _pictures(plan: Plan, outcome: Mapping[str, Any], results: Path, root: Path) -> list[str]:
    files = [results / f"{plan.id}.png", results / f"{plan.id}-samples.png"]
    if "panels" in plan.plot:
        pictures.draw(outcome, plan.plot, files[0])
    return [f"![{file.stem}]({file.relative_to(root)})" for file in files if file.is_file()]


def _tests(kind: str, tests: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        [
            test["expects"],
            test["metric"],
            "" if test["statistic"] is None else f"{test['statistic']:.3g}",
            " ".join(f"{value:.3g}" for value in test["per_seed"].values()),
            "" if test["p"] is None else f"{test['p']:.3f}",
            f"**{test['verdict']}**",
        ]
        for test in tests
    ]
    return _table([kind, "metric", "mean", "by seed", "p", "verdict"], rows)


def _every_seed(plan: Plan, outcome: Mapping[str, Any]) -> str:
    measured = _measured(plan, outcome)
    rows = [
        [arm, seed, *(f"{values[m]:.4g}" if m in values else "" for m in measured)]
        for arm, by_seed in outcome["arms"].items()
        for seed, values in by_seed.items()
    ]
    return _table(["arm", "seed", *measured], rows)


def _cards(cards: Mapping[str, Any]) -> str:
    lines = [f"- {key}: {value}" for key, value in cards["common"].items()]
    if cards["differ"]:
        lines.append("- These differ, so compare such arms with care:")
        for arm, card in cards["differ"].items():
            lines.append(f"  - {arm}: {', '.join(f'{key} {value}' for key, value in card.items())}")
    return "\n".join(lines)


def _paper(paper: Mapping[str, Any]) -> str:
    rows = [[str(cell) for cell in row] for row in paper["rows"]]
    return f"{paper['caption']}\n\n{_table(paper['columns'], rows)}"


def _bullets(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{title}:\n\n" + "\n".join(f"- {line}" for line in lines)] if lines else []


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"
