"""Fréchet distance between Gaussian fits of features (Heusel et al. 2017, arXiv:1706.08500)."""

import torch
from torch import Tensor

from lit_synth.metrics.distances import as_pair


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
    centred = (features - features.mean(0)) / (len(features) - 1) ** 0.5
    rows, columns = centred.shape
    return centred if rows <= columns else torch.linalg.qr(centred, mode="r").R


def _root(cov: Tensor) -> Tensor:
    """A (D, D) with AᵀA = cov; eigenvalues that rounding made negative count as 0."""
    eigenvalues, eigenvectors = torch.linalg.eigh(cov.double())
    return eigenvalues.clamp(min=0).sqrt()[:, None] * eigenvectors.T
