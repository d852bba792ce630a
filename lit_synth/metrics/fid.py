"""Fréchet distance between Gaussian fits of features (Heusel et al. 2017, arXiv:1706.08500)."""

import torch
from torch import Tensor

from lit_synth.metrics.distances import as_pair

RESAMPLES = 100
FEW_RESAMPLES = 10  # of many images in many dimensions, where one distance takes half a second
LARGE = 256  # rank of the covariances, from which on resamples are few


def fid(real: Tensor, fake: Tensor) -> float:
    """‖μ1−μ2‖² + Tr(Σ1 + Σ2 − 2(Σ1Σ2)^½), thesis equation 2.5.

    It is biased upwards for few images, so compare only at equal N on both sides, and below
    2048 images read KID too. Fewer images than dimensions are fine numerically: no covariance
    is ever inverted or squared.

    Args:
        real: Features (N, D).
        fake: Features (M, D).
    """
    real, fake = as_pair(real, fake)
    return _frechet(real.mean(0), _factor(real), fake.mean(0), _factor(fake))


def fid_interval(
    real: Tensor, fake: Tensor, resamples: int | None = None, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval of `fid`: the value ± 1.96 standard deviations over resamples.

    Both sides are resampled with replacement. Resamples repeat images, so that their distances are
    biased upwards beyond the bias of few images: their spread is used, not their quantiles. The
    interval tells how far other images, equally many, would move the value; the bias of few images
    is in both of its ends.

    Args:
        real: Features (N, D).
        fake: Features (M, D).
        resamples: Number of resamples; None: 100, or 10 if N or M and D are above 256.
        seed: Seed of the draws.
    """
    value = fid(real, fake)
    real, fake = as_pair(real, fake)
    large = min(max(len(real), len(fake)), real.shape[1]) > LARGE
    rng = torch.Generator().manual_seed(seed)
    values = [
        _frechet(*_resample(real, rng), *_resample(fake, rng))
        for _ in range(resamples or (FEW_RESAMPLES if large else RESAMPLES))
    ]
    margin = 1.96 * float(torch.tensor(values, dtype=torch.float64).std())
    return max(value - margin, 0.0), value + margin


def fid_floor(real: Tensor, train: Tensor, n_fake: int, seed: int = 0) -> float:
    """FID of training images against the held-out ones: what images of the target itself have.

    As many training images are drawn as images are generated, since FID depends on their number;
    of a smaller training set all are taken, and then the floor is too high: it has its bias.

    Args:
        real: Features (N, D) of held-out images.
        train: Features (K, D) of the generator's training images.
        n_fake: Number of generated images.
        seed: Seed of the draw.
    """
    rows = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:n_fake]
    return fid(real, train[rows.to(train.device)])


def fid_from_stats(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> float:
    """The same distance from means (D,) and covariances (D, D), as other tools save them."""
    return _frechet(mean1.double(), _root(cov1), mean2.double(), _root(cov2))


def fid_stats(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and unbiased covariance (D, D) of features (N, D), in float64."""
    features, _ = as_pair(features, features)
    return features.mean(0), features.T.cov()


def _frechet(mean1: Tensor, factor1: Tensor, mean2: Tensor, factor2: Tensor) -> float:
    """Fréchet distance from factors A with Σ = AᵀA.

    The eigenvalues of Σ1Σ2 are the squared singular values of A1A2ᵀ, so Tr (Σ1Σ2)^½ is their
    plain sum: exact at any rank, with no square root of rounding noise.
    """
    trace_of_root = torch.linalg.svdvals(factor1 @ factor2.T).sum()
    spread = factor1.square().sum() + factor2.square().sum() - 2 * trace_of_root
    return float((mean1 - mean2).square().sum() + spread)


def _factor(features: Tensor) -> Tensor:
    """A (min(N, D), D) with AᵀA = the unbiased covariance of features (N, D)."""
    return _shorter((features - features.mean(0)) / (len(features) - 1) ** 0.5)


def _shorter(factor: Tensor) -> Tensor:
    """A (min(N, D), D) with the same AᵀA as a factor (N, D)."""
    rows, columns = factor.shape
    return factor if rows <= columns else torch.linalg.qr(factor, mode="r").R


def _resample(features: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mean (D,) and factor of as many rows as there are, drawn with replacement."""
    counts = torch.bincount(torch.randint(len(features), (len(features),), generator=rng))
    rows = torch.nonzero(counts).flatten()
    weights = counts[rows].to(features)[:, None]
    features = features[rows.to(features.device)]
    mean = (weights * features).sum(0) / weights.sum()
    return mean, _shorter((features - mean) * (weights / (weights.sum() - 1)).sqrt())


def _root(cov: Tensor) -> Tensor:
    """A (D, D) with AᵀA = cov; eigenvalues that rounding made negative count as 0."""
    eigenvalues, eigenvectors = torch.linalg.eigh(cov.double())
    return eigenvalues.clamp(min=0).sqrt()[:, None] * eigenvectors.T
