"""`docs/results/<id>.md`: a study's protocol, tests, arms, pictures, and where all comes from."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lit_synth.studies import figures
from lit_synth.studies.judging import passes
from lit_synth.studies.markdown import (
    bullets,
    folded,
    number,
    probability,
    table,
    told,
    with_interval,
)
from lit_synth.studies.names import ARROWS, arm_name, metric_name, title_of, verdict_name
from lit_synth.studies.plan import Plan

Outcome = Mapping[str, Any]
FACTS = {
    "ema": "averaging of weights",
    "lr": "learning rates",
    "updates": "updates",
    "images": "images seen",
    "batch_size": "batch size",
    "trials": "trials of tuning",
    "data": "data",
}
MOST_ARMS = 24  # in a table that is open


def page_of(plan: Plan, outcome: Outcome, pictures: Sequence[str], home: str) -> str:
    """Return a study's page.

    Args:
        plan: The study.
        outcome: Its result.
        pictures: Its pictures, as Markdown.
        home: Path of the page of all results.
    """
    parts = [
        f"# {title_of(plan.id, plan.plot)}",
        f"[All results]({home})",
        f"**Claim.** {outcome['claim']} (Paper: {', '.join(outcome['source_tables'])}.)",
        f"**Verdict: {verdict_name(outcome['verdict'])}**"
        + (" at this scale." if outcome["verdict"] == "void" else "."),
        *([bullets(f"{each}." for each in outcome["because"])] if outcome["because"] else []),
        *([f"**For you.** {plan.means}"] if plan.means else []),
        *pictures,
        *_section("Protocol", [plan.protocol.strip()]),
        *_section("Tests", _tests(plan, outcome)),
        *_section("Gate", _gate(outcome)),
        *_section("Arms", _arms(plan, outcome)),
        *_section("Are the arms equal?", _facts(plan, outcome)),
        *_section("Length of training", _length(plan, outcome)),
        *_section("Notes", [bullets(outcome["notes"])] if outcome["notes"] else []),
        *_section("Failed runs", _failures(outcome)),
        *_section("How it was measured", _cards(outcome["cards"], plan)),
        *_section("Where it comes from", _provenance(plan, outcome)),
        *_section("The paper's numbers, at another scale", _paper(plan)),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, parts: Sequence[str]) -> list[str]:
    return [f"## {title}", *parts] if parts else []


def _tests(plan: Plan, outcome: Outcome) -> list[str]:
    shown = []
    for role in ("primary", "secondary", "control"):
        tests = [test for test in outcome["tests"] if test["role"] == role]
        if tests:
            shown.append(_tests_of(role, tests, plan, outcome["verdict"] == "void"))
    explained = (
        "Effects are means over seeds, of a difference that should be above 0 or of the value "
        "itself, with 95 % bootstrap intervals. Each seed's are in "
        f"[{plan.id}.json]({plan.id}.json). p of secondary endpoints is corrected for their number "
        "(Holm)."
    )
    return [explained, *shown]


def _tests_of(role: str, tests: Iterable[Mapping[str, Any]], plan: Plan, void: bool) -> str:
    def verdict(test: Mapping[str, Any]) -> str:
        if role == "control":
            return "passed" if passes(test) else "**failed**"
        return "void" if void else verdict_name(test["verdict"])

    rows = [
        [
            test["expects"],
            metric_name(test["metric"], plan.plot)
            + ARROWS[plan.metrics.get(test["metric"], "neither")],
            with_interval(test["effect"], test["interval"]),
            *([_ends(test["within"])] if role == "control" else []),
            probability(test["p"] if test["p_holm"] is None else test["p_holm"]),
            verdict(test),
        ]
        for test in tests
    ]
    asked = ["expected"] if role == "control" else []
    return table([role, "metric", "effect [95 %]", *asked, "p", "verdict"], rows)


def _gate(outcome: Outcome) -> list[str]:
    if not outcome["gate"]:
        return ["There is none: nothing shows that sources and judges are good enough."]
    rows = [
        [each["says"], number(each["value"]), _ends(each["within"]), _passed(each["holds"])]
        for each in outcome["gate"]
    ]
    return [table(["what must be good enough", "measured", "expected", ""], rows)]


def _passed(holds: bool) -> str:
    return "passed" if holds else "**failed**"


def _ends(within: Sequence[float | None] | None) -> str:
    if not within:
        return "above 0"
    low, high = within
    return f"above {number(low)}" if high is None else f"{number(low)} to {number(high)}"


def _arms(plan: Plan, outcome: Outcome) -> list[str]:
    """Return the metrics that are tested, and folded those that are only measured."""
    arms = outcome["arms"]
    there = {name for by in arms.values() for row in by.values() for name in row}
    asked = {name for each in plan.expects for _, _, name in each.parts}
    tested = [name for name in plan.metrics if name in there & asked]
    others = [name for name in plan.metrics if name in there - asked]
    explained = "Means over seeds with 95 % intervals; a metric's arrow points to what is better."
    first = _arms_table(plan, arms, tested)
    if len(arms) > MOST_ARMS:
        first = folded(f"All {len(arms)} arms", first)
    rest = [folded("Other metrics", _arms_table(plan, arms, others))] if others else []
    return [explained, first, *rest]


def _arms_table(plan: Plan, arms: Mapping[str, Any], metrics: Sequence[str]) -> str:
    head = [
        "arm",
        "seeds",
        *(metric_name(name, plan.plot) + ARROWS[plan.metrics[name]] for name in metrics),
    ]
    rows = [
        [arm_name(arm, plan.plot), str(len(by)), *(_cell(by, name) for name in metrics)]
        for arm, by in arms.items()
    ]
    return table(head, rows)


def _cell(by_seed: Mapping[str, Mapping[str, float]], metric: str) -> str:
    values = [row[metric] for row in by_seed.values() if metric in row]
    return with_interval(*figures.mean_and_interval(values)) if values else ""


def _facts(plan: Plan, outcome: Outcome) -> list[str]:
    facts = {
        arm: {**values, "trials": values["trials"] or "not stated"}
        for arm, values in outcome["facts"].items()
    }
    equal = {
        key: told(next(iter(facts.values()))[key])
        for key in FACTS
        if len({told(each.get(key)) for each in facts.values()}) == 1
    }
    differ = [key for key in FACTS if key not in equal]
    parts = []
    if equal:
        parts.append(
            "In all arms: " + "; ".join(f"{FACTS[key]} {v}" for key, v in equal.items()) + "."
        )
    if differ:
        head = ["arms", *(FACTS[key] for key in differ)]
        parts.append(table(head, _alike(plan, facts, differ)))
    why = [f"Meant to differ: {FACTS[key]}, {reason}" for key, reason in plan.compares.items()]
    why += [f"**Not equal, without a reason:** {FACTS[key]}" for key in outcome["unequal"]]
    return [*parts, *([bullets(why)] if why else [])]


def _alike(
    plan: Plan, values: Mapping[str, Mapping[str, Any]], keys: Sequence[str]
) -> list[list[str]]:
    """Return a row for arms that have the same values, with all their names."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for arm, of_arm in values.items():
        same = tuple(told(of_arm.get(key)) if key in of_arm else "" for key in keys)
        rows.setdefault(same, []).append(arm_name(arm, plan.plot))
    return [["; ".join(names), *same] for same, names in rows.items()]


