"""What a plan expects: its expectations, each with a role, and the gate before them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from lit_synth.errors import InputError
from lit_synth.studies.terms import Values, fill, matching, split_term, turns_of

Role = Literal["primary", "secondary", "control", "gate"]
TESTS = ("less", "between", "same_order")
KEYS = {"says", "metric", "for", "over", "within", *TESTS}


@dataclass(frozen=True)
class Expectation:
    """What must hold, written down before the runs.

    A term is the name of an arm, `arm:metric` for another metric than the expectation's, a pattern
    such as `mined-*` for the mean over the arms that it matches, or a sum of these with
    factors (`a - 2 * b`). A gate's term may also name what is prepared, `prepare.<name>`.

    Attributes:
        says: The expectation in words.
        metric: Of the terms that name none.
        test: `less`: the first of two terms is below the second, paired by seed.
            `between`: a term lies in a range.
            `same_order`: two lists of terms are ranked alike.
        terms: What is tested; two lists for `same_order`.
        limits: Ends of the range.
        role: `primary`: the one endpoint that decides the study. `secondary`: told beside it.
            `control`: checks the experiment. `gate`: checks what the experiment stands on.
    """

    says: str
    metric: str
    test: str
    terms: list[Any]
    limits: tuple[float, float] | None = None
    role: Role = "secondary"

    @property
    def parts(self) -> list[tuple[float, str, str]]:
        """Factor, arm pattern and metric of every part, signed as they enter what is tested.

        Of `less` that is the second term less the first; of `same_order` the first list counts as
        positive and the second as negative.
        """
        if self.test == "same_order":
            first, second = self.terms
            signed = [*((1.0, term) for term in first), *((-1.0, term) for term in second)]
        elif self.test == "less":
            signed = [(-1.0, self.terms[0]), (1.0, self.terms[1])]
        else:
            signed = [(1.0, self.terms[0])]
        return [
            (sign * factor, arm, metric)
            for sign, term in signed
            for factor, arm, metric in split_term(term, self.metric)
        ]


def read_expectations(specs: Iterable[Values], sizes: Values) -> list[Expectation]:
    """Expand the loops of all expectations.

    Raises:
        InputError: Unless one of them, with all loops expanded, is the primary endpoint.
    """
    expectations = [each for spec in specs for each in _expanded(spec, sizes, "secondary")]
    primary = [each for each in expectations if each.role == "primary"]
    if len(primary) != 1:
        raise InputError(
            f"{len(primary)} expectations have the role primary: give it to exactly one, with its "
            "loop expanded; a pattern such as `minegan-*` pools conditions."
        )
    return expectations


def read_gate(specs: Iterable[Values], sizes: Values) -> list[Expectation]:
    """Expand the loops of a gate, which compares no orders."""
    gate = [each for spec in specs for each in _expanded(spec, sizes, "gate")]
    for each in gate:
        if each.test == "same_order":
            raise InputError(f"the gate '{each.says}' has same_order: give it less or between.")
    return gate


def check_terms(
    expectations: Iterable[Expectation],
    arms: Iterable[str],
    prepared: Iterable[str],
    metrics: Iterable[str],
) -> None:
    """Raise InputError if a term names an arm or a metric that there is not."""
    arms, metrics = list(arms), set(metrics)
    runs = [f"prepare.{name}" for name in prepared]
    for expectation in expectations:
        for _, arm, metric in expectation.parts:
            of_runs = expectation.role == "gate" and matching(arm, runs)
            if not of_runs and not matching(arm, arms):
                raise InputError(
                    f"'{expectation.says}' names the arm '{arm}', which no arm matches."
                )
            if not of_runs and metric not in metrics:
                raise InputError(f"'{expectation.says}' names '{metric}', not among the metrics.")


def check_keys(spec: Values, known: set[str], what: str) -> None:
    """Raise InputError if something is no mapping, or has a key that is not known."""
    if not isinstance(spec, Mapping):
        raise InputError(f"{what} is {spec!r:.80}: expected names with values.")
    unknown = set(spec) - known
    if unknown:
        raise InputError(
            f"{what} has the key '{min(map(str, unknown))}': expected {', '.join(sorted(known))}."
        )


def _expanded(spec: Values, sizes: Values, role: Role) -> list[Expectation]:
    gate = role == "gate"
    check_keys(spec, KEYS if gate else KEYS | {"role"}, "a gate" if gate else "an expectation")
    role = spec.get("role", role)
    if role not in get_args(Role):
        raise InputError(f"'{spec['says']}' has role {role}: give primary, secondary or control.")
    tests = [test for test in TESTS if test in spec]
    if len(tests) != 1:
        raise InputError(
            f"'{spec['says']}' has {len(tests)} tests: give one of {', '.join(TESTS)}."
        )
    return [
        _expectation(spec, tests[0], role, {**sizes, **turn})
        for turn in turns_of(spec.get("for", {}), sizes)
    ]


def _expectation(spec: Values, test: str, role: Role, values: Values) -> Expectation:
    terms = spec[test]
    if test == "between":
        terms = [terms]
    if test == "same_order":
        turns = turns_of(spec["over"], values)
        terms = [[fill(term, {**values, **turn}) for turn in turns] for term in terms]
    return Expectation(
        says=fill(spec["says"], values),
        metric=fill(spec["metric"], values),
        test=test,
        terms=fill(terms, values),
        limits=tuple(fill(spec["within"], values)) if test == "between" else None,
        role=role,
    )
