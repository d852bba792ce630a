"""Each metric against torch-fidelity or a slow, obvious re-derivation of its definition."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from lit_synth.errors import InputError
from lit_synth.metrics import distances
from lit_synth.metrics.fid import fid, fid_floor, fid_from_stats, fid_interval, fid_stats
from lit_synth.metrics.kid import kid
from lit_synth.metrics.kmmd import cmmd, kmmd
from lit_synth.metrics.memorisation import memorisation, memorised, nearest_ratio
from lit_synth.metrics.mind import mind
from lit_synth.metrics.mv import mv, mv_distance
from lit_synth.metrics.prdc import coverage, density, f_score, precision, recall
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


def test_fids_interval_has_the_spread_of_repeated_experiments():
    def far(seed):
        return features(150, seed=seed), features(200, seed=1000 + seed, shift=2)

    truth = np.std([fid(*far(seed)) for seed in range(80)])
    widths = [np.diff(fid_interval(*far(seed), resamples=40)) for seed in range(10)]
    assert np.mean(widths) / (2 * 1.96) == pytest.approx(truth, rel=0.3)
    low, high = fid_interval(*far(0))
    assert low < fid(*far(0)) < high
    assert fid_interval(*far(0), seed=1) != (low, high)
    assert fid_interval(REAL, REAL + 0)[0] == 0  # no distance is negative


def test_fids_interval_of_few_images_in_many_dimensions_is_cheap_and_finite():
    low, high = fid_interval(features(30, dim=40), features(30, dim=40, seed=1))
    assert 0 <= low < high < np.inf


def test_fids_floor_is_that_of_as_many_training_images_as_fakes():
    train = features(80, seed=5)
    assert fid_floor(REAL, train, n_fake=500) == pytest.approx(fid(REAL, train))
    drawn = fid_floor(REAL, train, n_fake=30)
    assert drawn == fid_floor(REAL, train, n_fake=30)
    assert drawn > fid_floor(REAL, train, n_fake=500)  # by the bias of few images


@pytest.mark.parametrize("rows", [90, 120])
def test_mind_equals_transport_of_repeated_quantiles(rows):
    real, fake, n = REAL.double().numpy(), features(rows, seed=1, shift=0.5).double().numpy(), 7
    rng = torch.Generator().manual_seed(3)
    lines = torch.randn(n, 12, generator=rng, dtype=torch.float64).numpy()
    lines /= np.linalg.norm(lines, axis=1, keepdims=True)
    # 360 points of equal weight on each side are the same distributions as 120 and 90.
    of_real = np.sort(np.repeat(real @ lines.T, 360 // 120, axis=0), axis=0)
    of_fake = np.sort(np.repeat(fake @ lines.T, 360 // rows, axis=0), axis=0)
    expected = 3 * 12 * np.mean((of_real - of_fake) ** 2)
    found = mind(torch.from_numpy(real), torch.from_numpy(fake), projections=n, seed=3)
    assert found == pytest.approx(expected, rel=1e-12)


def test_mind_of_a_shift_is_analytic_and_of_a_set_to_itself_0():
    # |u · s|² is |s|² / D in the mean over directions, and the paper's scale is 3D.
    assert mind(REAL, REAL + 0.5) == pytest.approx(3 * 12 * 0.25, rel=0.1)
    assert mind(REAL, REAL) == 0


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


def test_mvs_distance_is_as_far_for_too_much_as_for_too_little():
    assert mv_distance(REAL, 2**0.5 * REAL) == pytest.approx(1, rel=1e-5)
    assert mv_distance(REAL, REAL[:1].repeat(10, 1)) == pytest.approx(1)
    assert mv_distance(REAL, REAL + 3) == pytest.approx(0, abs=1e-5)


def test_precision_and_recall_equal_torch_fidelity():
    real, fake = features(120).double(), features(90, seed=1, shift=0.2).double()
    expected = prc_features_to_metric(
        fake, real, prc_neighborhood=3, prc_batch_size=64, save_cpu_ram=False, verbose=False
    )
    assert 0 < expected["precision"] < 1
    assert precision(real, fake) == pytest.approx(expected["precision"])
    assert recall(real, fake) == pytest.approx(expected["recall"])
    assert f_score(real, fake) == pytest.approx(expected["f_score"])
    assert f_score(real, real + 100) == 0


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


def test_memorised_equals_naive_loops():
    train, held_out, fake, k = features(30), features(55, seed=1), features(70, seed=2), 3
    real = torch.cat([train, held_out]).double().numpy()

    def share(rows, excluded):
        total = inside = 0
        for x, own in zip(rows.double().numpy(), excluded, strict=True):
            others = [i for i in range(len(real)) if i != own]
            reach = {
                i: np.sort(np.linalg.norm(real - real[i], axis=1))[k] >= np.linalg.norm(x - real[i])
                for i in others
            }
            if any(reach.values()):
                nearest = min(others, key=lambda i: np.linalg.norm(x - real[i]))
                total, inside = total + (nearest < 30), inside + 1
        return total / inside, inside / len(rows)

    found = memorised(train, held_out, fake)
    (expected, on_manifold), (floor, _) = share(fake, [-1] * 70), share(held_out, range(30, 85))
    assert found.share == pytest.approx(expected)
    assert found.floor == pytest.approx(floor)
    assert found.on_manifold == pytest.approx(on_manifold)
    assert found.excess == pytest.approx(max(expected - floor, 0) / (1 - floor))


@pytest.mark.parametrize("n_train", [25, 300, 1200])
def test_memorised_tells_copies_from_fresh_images_whatever_the_sizes(n_train):
    train, held_out = features(n_train), features(300, seed=1)
    fresh = memorised(train, held_out, features(400, seed=2))
    assert fresh.share == pytest.approx(fresh.floor, abs=0.08)
    assert memorised(train, held_out, train[:25].repeat(4, 1) + 1e-4).excess == 1


def test_what_is_off_the_manifold_counts_as_memorised_where_too_little_is_on_it():
    train, held_out = features(60), features(60, seed=1)
    far = features(100, seed=2) + 1000
    assert memorised(train, held_out, far)[::2] == (1, 1)
    far[:4] = held_out[:4]
    # 4 of the 10 that a tenth of 100 would be, none of them nearer to a training image.
    assert memorised(train, held_out, far).share == pytest.approx(6 / 10)


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


@pytest.mark.parametrize("metric", [fid, kid, mind, kmmd, mv, precision, density, coverage])
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


def test_cmmd_equals_its_definition_and_takes_clips_embeddings_alone():
    x, y = (f.double() / f.double().norm(dim=1, keepdim=True) for f in (REAL, FAKE))
    mean = {}
    for name, a, b in (("xx", x, x), ("yy", y, y), ("xy", x, y)):
        terms = [float(torch.exp(-((p - q) ** 2).sum() / 200)) for p in a for q in b]
        mean[name] = sum(terms) / len(terms)
    expected = 1000 * (mean["xx"] + mean["yy"] - 2 * mean["xy"])
    assert cmmd(x, y) == pytest.approx(expected, abs=1e-9)
    assert cmmd(x, x) == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match=r"length 1.*clip:PATH"):
        cmmd(REAL, FAKE)
