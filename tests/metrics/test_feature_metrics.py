"""Each metric against torch-fidelity or a slow, obvious re-derivation of its definition."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from lit_synth.errors import InputError
from lit_synth.metrics import distances
from lit_synth.metrics.fid import fid, fid_from_stats, fid_stats
from lit_synth.metrics.kid import kid
from lit_synth.metrics.kmmd import kmmd
from lit_synth.metrics.memorisation import memorisation, nearest_ratio
from lit_synth.metrics.mv import mv
from lit_synth.metrics.prdc import coverage, density, precision, recall
from lit_synth.metrics.standard_error import standard_error


def features(n, dim=12, seed=0, shift=0.0):
    rng = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=torch.Generator().manual_seed(99))
    return torch.randn(n, dim, generator=rng) @ mixing + shift


REAL, FAKE = features(120), features(90, seed=1, shift=0.5)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Let every metric cross chunk boundaries."""
    monkeypatch.setattr(distances, "CHUNK_ROWS", 50)


@pytest.mark.parametrize("rows", [200, 60, 8])
def test_fid_equals_torch_fidelity(rows):
    real, fake = features(200), features(rows, seed=1, shift=0.5)
    stats = [fid_features_to_statistics(f.double()) for f in (real, fake)]
    expected = fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"]
    assert fid(real, fake) == pytest.approx(expected, rel=1e-5)


def test_fid_from_stats_equals_fid_from_features():
    assert fid_from_stats(*fid_stats(REAL), *fid_stats(FAKE)) == pytest.approx(fid(REAL, FAKE))


def test_fid_of_isotropic_gaussians_is_analytic():
    eye = torch.eye(3)
    # Mean distance² 3, and 3 (2 - 1)² for standard deviations 2 and 1.
    assert fid_from_stats(torch.zeros(3), 4 * eye, torch.ones(3), eye) == pytest.approx(6)


@pytest.mark.parametrize("rows", [5, 120])
def test_distances_of_a_set_to_itself_are_zero(rows):
    x = features(rows, dim=20)
    assert fid(x, x) == pytest.approx(0, abs=1e-9)
    assert kmmd(x, x).value == 0


def test_kid_of_whole_sets_equals_torch_fidelity():
    fake = FAKE[:90]
    real = REAL[:90]
    expected = kid_features_to_metric(
        real.double(), fake.double(), kid_subset_size=90, kid_subsets=1, verbose=False
    )["kernel_inception_distance_mean"]
    assert kid(real, fake).value == pytest.approx(expected, rel=1e-9)


def test_kid_is_unbiased_where_the_biased_estimate_is_not():
    values = [kid(features(20, seed=2 * s), features(20, seed=2 * s + 1)).value for s in range(300)]
    mean, error = np.mean(values), np.std(values) / 300**0.5
    assert abs(mean) < 3 * error


def test_kid_states_its_subset_size_and_repeats_with_its_seed():
    result = kid(REAL, FAKE, subsets=5, seed=3)
    assert result.subset_size == 90
    assert result.std > 0
    assert result == kid(REAL, FAKE, subsets=5, seed=3)
    assert result != kid(REAL, FAKE, subsets=5, seed=4)
    assert kid(features(1100), features(1200), subsets=1).subset_size == 1000


def test_kmmd_equals_its_definition():
    def kernel(x, y, scale):
        return np.exp(-(((x[:, None] - y[None]) ** 2).sum(-1)) / (2 * scale))

    x, y = REAL.double().numpy(), FAKE.double().numpy()
    scale = ((x[:, None] - x[None]) ** 2).sum(-1).mean()
    xx, yy, xy = kernel(x, x, scale), kernel(y, y, scale), kernel(x, y, scale)
    result = kmmd(REAL, FAKE)
    assert result.value == pytest.approx(np.sqrt(xx.mean() + yy.mean() - 2 * xy.mean()), rel=1e-9)
    assert result.bandwidth == pytest.approx(np.sqrt(scale))


