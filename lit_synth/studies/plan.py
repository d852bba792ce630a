"""The plan of a study: what `configs/studies/<id>.yaml` says, checked and expanded.

A text `$name` in a plan stands for a value of the scale (`scales`) or of a loop (`for`),
`$name.key` for an entry of such a value, `$seed` for the run's seed, and `$prepare.name` for the
release folder of something prepared. A value that is nothing but `$name` keeps its type.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lit_synth.errors import InputError
from lit_synth.runs.yaml_files import read_mapping
from lit_synth.studies.expectations import (
    Expectation,
    check_keys,
    check_terms,
    read_expectations,
    read_gate,
)
from lit_synth.studies.terms import Values, fill, matching, turns_of

RECIPE_KEYS = {"config", "set", "for", "classifier", "define", "per_seed", "seeds"}
LATER = ("notes", "plot", "curves", "paper", "means")
FIELDS = ("ema", "lr", "updates", "images", "batch_size", "trials", "data")
SEEDS = list(range(8))
KINDS: list[tuple[type, str, tuple[str, ...]]] = [
    (str, "a text", ("id", "claim", "protocol", "means")),
    (
        list,
        "a list",
        ("source_tables", "seeds", "expects", "curves", "notes", "gate", "tuned_on"),
    ),
    (
        dict,
        "names with values",
        ("scales", "arms", "metrics", "common", "prepare", "plot", "paper", "compares", "length"),
    ),
]


@dataclass(frozen=True)
class Recipe:
    """A training run but for its seed.

    Attributes:
        name: Of the arm, or of what is prepared.
        config: A configuration file that runs by itself; None for a classifier.
        set: Dotted key -> value that replaces the file's.
        classifier: For a judge: `data`, a data module to train it on, and `fields`, what it tells
            apart (default: `label`); see `lit_synth.studies.judge`.
        loop: Values of the loop that this recipe is a turn of.
        define: Metric -> sum of others, e.g. hit: class_2 + class_7.
        per_seed: Is it prepared once for each seed of the arms?
        seeds: Else, how many times it is prepared: an arm of seed s uses that of seed s mod this.
    """

    name: str
    config: Path | None
    set: dict[str, Any]
    classifier: dict[str, Any] = field(default_factory=dict)
    loop: dict[str, Any] = field(default_factory=dict)
    define: dict[str, str] = field(default_factory=dict)
    per_seed: bool = False
    seeds: int = 1

    def seed_for(self, seed: int) -> int:
        """Return the seed with which it is prepared for an arm's seed."""
        return seed if self.per_seed else seed % self.seeds


@dataclass(frozen=True)
class Length:
    """How the length of training was chosen.

    Attributes:
        curve: Column of `metrics.csv` that was looked at, and is kept.
        tolerance: A curve is flat if it changes by at most this share over the last quarter.
        how: The choice in a sentence.
    """

    curve: str
    tolerance: float
    how: str


@dataclass(frozen=True)
class Plan:
    """A study at one scale, all loops expanded.

    Attributes:
        id: Name of the study and of its files.
        claim: One sentence.
        source_tables: Tables of the paper that make the claim.
        protocol: Data, budgets and decisions, for readers.
        scale: Which of the plan's scales this is.
        seeds: Of the arms.
        prepare: What is trained before the arms.
        arms: What is compared.
        metrics: Metric -> `lower` or `higher` is better, or `neither`.
        expects: The pre-registered expectations, one of them the primary endpoint.
        gate: What must be good enough before anything can be told: sources, judges, translations.
        length: How the length of training was chosen; None: nothing is said.
        compares: Field of the arms that may differ -> why: what is compared, or has its reason.
        trials: Arm -> trials of tuning; None where nothing is said.
        tuned_on: Seeds of these trials, which are not among `seeds`.
        curves: Columns of `metrics.csv` that are kept, by iteration.
        plot: What the pictures show; see `lit_synth.studies.pictures`.
        paper: The paper's numbers: `columns`, `rows`, and a `caption`.
        notes: What was tried, and what a reader should know.
        means: What the outcome means for a user, in a line.
        sha256: Hash of what was written down before the runs: the file at this scale, but for what
            decides nothing (`LATER`).
    """

    id: str
    claim: str
    source_tables: list[str]
    protocol: str
    scale: str
    seeds: list[int]
    prepare: dict[str, Recipe]
    arms: dict[str, Recipe]
    metrics: dict[str, str]
    expects: list[Expectation]
    gate: list[Expectation]
    length: Length | None
    compares: dict[str, str]
    trials: dict[str, int | None]
    tuned_on: list[int]
    curves: list[str]
    plot: dict[str, Any]
    paper: dict[str, Any]
    notes: list[str]
    means: str
    sha256: str


