"""Fidelity and diversity apart: precision, recall, density and coverage by nearest neighbours.

Precision and recall are Kynkäänniemi et al. 2019, arXiv:1904.06991 (k = 3); density and coverage
are Naeem et al. 2020, arXiv:2002.09797 (k = 5), which forgive single outliers among the reals.
"""

import torch
from torch import Tensor

from lit_synth.metrics.distances import as_pair, distance_chunks, nearest, neighbour_radii


def precision(real: Tensor, fake: Tensor, k: int = 3) -> float:
    """Share of fakes (M, D) inside the k-nearest-neighbour ball of some real (N, D)."""
    real, fake = as_pair(real, fake, at_least=1)
    radii = neighbour_radii(real, k)
    inside = [(chunk <= radii).any(dim=1) for chunk in distance_chunks(fake, real)]
    return float(torch.cat(inside).double().mean())


def recall(real: Tensor, fake: Tensor, k: int = 3) -> float:
    """Share of reals (N, D) inside the k-nearest-neighbour ball of some fake (M, D)."""
    return precision(fake, real, k)


def f_score(real: Tensor, fake: Tensor, k: int = 3) -> float:
    """Harmonic mean of precision and recall, which bad images may win one by one.

    Blurred images lie in the midst of real ones and have more precision than other real images
    have; noise spreads them so wide that its balls hold all real images, so that recall is 1.
    """
    both = precision(real, fake, k), recall(real, fake, k)
    return 2 * both[0] * both[1] / sum(both) if sum(both) > 0 else 0.0


def density(real: Tensor, fake: Tensor, k: int = 5) -> float:
    """Number of real balls around a fake, over k, averaged over fakes.

    Other real images have 1; blurred ones, in the midst of real ones, more.
    """
    real, fake = as_pair(real, fake, at_least=1)
    radii = neighbour_radii(real, k)
    counts = [(chunk <= radii).sum(dim=1) for chunk in distance_chunks(fake, real)]
    return float(torch.cat(counts).double().mean() / k)


def coverage(real: Tensor, fake: Tensor, k: int = 5) -> float:
    """Share of reals (N, D) whose k-nearest-neighbour ball holds at least one fake (M, D)."""
    real, fake = as_pair(real, fake, at_least=1)
    to_fake, _ = nearest(real, fake)
    return float((to_fake <= neighbour_radii(real, k)).double().mean())
