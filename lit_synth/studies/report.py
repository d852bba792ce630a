"""`docs/RESULTS.md`: all studies on one page, with a forest plot; each has a page of its own."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lit_synth.studies import forest, pictures, samples
from lit_synth.studies.markdown import capital, picture, probability, with_interval
from lit_synth.studies.names import SHAPES, title_of
from lit_synth.studies.plan import Plan, load_plan
from lit_synth.studies.results import read
from lit_synth.studies.study_page import FACTS, page_of

INTRODUCTION = """\
# Results

A study asks whether a claim of a paper holds here. Its plan, `configs/studies/<id>.yaml`, is
written before its runs: the arms, which train under equal conditions, the seeds, one *primary
endpoint*, *controls* that must come out as known, and a *gate*: what has to be good enough
(sources, judges) before anything can be told. Our images have 16 to 64 pixels and our runs take
minutes, so orderings and effects are compared with the papers, never values.

An effect is a mean over seeds with its 95 % bootstrap interval. An ordering is tested by exact
paired sign flips over seeds, two-sided, at .05 ([how a study decides](studies.md)).

- **● supported**: the primary endpoint is as claimed, and not by chance.
- **◆ reversed**: the opposite is, and not by chance.
- **□ undecided**: these seeds and settings cannot tell, neither for the claim nor against it.
- **✕ void** at this scale: arms were not equal, or a control or the gate failed or is missing, so
  that the numbers cannot speak about the claim. They stay on the study's page."""
GROUPS = {
    "transfer": "Transferring GANs",
    "mine": "MineGAN",
    "mm": "Mix-and-Match Networks",
    "sdit": "SDIT",
    "udit": "UDIT",
}
FOREST = "forest.png"


@dataclass(frozen=True)
class Study:
    """A study that has a result.

    Attributes:
        plan: What was planned, at the scale of the result.
        outcome: Its result.
        plot: File of its plot, whether or not it is there; None if the plan asks for none.
        samples: File of its sample pictures; None if there is none.
    """

    plan: Plan
    outcome: dict[str, Any]
    plot: Path | None
    samples: Path | None


def write_report(studies: Path, results: Path, report: Path) -> list[str]:
    """Write the page of all results, a page a study, and their plots.

    Args:
        studies: Folder of the plans.
        results: Folder of the JSON files; pages and pictures of studies go there too.
        report: The page of all results.

    Returns:
        Ids of the studies in it.
    """
    found = read_studies(studies, results)
    for path, text in render(found, results, report).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for study in found:
        if study.plot:
            pictures.draw(study.plan, study.outcome, study.plot)
    if found:
        rows = {
            title: [forest.row_of(study.plan, study.outcome) for study in group]
            for title, group in _grouped(found).items()
        }
        forest.draw_forest(rows, results / FOREST)
    return [study.plan.id for study in found]


def read_studies(studies: Path, results: Path) -> list[Study]:
    """Return all studies that have a result."""
    found = []
    for path in sorted(results.glob("*.json")):
        outcome = read(path)
        if outcome is None:
            continue
        plan = load_plan(studies / f"{path.stem}.yaml", outcome["scale"])
        plot = results / f"{plan.id}.png" if pictures.panels_of(plan, outcome) else None
        shown = results / f"{plan.id}-samples.png"
        found.append(Study(plan, outcome, plot, shown if shown.is_file() else None))
    return found


def render(found: Sequence[Study], results: Path, report: Path) -> dict[Path, str]:
    """Return the text of every page: of all results, and of each study."""
    home = os.path.relpath(report, results)
    pages = {
        results / f"{study.plan.id}.md": page_of(
            study.plan, study.outcome, _pictures(study, results), home
        )
        for study in found
    }
    return {report: _one_page(found, results, report.parent), **pages}


def _one_page(found: Sequence[Study], results: Path, root: Path) -> str:
    parts = [INTRODUCTION]
    if found:
        counts = Counter(study.outcome["verdict"] for study in found)
        listed = ", ".join(f"{counts[word]} {word}" for word in counts)
        parts.append(f"Of {len(found)} studies: {listed}.")
        caption = (
            "Primary endpoint of each study, with its 95 % interval. Grey bars reach from the "
            "floor to the ceiling of the metric, where both are known; void studies are grey."
        )
        parts.append(picture(os.path.relpath(results / FOREST, root), caption))
    for title, group in _grouped(found).items():
        parts += [f"## {title}", *(_section(study, results, root) for study in group)]
    return "\n\n".join(parts) + "\n"


def _grouped(found: Sequence[Study]) -> dict[str, list[Study]]:
    """Return studies by the method that they are about, in the order of the papers."""
    groups: dict[str, list[Study]] = {}
    for prefix in [*GROUPS, ""]:
        for study in found:
            named = study.plan.id.partition("-")[0]
            if named == prefix or (not prefix and named not in GROUPS):
                groups.setdefault(GROUPS.get(prefix, "Others"), []).append(study)
    return groups


def _section(study: Study, results: Path, root: Path) -> str:
    plan, outcome = study.plan, study.outcome
    page = os.path.relpath(results / f"{plan.id}.md", root)
    shown = _pictures(study, root)
    parts = [
        f"### {title_of(plan.id, plan.plot)}",
        f"*Claim:* {outcome['claim']}",
        verdict_of(plan, outcome),
        *shown[:1],
        *([f"**For you:** {plan.means}"] if plan.means else []),
        f"[Protocol, arms, tests, history: {plan.id}]({page})",
    ]
    return "\n\n".join(parts)


def verdict_of(plan: Plan, outcome: Mapping[str, Any]) -> str:
    """Return a study's verdict in words, with the effect of its primary endpoint."""
    word, because = outcome["verdict"], "; ".join(_reasons(outcome))
    if word == "void":
        return f"**{SHAPES[word]} Void at this scale:** {because}."
    test = forest.primary_of(outcome)
    p = f", p {probability(test['p'])}" if test["p"] is not None else ""
    effect = with_interval(test["effect"], test["interval"])
    expectation = next((each for each in plan.expects if each.says == test["expects"]), None)
    sides = forest.sides_of(expectation, outcome) if expectation else None
    values = (
        f"{forest.against(sides, plan.metrics.get(test['metric'], ''))}, difference {effect}"
        if sides
        else effect
    )
    measured = f"{forest.measure_of(test, plan)} {values}{p}, {len(test['per_seed'])} seeds"
    told = f" {capital(because)}." if because else ""
    return f"**{SHAPES[word]} {capital(word)}:** {test['expects']} ({measured}).{told}"


def _reasons(outcome: Mapping[str, Any]) -> list[str]:
    """Return why a verdict is what it is; of unequal arms only in what they differ."""
    differ = [FACTS[name] for name in outcome["unequal"]]
    shown = [f"the arms that are compared differ in {', '.join(differ)}"] if differ else []
    return [*shown, *outcome["because"][len(differ) :]]  # one sentence a field comes first


def _pictures(study: Study, root: Path) -> list[str]:
    """Return a study's pictures with captions: samples first."""
    shown = []
    if study.samples:
        shown.append(picture(os.path.relpath(study.samples, root), samples.caption(study.plan)))
    if study.plot:
        caption = pictures.caption(study.plan, study.outcome)
        shown.append(picture(os.path.relpath(study.plot, root), caption))
    return shown
