"""Exact tests over few seeds: paired sign-flip, range, and order of sources."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product
from math import factorial
from statistics import mean
from typing import Literal

ALPHA = 0.05
Outcome = Literal["holds", "mixed", "does not hold", "not tested"]


@dataclass(frozen=True)
class Verdict:
    """What a test says.

    Attributes:
        outcome: `holds` where the test passes; `mixed` where the mean agrees with the claim but the
            test does not pass; `not tested` where a run that it needs has failed.
        p: One-sided exact p-value; None where the test has none.
        statistic: Mean difference, value, or rank correlation that was tested.
    """

    outcome: Outcome
    p: float | None
    statistic: float | None

    @property
    def holds(self) -> bool:
        """Did the claim pass its test?"""
        return self.outcome == "holds"


NOT_TESTED = Verdict("not tested", None, None)


def positive(differences: Sequence[float]) -> Verdict:
    """Test that paired differences, one per seed, are above 0.

    If each difference were as likely to have the other sign, all 2^n sign patterns would be equally
    likely: p is the share of them whose mean is at least the observed one. With five seeds the
    smallest p is 1/32 = .031, reached when all five are positive, so `holds` asks for all five.
    """
    observed = mean(differences)
    slack = 1e-12 * sum(map(abs, differences))  # sums in another order differ by rounding
    flips = product((1, -1), repeat=len(differences))
    reached = sum(
        sum(sign * d for sign, d in zip(signs, differences, strict=True))
        >= sum(differences) - slack
        for signs in flips
    )
    p = reached / 2 ** len(differences)
    return Verdict(_outcome(p <= ALPHA, observed > 0), p, observed)


def between(values: Sequence[float], low: float, high: float) -> Verdict:
    """Test that every seed's value lies in [low, high]; `mixed` if only their mean does."""
    inside = [low <= value <= high for value in values]
    return Verdict(_outcome(all(inside), low <= mean(values) <= high), None, mean(values))


def same_order(first: Sequence[float], second: Sequence[float]) -> Verdict:
    """Test that two lists rank the same things alike, by Spearman's rank correlation.

    p is the share of all orders of the second list that correlate at least as well.
    """
    observed = rank_correlation(first, second)
    orders = permutations(second)
    reached = sum(rank_correlation(first, order) >= observed - 1e-12 for order in orders)
    p = reached / factorial(len(second))
    return Verdict(_outcome(p <= ALPHA, observed > 0), p, observed)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's correlation, ties sharing their mean rank; 0 if a list is constant."""
    a, b = _centred_ranks(first), _centred_ranks(second)
    norm = (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5
    return sum(x * y for x, y in zip(a, b, strict=True)) / norm if norm else 0.0


def _centred_ranks(values: Sequence[float]) -> list[float]:
    ranks = [sum(v < x for v in values) + 0.5 * sum(v == x for v in values) for x in values]
    return [rank - mean(ranks) for rank in ranks]


def _outcome(passes: bool, agrees: bool) -> Outcome:
    if passes:
        return "holds"
    return "mixed" if agrees else "does not hold"


def overall(outcomes: Sequence[Outcome]) -> Outcome:
    """Return one word for a study: all hold, none agrees, or mixed."""
    if not outcomes or "not tested" in outcomes:
        return "not tested"
    distinct = set(outcomes)
    return distinct.pop() if len(distinct) == 1 else "mixed"
