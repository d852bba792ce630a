from itertools import product

import pytest

from lit_synth.studies.verdicts import between, overall, positive, rank_correlation, same_order


def test_sign_flip_with_five_seeds_holds_only_if_all_agree():
    assert positive([1, 2, 3, 0.5, 9]).p == 1 / 32
    assert positive([1, 2, 3, 0.5, 9]).outcome == "holds"
    one_against = positive([1, 2, 3, -0.5, 9])
    assert one_against.p == 2 / 32
    assert one_against.outcome == "mixed"
    assert positive([-1, -2, -3, 0.5, -9]).outcome == "does not hold"


def test_sign_flip_p_is_the_share_of_sign_patterns():
    differences = [0.3, -1.2, 2.5, 0.9, -0.1, 1.4]
    flips = product((1, -1), repeat=6)
    sums = [sum(s * d for s, d in zip(flip, differences, strict=True)) for flip in flips]
    expected = sum(total >= sum(differences) - 1e-9 for total in sums) / 64
    assert positive(differences).p == expected


def test_no_difference_at_all_does_not_hold():
    verdict = positive([0.0] * 5)
    assert (verdict.p, verdict.outcome) == (1.0, "does not hold")


def test_between_looks_at_every_seed():
    assert between([0.25, 0.35], 0.2, 0.4).holds
    assert between([0.1, 0.4], 0.2, 0.4).outcome == "mixed"
    assert between([0.1, 0.2], 0.2, 0.4).outcome == "does not hold"


def test_rank_correlation_equals_scipy():
    from scipy.stats import spearmanr

    first, second = [3.0, 1.0, 2.0, 2.0, 7.0], [1.0, 0.0, 5.0, 4.0, 6.0]
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)


def test_order_of_four_sources():
    assert same_order([1, 2, 3, 4], [10, 20, 30, 40]).p == 1 / 24
    assert same_order([1, 2, 3, 4], [10, 20, 40, 30]).outcome == "mixed"
    assert same_order([1, 2, 3, 4], [4, 3, 2, 1]).outcome == "does not hold"


def test_overall():
    assert overall(["holds", "holds"]) == "holds"
    assert overall(["holds", "does not hold"]) == "mixed"
    assert overall(["holds", "not tested"]) == "not tested"
