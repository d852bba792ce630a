"""The outcome of a study as JSON: every seed's numbers, the verdict, and where all comes from."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lit_synth.errors import InputError
from lit_synth.studies.equal import facts_of_arms
from lit_synth.studies.jobs import Job, Jobs, class_paths
from lit_synth.studies.judging import judged
from lit_synth.studies.plan import Plan
from lit_synth.studies.provenance import world_versions
from lit_synth.studies.terms import split_term
from lit_synth.studies.worker import Result

ENTRY = ("scale", "verdict", "because")  # what history keeps of an earlier judgement


def collect(
    jobs: Jobs, results: Mapping[str, Result], earlier: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Put the results of all jobs together and judge them.

    Args:
        jobs: All jobs of the study.
        results: Their results by key.
        earlier: What was published of the study before; its verdict goes to the history.

    Returns:
        What `docs/results/<id>.json` holds; see `docs/studies.md`.
    """
    plan = jobs.plan
    ended = {
        name: {seed: results[job.key] for seed, job in by_seed.items()}
        for name, by_seed in jobs.arms.items()
    }
    rows = {
        "arms": {
            name: {
                seed: _kept(result.metrics, plan.arms[name].define, plan)
                for seed, result in by_seed.items()
                if not result.error
            }
            for name, by_seed in ended.items()
        },
        "prepared": _prepared(jobs, results),
        "facts": facts_of_arms(jobs),
        "curves": {
            name: {seed: _kept_curves(result, plan) for seed, result in by_seed.items()}
            for name, by_seed in ended.items()
        },
        "cards": _cards(ended),
        "failures": {
            job.label: results[job.key].error for job in jobs.in_order() if results[job.key].error
        },
        "provenance": _provenance(jobs, results),
        "wall_s": round(sum(result.wall_s for result in results.values()), 1),
    }
    return with_history(judged(plan, rows), earlier)


def with_history(outcome: dict[str, Any], earlier: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return an outcome that remembers the earlier one, unless that says the same of the same."""
    if earlier is None:
        return outcome
    history = [*earlier.get("history", [])]
    if _entry(earlier) != _entry(outcome):
        history.append(_entry(earlier))
    return {**outcome, "history": history}


def rejudge(plan: Plan, published: Mapping[str, Any]) -> dict[str, Any]:
    """Return a published outcome as its plan has it judged now; nothing is run."""
    return with_history(judged(plan, published), published)


def read(path: Path) -> dict[str, Any] | None:
    """Return the outcome in a file; None if there is no file.

    Raises:
        InputError: If the file is no outcome.
    """
    if not path.is_file():
        return None
    try:
        outcome = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}): remove it, or get it back.") from error
    if not isinstance(outcome, dict) or not {"scale", "verdict", "provenance"} <= set(outcome):
        raise InputError(f"{path} is not the result of a study: remove it, or run the study again.")
    return outcome


def write(path: Path, outcome: Mapping[str, Any]) -> None:
    """Write an outcome as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(outcome, indent=1) + "\n")


def _entry(outcome: Mapping[str, Any]) -> dict[str, Any]:
    origin = outcome["provenance"]
    entry = {key: outcome.get(key) for key in ENTRY}
    return {"plan": origin.get("plan"), **entry, "revisions": origin.get("revisions", {})}


def _prepared(jobs: Jobs, results: Mapping[str, Result]) -> dict[str, dict[int, Any]]:
    """Return what gates ask of prepared runs, by name and seed."""
    asked = {metric for gate in jobs.plan.gate for _, _, metric in gate.parts}
    return {
        name: {
            seed: {key: value for key, value in results[job.key].metrics.items() if key in asked}
            for seed, job in by_seed.items()
            if not results[job.key].error
        }
        for name, by_seed in jobs.prepared.items()
    }


def _provenance(jobs: Jobs, results: Mapping[str, Result]) -> dict[str, Any]:
    """Return where the runs come from: a job's key holds its code, so worlds are those of now."""
    ran = [result for result in results.values() if not result.error]
    machines = [result.machine for result in ran if result.machine]
    return {
        "revisions": dict(Counter(result.revision or "unknown" for result in ran)),
        "world": world_versions(path for job in jobs.by_key.values() for path in _data(job)),
        "machine": machines[0] if machines else {},
        "machines": len({json.dumps(machine, sort_keys=True) for machine in machines}),
        "scale": jobs.plan.scale,
    }


def _data(job: Job) -> list[str]:
    spec = job.config.get("data") or job.config.get("classifier", {}).get("data")
    return list(class_paths(spec))


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