def test_mv_is_one_for_equal_spread_and_zero_for_one_image():
    assert mv(REAL, REAL + 3) == pytest.approx(1, rel=1e-5)
    assert mv(REAL, 2 * REAL) == pytest.approx(4, rel=1e-5)
    assert mv(REAL, REAL[:1].repeat(10, 1)) == pytest.approx(0, abs=1e-9)


def test_precision_and_recall_equal_torch_fidelity():
    real, fake = features(120).double(), features(90, seed=1, shift=0.2).double()
    expected = prc_features_to_metric(
        fake, real, prc_neighborhood=3, prc_batch_size=64, save_cpu_ram=False, verbose=False
    )
    assert 0 < expected["precision"] < 1
    assert precision(real, fake) == pytest.approx(expected["precision"])
    assert recall(real, fake) == pytest.approx(expected["recall"])


def test_density_and_coverage_equal_naive_loops():
    real, fake, k = REAL.double().numpy(), FAKE.double().numpy(), 5
    inside = np.zeros((len(real), len(fake)))
    for i, x in enumerate(real):
        radius = np.sort(np.linalg.norm(real - x, axis=1))[k]
        inside[i] = np.linalg.norm(fake - x, axis=1) <= radius
    assert density(REAL, FAKE) == pytest.approx(inside.sum() / (k * len(fake)))
    assert coverage(REAL, FAKE) == pytest.approx(inside.any(axis=1).mean())


def test_copies_of_training_images_are_found():
    train, held_out = features(60), features(40, seed=1)
    copies = train[torch.tensor([7, 3, 59])] + 1e-3
    found = memorisation(train, held_out, copies)
    assert found.nearest.tolist() == [7, 3, 59]
    # The equal-sized subset holds 40 of 60 training images, so a copy may have lost its original.
    everything = memorisation(train, features(60, seed=1), copies)
    assert everything.ratio < 0.01
    assert everything.share == 1


def test_fresh_samples_are_as_near_to_training_as_to_held_out_images():
    found = memorisation(features(400), features(300, seed=1), features(400, seed=2))
    assert found.ratio == pytest.approx(1, abs=0.05)
    assert found.share == pytest.approx(0.5, abs=0.1)


def test_nearest_ratio_is_one_for_fresh_samples_and_zero_for_copies():
    train = features(300)
    assert nearest_ratio(train, features(300, seed=1)) == pytest.approx(1, abs=0.05)
    assert nearest_ratio(train, train[:20] + 1e-4) < 0.01


def test_standard_error_is_the_spread_over_repeated_experiments():
    pairs = [(features(100, seed=2 * s), features(100, seed=2 * s + 1)) for s in range(60)]

    def shift(real, fake):
        return float((real - fake[: len(real)]).mean())

    truth = np.std([shift(*pair) for pair in pairs])
    estimates = [standard_error(shift, *pair, repeats=40) for pair in pairs[:20]]
    assert np.mean(estimates) == pytest.approx(truth, rel=0.3)
    assert standard_error(shift, *pairs[0], seed=1) != standard_error(shift, *pairs[0], seed=2)


@pytest.mark.parametrize("metric", [fid, kid, kmmd, mv, precision, density, coverage])
def test_unusable_features_get_one_sentence(metric):
    with pytest.raises(InputError, match="cannot be compared"):
        metric(REAL, FAKE[:, :5])
    with pytest.raises(InputError, match="at least"):
        metric(REAL[:1], FAKE)
    with pytest.raises(InputError, match="NaN"):
        metric(REAL, FAKE / 0 * 0)


def test_only_the_side_with_neighbourhoods_needs_several_images():
    assert precision(REAL, REAL[:1]) == 1
    with pytest.raises(InputError, match="at least 4 images, given 3"):
        recall(REAL, FAKE[:3])


@pytest.mark.parametrize("metric", [kmmd, mv])
def test_identical_reals_have_no_unit(metric):
    with pytest.raises(InputError, match="same features"):
        metric(torch.ones(5, 3), FAKE[:, :3])