def _length(plan: Plan, outcome: Outcome) -> list[str]:
    length = outcome["length"]
    if not length:
        return ["How the length was chosen is not stated."]
    changing = [
        f"{arm_name(arm, plan.plot)} {change:+.0%}"
        for arm, change in length["flat"].items()
        if change is not None and abs(change) > length["tolerance"]
    ]
    shown = (
        f"Over the last quarter of training, {metric_name(length['curve'], plan.plot)} may change "
        f"by {length['tolerance']:.0%} of its value: "
    )
    found = f"it does by more in {'; '.join(changing)}." if changing else "no arm's does by more."
    return [f"{length['how'].strip()} {shown}{found}"]


def _failures(outcome: Outcome) -> list[str]:
    failures = outcome["failures"]
    return [bullets(f"{run}: {error}" for run, error in failures.items())] if failures else []


def _cards(cards: Mapping[str, Any], plan: Plan) -> list[str]:
    parts = [
        folded("In all arms", bullets(f"{key}: {told(v)}" for key, v in cards["common"].items()))
    ]
    if cards["differ"]:
        keys = list(dict.fromkeys(key for card in cards["differ"].values() for key in card))
        differing = table(["arms", *keys], _alike(plan, cards["differ"], keys))
        parts.append(folded("Where arms differ", differing))
    return parts


def _provenance(plan: Plan, outcome: Outcome) -> list[str]:
    origin = outcome["provenance"]
    now = origin["plan"] == plan.sha256
    lines = [
        f"plan: `configs/studies/{plan.id}.yaml`, {origin['plan'][:12]}"
        + ("" if now else " (**it was changed since: judge it again**)"),
        f"scale: {outcome['scale']}; {outcome['wall_s'] / 60:.0f} core minutes",
        f"revisions of the code: {_revisions(origin['revisions'])}",
        *([f"worlds: {told(origin['world'])}"] if origin.get("world") else []),
        *([f"machine: {told(origin['machine'])}"] if origin.get("machine") else []),
    ]
    history = [
        [
            (entry.get("plan") or "unknown")[:12],
            verdict_name(entry["verdict"]),
            "; ".join(entry.get("because") or []),
            _revisions(entry.get("revisions") or {}),
        ]
        for entry in outcome["history"]
    ]
    earlier = table(["earlier plan", "verdict", "because", "revisions"], history)
    return [bullets(lines), *([folded("History", earlier)] if history else [])]


def _revisions(runs: Mapping[str, int]) -> str:
    return (
        ", ".join(f"{revision} ({number} runs)" for revision, number in runs.items()) or "unknown"
    )


def _paper(plan: Plan) -> list[str]:
    if not plan.paper:
        return []
    rows = [[str(cell) for cell in row] for row in plan.paper["rows"]]
    return [plan.paper["caption"].strip(), table(plan.paper["columns"], rows)]
