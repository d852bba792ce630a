from itertools import product
from statistics import mean

import numpy as np
import pytest

from lit_synth.studies.verdicts import (
    RESAMPLES,
    between,
    bootstrap,
    holm,
    positive,
    rank_correlation,
    same_order,
)

EIGHT = [1.0, 2.0, 3.0, 0.5, 9.0, 1.5, 2.5, 4.0]


def test_five_seeds_cannot_decide_and_eight_can():
    assert positive(EIGHT[:5]).p == 2 / 32
    assert positive(EIGHT[:5]).word == "undecided"
    assert positive(EIGHT).p == 2 / 256
    assert positive(EIGHT).word == "supported"
    assert positive([-each for each in EIGHT]).word == "reversed"
    assert positive([*EIGHT[:4], *(-each for each in EIGHT[4:])]).word == "undecided"


def test_p_is_the_share_of_sign_patterns_as_far_from_0():
    differences = [0.3, -1.2, 2.5, 0.9, -0.1, 1.4]
    flips = product((1, -1), repeat=6)
    sums = [sum(s * d for s, d in zip(flip, differences, strict=True)) for flip in flips]
    expected = sum(abs(total) >= sum(differences) - 1e-9 for total in sums) / 64
    assert positive(differences).p == expected


def test_an_interval_holds_the_middle_95_percent_of_means_of_seeds_drawn_anew():
    rng = np.random.default_rng(0)
    means = sorted(
        mean(EIGHT[i] for i in drawn) for drawn in rng.integers(8, size=(RESAMPLES, 8)).tolist()
    )
    low, high = positive(EIGHT).interval
    assert low == pytest.approx(np.quantile(means, 0.025))
    assert high == pytest.approx(np.quantile(means, 0.975))
    assert positive(EIGHT).interval == (low, high)
    assert bootstrap(1, lambda drawn: drawn.mean(1)) is None


def test_no_difference_at_all_is_undecided():
    verdict = positive([0.0] * 8)
    assert (verdict.p, verdict.effect, verdict.word) == (1.0, 0.0, "undecided")


def test_a_range_is_supported_inside_and_reversed_wholly_outside():
    assert between([0.25, 0.35], 0.2, 0.4).word == "supported"
    assert between([0.1, 0.35], 0.2, 0.4).word == "undecided"
    assert between([0.1, 0.15], 0.2, 0.4).word == "reversed"
    assert between([0.3], 0.2, 0.4).word == "undecided"


def test_holm_multiplies_the_smallest_by_their_number_and_never_falls():
    assert holm([0.04, 0.01, 0.03, 0.5]) == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_rank_correlation_equals_scipy():
    from scipy.stats import spearmanr

    first, second = [3.0, 1.0, 2.0, 2.0, 7.0], [1.0, 0.0, 5.0, 4.0, 6.0]
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)


def test_an_order_of_five_can_be_told_and_one_of_four_cannot():
    five = [[each, each + 0.1] for each in (1, 2, 3, 4, 5)]
    assert same_order(five, five).p == 2 / 120
    assert same_order(five, five).word == "supported"
    assert same_order(five, five[::-1]).word == "reversed"
    assert same_order(five[:4], five[:4]).p == 2 / 24
    assert same_order(five[:4], five[:4]).word == "undecided"