def load_plan(path: str | Path, scale: str = "default") -> Plan:
    """Read a study's file and expand it at one of its scales.

    Raises:
        InputError: If the file is not a plan: an unknown key, name, arm or metric.
    """
    path = Path(path)
    raw = read_mapping(path, "the study")
    optional = {
        *("common", "prepare", "curves", "plot", "paper", "notes", "means"),
        *("seeds", "gate", "length", "compares", "trials", "tuned_on"),
    }
    required = {each.name for each in fields(Plan)} - optional - {"scale", "sha256"} | {"scales"}
    check_keys(raw, required | optional, f"the study {path}")
    if missing := sorted(required - set(raw)):
        raise InputError(f"the study {path} lacks '{missing[0]}': give it.")
    for kind, expected, keys in KINDS:
        for key in keys:
            if key in raw and not isinstance(raw[key], kind):
                given = f"{raw[key]!r:.80}"
                raise InputError(f"the study {path} has {key}: {given}; expected {expected}.")
    scales = raw["scales"]
    if scale not in scales:
        raise InputError(f"{path} has no scale '{scale}': it has {', '.join(map(str, scales))}.")
    try:
        plan = _expanded(raw, scale)
        check_seeds(plan, plan.seeds)
        check_terms([*plan.expects, *plan.gate], plan.arms, plan.prepare, plan.metrics)
    except InputError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"the study {path} has something of another kind than a plan has there "
            f"({type(error).__name__}: {error}): compare it with another study's file."
        ) from error
    return plan


def check_seeds(plan: Plan, seeds: Iterable[int]) -> None:
    """Raise InputError if the plan was tuned on one of these seeds."""
    if tuned := sorted(set(seeds) & set(plan.tuned_on)):
        raise InputError(
            f"study {plan.id} was tuned on seed {tuned[0]}, so that seed cannot count: give seeds "
            "that are not in tuned_on."
        )


def _expanded(raw: Values, scale: str) -> Plan:
    sizes = raw["scales"][scale]
    arms = _recipes(raw["arms"], sizes, raw.get("common", {}))
    length = Length(**raw["length"]) if "length" in raw else None
    curves = raw.get("curves", [])
    return Plan(
        id=raw["id"],
        claim=raw["claim"],
        source_tables=raw["source_tables"],
        protocol=raw["protocol"],
        scale=scale,
        seeds=sizes.get("seeds", raw.get("seeds", SEEDS)),
        prepare=_recipes(raw.get("prepare", {}), sizes, {}),
        arms=arms,
        metrics=raw["metrics"],
        expects=read_expectations(raw["expects"], sizes),
        gate=read_gate(raw.get("gate", []), sizes),
        length=length,
        compares=_compares(raw.get("compares", {})),
        trials=_trials(raw.get("trials"), arms),
        tuned_on=raw.get("tuned_on", []),
        curves=list(dict.fromkeys([*curves, *([length.curve] if length else [])])),
        plot=raw.get("plot", {}),
        paper=raw.get("paper", {}),
        notes=raw.get("notes", []),
        means=raw.get("means", "").strip(),
        sha256=_hash(raw, sizes),
    )


def _compares(given: Values) -> dict[str, str]:
    check_keys(given, set(FIELDS), "compares")
    for name, why in given.items():
        if not isinstance(why, str) or not why:
            raise InputError(f"compares has {name}: {why!r}: give the reason, in words.")
    return dict(given)


def _trials(given: Any, arms: Iterable[str]) -> dict[str, int | None]:
    """Return the trials of each arm: one number for all, or that of the longest fitting pattern."""
    by_pattern = given if isinstance(given, dict) else {"*": given}
    for pattern in by_pattern:
        if not matching(pattern, arms):
            raise InputError(f"trials names the arm '{pattern}', which no arm matches.")
    longest = sorted(by_pattern, key=len, reverse=True)
    return {
        arm: next((by_pattern[each] for each in longest if matching(each, [arm])), None)
        for arm in arms
    }


def _hash(raw: Values, sizes: Values) -> str:
    registered = {key: value for key, value in raw.items() if key not in LATER}
    text = json.dumps({**registered, "scales": sizes}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _recipes(specs: Values, sizes: Values, common: Values) -> dict[str, Recipe]:
    recipes = {}
    for template, spec in specs.items():
        check_keys(spec, RECIPE_KEYS, f"'{template}'")
        for turn in turns_of(spec.get("for", {}), sizes):
            values = {**sizes, **turn}
            name = fill(template, values)
            recipes[name] = Recipe(
                name=name,
                config=Path(fill(spec["config"], values)) if "config" in spec else None,
                set=fill({**common, **spec.get("set", {})}, values),
                classifier=fill(spec.get("classifier", {}), values),
                loop=turn,
                define=fill(spec.get("define", {}), values),
                per_seed=spec.get("per_seed", False),
                seeds=fill(spec.get("seeds", 1), values),
            )
            if not isinstance(recipes[name].seeds, int) or recipes[name].seeds < 1:
                raise InputError(f"'{name}' has seeds: {spec['seeds']}; expected 1 or more.")
    return recipes
