"""The plan of a study: what `configs/studies/<id>.yaml` says, checked and expanded.

A text `$name` in a plan stands for a value of the scale (`scales`) or of a loop (`for`),
`$name.key` for an entry of such a value, `$seed` for the run's seed, and `$prepare.name` for the
release folder of something prepared. A value that is nothing but `$name` keeps its type.
"""

import fnmatch
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import product
from pathlib import Path
from typing import Any

from lit_synth.errors import InputError
from lit_synth.runs.yaml_files import read_mapping

Values = Mapping[str, Any]
NAME = re.compile(r"\$((?!prepare\.\$)[A-Za-z_]\w*(?:\.\w+)?)")  # $prepare.$name: inner first
RECIPE_KEYS = {"config", "set", "for", "classifier", "define", "per_seed"}
LATER = ("notes", "plot", "curves", "paper")
TESTS = ("less", "between", "same_order")
KINDS: list[tuple[type, str, tuple[str, ...]]] = [
    (str, "a text", ("id", "claim", "protocol")),
    (list, "a list", ("source_tables", "seeds", "expects", "curves", "notes")),
    (
        dict,
        "names with values",
        ("scales", "arms", "metrics", "common", "prepare", "plot", "paper"),
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
        per_seed: Is it prepared once for each seed, instead of once with seed 0?
    """

    name: str
    config: Path | None
    set: dict[str, Any]
    classifier: dict[str, Any] = field(default_factory=dict)
    loop: dict[str, Any] = field(default_factory=dict)
    define: dict[str, str] = field(default_factory=dict)
    per_seed: bool = False


@dataclass(frozen=True)
class Expectation:
    """What must hold, written down before the runs.

    A term is the name of an arm, `arm:metric` for another metric than the expectation's, a pattern
    such as `mined-*` for the mean over the arms that it matches, or a sum of these with
    factors (`a - 2 * b`).

    Attributes:
        says: The expectation in words.
        metric: Of the terms that name none.
        test: `less`: the first of two terms is below the second, paired by seed.
            `between`: each seed's value of a term lies in a range.
            `same_order`: two lists of terms are ranked alike.
        terms: What is tested; two lists for `same_order`.
        limits: Ends of the range.
        control: Does it check the experiment rather than the claim?
    """

    says: str
    metric: str
    test: str
    terms: list[Any]
    limits: tuple[float, float] | None = None
    control: bool = False


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
        expects: The pre-registered expectations.
        curves: Columns of `metrics.csv` that are kept, by iteration.
        plot: What the pictures show; see `lit_synth.studies.pictures`.
        paper: The paper's numbers: `columns`, `rows`, and a `caption`.
        notes: What was tried, and what a reader should know.
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
    curves: list[str]
    plot: dict[str, Any]
    paper: dict[str, Any]
    notes: list[str]
    sha256: str


def load_plan(path: str | Path, scale: str = "default") -> Plan:
    """Read a study's file and expand it at one of its scales.

    Raises:
        InputError: If the file is not a plan: an unknown key, name, arm or metric.
    """
    path = Path(path)
    raw = read_mapping(path, "the study")
    optional = {"common", "prepare", "curves", "plot", "paper", "notes"}
    required = {each.name for each in fields(Plan)} - optional - {"scale", "sha256"} | {"scales"}
    _check_keys(raw, required | optional, f"the study {path}")
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
        _check_terms(plan)
    except InputError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"the study {path} has something of another kind than a plan has there "
            f"({type(error).__name__}: {error}): compare it with another study's file."
        ) from error
    return plan


def _expanded(raw: Values, scale: str) -> Plan:
    sizes = raw["scales"][scale]
    common = raw.get("common", {})
    return Plan(
        id=raw["id"],
        claim=raw["claim"],
        source_tables=raw["source_tables"],
        protocol=raw["protocol"],
        scale=scale,
        seeds=sizes.get("seeds", raw["seeds"]),
        prepare=_recipes(raw.get("prepare", {}), sizes, {}),
        arms=_recipes(raw["arms"], sizes, common),
        metrics=raw["metrics"],
        expects=[each for spec in raw["expects"] for each in _expectations(spec, sizes)],
        curves=raw.get("curves", []),
        plot=raw.get("plot", {}),
        paper=raw.get("paper", {}),
        notes=raw.get("notes", []),
        sha256=_hash(raw, sizes),
    )


def fill(value: Any, values: Values) -> Any:
    """Replace every `$name` in a nested value; `$prepare.name` is left where it is not known."""
    if isinstance(value, dict):
        return {fill(key, values): fill(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, values) for each in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    whole = NAME.fullmatch(value)
    if whole:
        return _value(whole[1], values)
    return NAME.sub(lambda found: str(_value(found[1], values)), value)


def split_term(term: str, metric: str) -> list[tuple[float, str, str]]:
    """Return factor, arm pattern and metric of each part of a term."""
    first, *rest = re.split(r" ([+-]) ", term)
    signed = [("+", first), *zip(rest[::2], rest[1::2], strict=True)]
    parts = []
    for sign, part in signed:
        factor, _, name = part.strip().rpartition(" * ")
        arm, _, own_metric = name.partition(":")
        parts.append((float(f"{sign}{factor or 1}"), arm, own_metric or metric))
    return parts


def matching(pattern: str, names: Mapping[str, Any]) -> list[str]:
    """Return the names that a pattern with `*` matches, in their order."""
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def _hash(raw: Values, sizes: Values) -> str:
    registered = {key: value for key, value in raw.items() if key not in LATER}
    text = json.dumps({**registered, "scales": sizes}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _value(name: str, values: Values) -> Any:
    if name in values:
        return values[name]
    mapping, _, key = name.partition(".")
    if key and isinstance(values.get(mapping), Mapping) and key in values[mapping]:
        return values[mapping][key]
    if name == "seed" or name.startswith("prepare."):
        return f"${name}"  # known only to a run
    raise InputError(f"a study uses ${name}, but there are only: {', '.join(map(str, values))}.")


def _turns(loop: Values, sizes: Values) -> list[dict[str, Any]]:
    """Turns of a loop: all combinations of {name: [values]}."""
    loop = fill(fill(loop, sizes), sizes)  # what a scale gives to a loop may name more of the scale
    return [dict(zip(loop, combination, strict=True)) for combination in product(*loop.values())]


def _recipes(specs: Values, sizes: Values, common: Values) -> dict[str, Recipe]:
    recipes = {}
    for template, spec in specs.items():
        _check_keys(spec, RECIPE_KEYS, f"'{template}'")
        for turn in _turns(spec.get("for", {}), sizes):
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
            )
    return recipes


def _expectations(spec: Values, sizes: Values) -> list[Expectation]:
    _check_keys(
        spec, {"says", "metric", "for", "over", "control", "within", *TESTS}, "an expectation"
    )
    tests = [test for test in TESTS if test in spec]
    if len(tests) != 1:
        raise InputError(
            f"'{spec['says']}' has {len(tests)} tests: give one of {', '.join(TESTS)}."
        )
    return [
        _expectation(spec, tests[0], {**sizes, **t}) for t in _turns(spec.get("for", {}), sizes)
    ]


def _expectation(spec: Values, test: str, values: Values) -> Expectation:
    terms = spec[test]
    if test == "between":
        terms = [terms]
    if test == "same_order":
        turns = _turns(spec["over"], values)
        terms = [[fill(term, {**values, **turn}) for turn in turns] for term in terms]
    return Expectation(
        says=fill(spec["says"], values),
        metric=fill(spec["metric"], values),
        test=test,
        terms=fill(terms, values),
        limits=tuple(fill(spec["within"], values)) if test == "between" else None,
        control=spec.get("control", False),
    )


def _check_keys(spec: Values, known: set[str], what: str) -> None:
    if not isinstance(spec, Mapping):
        raise InputError(f"{what} is {spec!r:.80}: expected names with values.")
    unknown = set(spec) - known
    if unknown:
        raise InputError(
            f"{what} has the key '{min(map(str, unknown))}': expected {', '.join(sorted(known))}."
        )


def _check_terms(plan: Plan) -> None:
    for expectation in plan.expects:
        terms = expectation.terms
        flat = (
            [term for group in terms for term in group]
            if expectation.test == "same_order"
            else terms
        )
        for term in flat:
            for _, arm, metric in split_term(term, expectation.metric):
                if not matching(arm, plan.arms):
                    raise InputError(
                        f"'{expectation.says}' names the arm '{arm}', which no arm matches."
                    )
                if metric not in plan.metrics:
                    raise InputError(
                        f"'{expectation.says}' names '{metric}', not among the metrics."
                    )
