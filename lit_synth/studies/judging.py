"""From rows to a verdict: equal arms, gate, controls and length first, then the expectations."""

from collections.abc import Mapping
from dataclasses import replace
from statistics import mean
from typing import Any

from lit_synth.errors import InputError
from lit_synth.studies.equal import Facts, sentence, trains, unequal
from lit_synth.studies.expectations import Expectation
from lit_synth.studies.plan import Plan
from lit_synth.studies.terms import matching, split_term
from lit_synth.studies.verdicts import (
    ALPHA,
    UNTESTED,
    Verdict,
    between,
    decided,
    holm,
    positive,
    same_order,
)

Row = Mapping[str, float]
Measured = Mapping[str, Mapping[int, Row]]
NO_GATE = "nothing was measured that shows sources and judges to be good enough: there is no gate"
NO_LENGTH = "how the length of training was chosen is not stated"


def judged(plan: Plan, outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Return an outcome with all that its rows come to by a plan; rows and facts stay.

    Raises:
        InputError: If the outcome is of another form, or of other arms than the plan's.
    """
    try:
        arms = by_number(outcome["arms"])
        prepared = {
            f"prepare.{name}": rows for name, rows in by_number(outcome["prepared"]).items()
        }
        facts, curves = outcome["facts"], outcome["curves"]
        origin, failures = outcome["provenance"], outcome["failures"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"the result of study {plan.id} is of another form than this version writes "
            f"({type(error).__name__}: {error}): run the study again."
        ) from error
    if set(arms) != set(plan.arms):
        odd = min(set(arms) ^ set(plan.arms))
        raise InputError(
            f"the result of study {plan.id} and its plan do not have the same arms ('{odd}'): run "
            "the study again."
        )
    facts = {arm: {**facts[arm], "trials": plan.trials[arm]} for arm in arms}
    tests = _tests(plan, _counting(arms, plan))
    gate = [_gated(each, {**_counting(arms, plan), **prepared}) for each in plan.gate]
    differ = unequal(plan, facts)
    length = _length(plan, curves, facts)
    primary = next(test for test in tests if test["role"] == "primary")
    void = _void(differ, gate, tests)
    return {
        "id": plan.id,
        "claim": plan.claim,
        "source_tables": plan.source_tables,
        "scale": plan.scale,
        "verdict": "void" if void else primary["verdict"],
        "because": [*(void or _undecided(primary, failures)), *_told_of(length)],
        "means": plan.means,
        "arms": arms,
        "prepared": outcome["prepared"],
        "facts": facts,
        "unequal": differ,
        "gate": gate,
        "length": length,
        "tests": tests,
        "curves": curves,
        "cards": outcome["cards"],
        "failures": failures,
        "notes": plan.notes,
        "provenance": {**origin, "plan": plan.sha256},
        "history": outcome.get("history", []),
        "wall_s": outcome["wall_s"],
    }


def by_number(rows: Mapping[str, Mapping[Any, Row]]) -> dict[str, dict[int, Row]]:
    """Return rows by name and seed; in JSON a seed is a text."""
    return {
        name: {int(seed): row for seed, row in by_seed.items()} for name, by_seed in rows.items()
    }


def _counting(arms: Measured, plan: Plan) -> dict[str, dict[int, Row]]:
    """Return the rows that count: those of seeds that nothing was tuned on."""
    return {
        arm: {seed: row for seed, row in by_seed.items() if seed not in plan.tuned_on}
        for arm, by_seed in arms.items()
    }


def quantity(term: str, metric: str, arms: Measured, seed: int) -> float:
    """Return the value of a term for one seed.

    Raises:
        KeyError: If a run that it needs has failed.
    """
    return sum(
        factor * mean(arms[arm][seed][name] for arm in matching(pattern, arms))
        for factor, pattern, name in split_term(term, metric)
    )


def examined(expectation: Expectation, arms: Measured) -> tuple[Verdict, dict[int, float]]:
    """Test an expectation; also return what was tested, by seed."""
    seeds = sorted({seed for by_seed in arms.values() for seed in by_seed})

    def values(term: str) -> list[float]:
        return [quantity(term, expectation.metric, arms, seed) for seed in seeds]

    try:
        if not seeds:
            return UNTESTED, {}
        if expectation.test == "same_order":
            return same_order(*([values(term) for term in of] for of in expectation.terms)), {}
        first, *others = (values(term) for term in expectation.terms)
        if expectation.test == "between":
            assert expectation.limits is not None
            return between(first, *expectation.limits), dict(zip(seeds, first, strict=True))
        gains = [high - low for low, high in zip(first, others[0], strict=True)]
        return positive(gains), dict(zip(seeds, gains, strict=True))
    except KeyError:
        return UNTESTED, {}


def _tests(plan: Plan, arms: Measured) -> list[dict[str, Any]]:
    """Test all expectations; secondary ones are corrected for their number."""
    told = [(each, *examined(each, arms)) for each in plan.expects]
    many = {
        i: verdict.p
        for i, (each, verdict, _) in enumerate(told)
        if each.role == "secondary" and verdict.p is not None
    }
    corrected = dict(zip(many, holm(list(many.values())), strict=True))
    for i, p in corrected.items():
        each, verdict, per_seed = told[i]
        told[i] = each, replace(verdict, word=decided(p, verdict.interval)), per_seed
    return [
        {
            "expects": each.says,
            "metric": each.metric,
            "test": each.test,
            "role": each.role,
            "within": each.limits and list(each.limits),
            "effect": _short(verdict.effect),
            "interval": verdict.interval and [_short(end) for end in verdict.interval],
            "p": _short(verdict.p),
            "p_holm": _short(corrected.get(i)),
            "verdict": verdict.word,
            "per_seed": {seed: _short(value) for seed, value in per_seed.items()},
        }
        for i, (each, verdict, per_seed) in enumerate(told)
    ]


def _gated(gate: Expectation, measured: Measured) -> dict[str, Any]:
    """Say whether a mean over all that was run lies where the gate asks; if nothing was, no."""
    low, high = gate.limits or (0.0, None)
    try:
        value = sum(
            factor
            * mean(
                row[metric]
                for name in matching(pattern, measured)
                for row in measured[name].values()
            )
            for factor, pattern, metric in gate.parts
        )
    except (KeyError, ValueError):
        return {"says": gate.says, "value": None, "within": [low, high], "holds": False}
    holds = low <= value <= high if high is not None else value > low
    return {"says": gate.says, "value": _short(value), "within": [low, high], "holds": holds}


def _length(
    plan: Plan, curves: Mapping[str, Any], facts: Mapping[str, Facts]
) -> dict[str, Any] | None:
    """Return how much the curve of each arm that trains changes over the last quarter."""
    if plan.length is None:
        return None
    flat = {}
    for arm, by_seed in curves.items():
        of = [kept.get(plan.length.curve, []) for kept in by_seed.values()]
        changes = [late_change(points) for points in of if len(points) > 1]
        if trains(facts[arm]):
            flat[arm] = _short(mean(changes)) if changes else None
    return {
        "curve": plan.length.curve,
        "tolerance": plan.length.tolerance,
        "how": plan.length.how,
        "flat": flat,
    }


def late_change(points: list[list[float]]) -> float:
    """Return the change of a curve over its last quarter, as a share of its last value."""
    end, last = points[-1]
    _, before = min(points, key=lambda point: abs(point[0] - 0.75 * end))
    return (last - before) / abs(last) if last else 0.0


def _void(
    differ: Mapping[str, Mapping[str, Any]],
    gate: list[dict[str, Any]],
    tests: list[dict[str, Any]],
) -> list[str]:
    """Return why nothing can be told, in sentences; empty if something can."""
    reasons = [sentence(name, values) for name, values in differ.items()]
    reasons += [] if gate else [NO_GATE]
    reasons += [
        f"the gate failed: {each['says']} ({_within(each['value'], each['within'])})"
        for each in gate
        if not each["holds"]
    ]
    reasons += [
        f"a control failed: {test['expects']} ({_at(test)})"
        for test in tests
        if test["role"] == "control" and not passes(test)
    ]
    return reasons


def passes(control: Mapping[str, Any]) -> bool:
    """Does a control hold: does its interval, or of one seed its value, lie on the right side?"""
    if control["effect"] is None:
        return False
    low, high = control["interval"] or [control["effect"]] * 2
    if control["within"]:
        return bool(control["within"][0] <= low and high <= control["within"][1])
    return bool(low > 0)


def _undecided(primary: Mapping[str, Any], failures: Mapping[str, str]) -> list[str]:
    """Return why the primary endpoint is undecided; empty if it is not."""
    if primary["verdict"] != "undecided":
        return []
    seeds = len(primary["per_seed"])
    if primary["effect"] is None:
        return [f"runs that the primary endpoint needs have failed ({len(failures)} in all)"]
    if primary["interval"] is None:
        return ["one seed gives no interval"]
    if primary["test"] == "less" and 2 / 2**seeds > ALPHA:
        return [
            f"the smallest two-sided p of {seeds} seeds is {2 / 2**seeds:.3f}: too few to decide"
        ]
    return [f"the primary endpoint is not decided: {_at(primary)}"]


def _told_of(length: Mapping[str, Any] | None) -> list[str]:
    """Return what a reader should know of the length of training."""
    if length is None:
        return [NO_LENGTH]
    curve, changes = length["curve"], length["flat"].values()
    late = [each for each in changes if each is not None and abs(each) > length["tolerance"]]
    unknown = sum(change is None for change in changes)
    told = []
    if late:
        told.append(
            f"{curve} still changes in the last quarter of training: of {len(late)} of "
            f"{len(changes)} arms, by up to {max(map(abs, late)):.0%} (length: {length['how']})"
        )
    if unknown:
        told.append(f"{curve} was not kept of {unknown} of {len(changes)} arms")
    return told


def _at(test: Mapping[str, Any]) -> str:
    """Return effect, interval and p of a test for people."""
    if test["effect"] is None:
        return "its runs have failed"
    parts = [f"{test['effect']:.3g}"]
    parts += [f"interval {_ends(test['interval'])}"] if test["interval"] else []
    parts += [f"p {test['p']:.3f}"] if test["p"] is not None else []
    parts += [f"expected {_ends(test['within'])}"] if test["within"] else []
    return ", ".join(parts)


def _within(value: float | None, within: list[float | None]) -> str:
    asked = f"above {within[0]:g}" if within[1] is None else _ends(within)
    return f"{'not measured' if value is None else f'{value:.3g}'}, expected {asked}"


def _ends(ends: Any) -> str:
    return f"[{ends[0]:.3g}, {ends[1]:.3g}]"


def _short(value: float | None) -> float | None:
    """Round to six digits, which every machine agrees on."""
    return None if value is None else float(f"{value:.6g}")
