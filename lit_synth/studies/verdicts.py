"""Tests over few seeds: exact p-values, bootstrap intervals, and the word that they come to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from math import factorial
from statistics import mean
from typing import Literal

import numpy as np

ALPHA = 0.05
RESAMPLES = 10_000  # of the bootstrap
Word = Literal["supported", "reversed", "undecided"]
Interval = tuple[float, float]
Positions = np.ndarray


@dataclass(frozen=True)
class Verdict:
    """What a test says.

    Attributes:
        word: `supported` or `reversed` where p is at most .05 and the interval lies on the claim's
            side or on the other one; else `undecided`.
        effect: Mean difference, value, or rank correlation that was tested; None if a run that it
            needs has failed.
        interval: 95 % of its bootstrap over seeds; None of fewer than two.
        p: Two-sided and exact; None where the test has none.
    """

    word: Word
    effect: float | None = None
    interval: Interval | None = None
    p: float | None = None


UNTESTED = Verdict("undecided")


def positive(differences: Sequence[float]) -> Verdict:
    """Test that paired differences, one per seed, are above 0.

    If each difference were as likely to have the other sign, all 2^n sign patterns would be equally
    likely: p is the share of them whose mean is at least as far from 0 as the observed one. The
    smallest p of n seeds is 2 / 2^n: .0625 of five, .0078 of eight.
    """
    observed = sum(differences)
    slack = 1e-12 * sum(map(abs, differences))  # sums in another order differ by rounding
    flips = product((1, -1), repeat=len(differences))
    reached = sum(
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True)))
        >= abs(observed) - slack
        for signs in flips
    )
    p = reached / 2 ** len(differences)
    interval = bootstrap(len(differences), lambda drawn: np.take(differences, drawn).mean(1))
    return Verdict(decided(p, interval), mean(differences), interval, p)


def between(values: Sequence[float], low: float, high: float) -> Verdict:
    """Test that the mean of one value per seed lies in [low, high].

    `supported` if its whole interval does, `reversed` if none of it does.
    """
    interval = bootstrap(len(values), lambda drawn: np.take(values, drawn).mean(1))
    word: Word = "undecided"
    if interval and low <= interval[0] and interval[1] <= high:
        word = "supported"
    elif interval and (interval[1] < low or high < interval[0]):
        word = "reversed"
    return Verdict(word, mean(values), interval)


def same_order(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> Verdict:
    """Test that two lists rank the same things alike, by Spearman's rank correlation of means.

    p is the share of all orders of the second list whose correlation is at least as far from 0.

    Args:
        first: For each thing one value per seed.
        second: The same things by another measure.
    """

    def correlations(drawn: Positions) -> list[float]:
        means = [np.take(of, drawn, axis=1).mean(2).T.tolist() for of in (first, second)]
        return [rank_correlation(*pair) for pair in zip(*means, strict=True)]

    a, b = ([mean(each) for each in of] for of in (first, second))
    observed = rank_correlation(a, b)
    reached = sum(
        abs(rank_correlation(a, order)) >= abs(observed) - 1e-12 for order in permutations(b)
    )
    p = reached / factorial(len(b))
    interval = bootstrap(len(first[0]), correlations)
    return Verdict(decided(p, interval), observed, interval, p)


def decided(p: float | None, interval: Interval | None) -> Word:
    """Return the word for an effect that the claim says is above 0."""
    if p is None or interval is None or p > ALPHA or interval[0] <= 0 <= interval[1]:
        return "undecided"
    return "supported" if interval[0] > 0 else "reversed"


def bootstrap(
    seeds: int, statistic: Callable[[Positions], Sequence[float] | Positions]
) -> Interval | None:
    """Return the percentile interval, 95 %, of a statistic of seeds drawn with replacement.

    Always the same draws. Of fewer than some eight seeds it is rough, and rather too narrow.

    Args:
        seeds: How many there are; fewer than two give None.
        statistic: Maps positions of seeds (resamples, seeds) to a number of each resample.
    """
    if seeds < 2:
        return None
    drawn = np.random.default_rng(0).integers(seeds, size=(RESAMPLES, seeds))
    low, high = np.quantile(statistic(drawn), [0.025, 0.975])
    return float(low), float(high)


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, as Holm does: the smallest times n, and so on."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    corrected, largest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[i]))
        corrected[i] = largest
    return corrected


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's correlation, ties sharing their mean rank; 0 if a list is constant."""
    a, b = _centred_ranks(first), _centred_ranks(second)
    norm = (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5
    return sum(x * y for x, y in zip(a, b, strict=True)) / norm if norm else 0.0


def _centred_ranks(values: Sequence[float]) -> list[float]:
    ranks = [sum(v < x for v in values) + 0.5 * sum(v == x for v in values) for x in values]
    return [rank - mean(ranks) for rank in ranks]
