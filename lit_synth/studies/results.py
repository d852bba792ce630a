"""The outcome of a study as JSON: every seed's numbers, the verdicts, and how all was measured."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from lit_synth import __version__
from lit_synth.studies.jobs import Jobs
from lit_synth.studies.plan import Expectation, Plan, matching, split_term
from lit_synth.studies.verdicts import NOT_TESTED, Verdict, between, overall, positive, same_order
from lit_synth.studies.worker import Result

Measured = Mapping[str, Mapping[int, Mapping[str, float]]]


def collect(jobs: Jobs, results: Mapping[str, Result], revision: str) -> dict[str, Any]:
    """Put the results of all jobs together and judge every expectation.

    Args:
        jobs: All jobs of the study.
        results: Their results by key.
        revision: Of the code when the jobs were started.

    Returns:
        What `docs/results/<id>.json` holds. `arms`: name -> seed -> metric -> value; `tests`: the
        expectations with `p`, `holds`, `verdict` and each seed's difference or value; `cards`: what
        all arms share, and in which fields which arm differs; `wall_s`: seconds of all runs
        together, each on one core.
    """
    plan = jobs.plan
    ended = {
        name: {seed: results[job.key] for seed, job in by_seed.items()}
        for name, by_seed in jobs.arms.items()
    }
    arms = {
        name: {
            seed: _kept(result.metrics, plan.arms[name].define, plan)
            for seed, result in by_seed.items()
            if not result.error
        }
        for name, by_seed in ended.items()
    }
    tests = [_tested(expectation, arms) for expectation in plan.expects]
    return {
        "id": plan.id,
        "claim": plan.claim,
        "source_tables": plan.source_tables,
        "scale": plan.scale,
        "verdict": overall([test["verdict"] for test in tests if not test["control"]]),
        "arms": arms,
        "tests": tests,
        "curves": {
            name: {seed: _kept_curves(result, plan) for seed, result in by_seed.items()}
            for name, by_seed in ended.items()
        },
        "cards": _cards(ended),
        "failures": {
            job.label: results[job.key].error for job in jobs.in_order() if results[job.key].error
        },
        "plan": plan.sha256,
        "revision": revision,
        "wall_s": round(sum(result.wall_s for result in results.values()), 1),
        "notes": plan.notes,
    }


def write(path: Path, outcome: Mapping[str, Any]) -> None:
    """Write an outcome as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(outcome, indent=1) + "\n")


def quantity(term: str, metric: str, arms: Measured, seed: int) -> float:
    """Return the value of a term for one seed.

    Raises:
        KeyError: If a run that it needs has failed.
    """
    return sum(
        sign * mean(arms[arm][seed][name] for arm in matching(pattern, arms))
        for sign, pattern, name in split_term(term, metric)
    )


def judge(expectation: Expectation, arms: Measured) -> tuple[Verdict, dict[int, float]]:
    """Test an expectation; also return what was tested, by seed."""
    seeds = sorted({seed for by_seed in arms.values() for seed in by_seed})
    metric = expectation.metric
    if not seeds:
        return NOT_TESTED, {}

    def values(term: str) -> dict[int, float]:
        return {seed: quantity(term, metric, arms, seed) for seed in seeds}

    try:
        if expectation.test == "same_order":
            first, second = (
                [mean(values(term).values()) for term in terms] for terms in expectation.terms
            )
            return same_order(first, second), {}
        if expectation.test == "between":
            assert expectation.limits is not None
            each = values(expectation.terms[0])
            return between(list(each.values()), *expectation.limits), each
        low, high = map(values, expectation.terms)
        gains = {seed: high[seed] - low[seed] for seed in seeds}
        return positive(list(gains.values())), gains
    except KeyError:
        return NOT_TESTED, {}


def revision() -> str:
    """Return git's name of the code, marked when files were changed, or the version without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return f"version {__version__}"
    return told.stdout.strip()


def _tested(expectation: Expectation, arms: Measured) -> dict[str, Any]:
    verdict, per_seed = judge(expectation, arms)
    return {
        "expects": expectation.says,
        "metric": expectation.metric,
        "test": expectation.test,
        "control": expectation.control,
        "p": verdict.p,
        "holds": verdict.holds,
        "verdict": verdict.outcome,
        "statistic": verdict.statistic,
        "per_seed": per_seed,
    }


def _kept(metrics: Mapping[str, float], define: Mapping[str, str], plan: Plan) -> dict[str, float]:
    defined = {
        name: sum(factor * metrics[part] for factor, part, _ in split_term(sum_of, ""))
        for name, sum_of in define.items()
    }
    known = {**metrics, **defined}
    return {name: known[name] for name in plan.metrics if name in known}


def _kept_curves(result: Result, plan: Plan) -> dict[str, list[list[float]]]:
    return {
        name: [[iteration, float(f"{value:.5g}")] for iteration, value in result.curves[name]]
        for name in plan.curves
        if name in result.curves
    }


def _cards(ended: Mapping[str, Mapping[int, Result]]) -> dict[str, Any]:
    """Separate what all cards share from what differs between arms; seeds differ by design."""
    cards = {
        name: {key: value for key, value in result.card.items() if key != "seed"}
        for name, by_seed in ended.items()
        for result in by_seed.values()
        if not result.error
    }
    if not cards:
        return {"common": {}, "differ": {}}
    first, *others = cards.values()
    common = {
        key: value for key, value in first.items() if all(o.get(key) == value for o in others)
    }
    differ = {
        name: {key: value for key, value in card.items() if key not in common}
        for name, card in cards.items()
    }
    return {"common": common, "differ": {name: card for name, card in differ.items() if card}}
