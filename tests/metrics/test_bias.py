"""Bias: the identity map's figures, chance, and that joint success asks for both."""

import pytest
import torch

from lit_synth.metrics.bias import confidence_drop, disagreement, joint, misclassified, wanted

N, S = 40, 6


def drawn(seed, high=2, shape=(N, S)):
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def test_shares_counted_one_by_one():
    read, truth = drawn(0), drawn(1, shape=(N,))
    for n in range(N):
        right = sum(int(read[n, s]) == int(truth[n]) for s in range(S))
        assert float(wanted(read, truth)[n]) == pytest.approx(right / S)
        assert float(misclassified(read, truth)[n]) == pytest.approx(1 - right / S)


def test_leaving_images_alone_changes_nothing_and_reaches_nothing():
    colour, texture = drawn(2, shape=(N,)), drawn(3, shape=(N,))
    left = [each[:, None].expand(-1, S) for each in (colour, texture)]
    assert misclassified(left[1], texture).max() == 0
    assert joint((left[0], 1 - colour), [(left[1], texture)]).max() == 0


def test_joint_asks_for_the_change_and_for_everything_kept():
    change, value = drawn(4), drawn(5, shape=(N,))
    kept = [(drawn(seed), drawn(seed + 10, shape=(N,))) for seed in (6, 7)]
    found = joint((change, value), kept)
    for n in range(N):
        both = sum(
            change[n, s] == value[n] and all(read[n, s] == truth[n] for read, truth in kept)
            for s in range(S)
        )
        assert float(found[n]) == pytest.approx(int(both) / S)
    assert (found <= wanted(change, value)).all()


def test_the_drop_is_of_the_probability_of_the_inputs_own_value():
    rng = torch.Generator().manual_seed(8)
    before, after = torch.randn(N, 3, generator=rng), torch.randn(N, S, 3, generator=rng)
    truth = drawn(9, 3, (N,))
    found = confidence_drop(after, before, truth)
    for n in range(N):
        k = int(truth[n])
        p = before[n].double().exp()[k] / before[n].double().exp().sum()
        q = [float(row.double().exp()[k] / row.double().exp().sum()) for row in after[n]]
        assert float(found[n]) == pytest.approx(float(p) - sum(q) / S)
    same = before[:, None].expand(-1, S, -1)
    assert confidence_drop(same, before, truth).abs().max() == 0


def test_disagreement_is_of_any_two_judges():
    readings = [drawn(seed, high=3) for seed in (7, 8, 9)]
    for n, share in enumerate(disagreement(readings)):
        different = [len({int(read[n, s]) for read in readings}) > 1 for s in range(S)]
        assert float(share) == pytest.approx(sum(different) / S)
    assert disagreement(readings[:1]).max() == 0
