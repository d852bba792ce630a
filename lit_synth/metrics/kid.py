"""Kernel distance: unbiased MMD² with a cubic kernel (Bińkowski et al. 2018, arXiv:1801.01401)."""

from typing import NamedTuple

import torch
from torch import Tensor

from lit_synth.metrics.distances import as_pair


class KID(NamedTuple):
    """Mean and standard deviation over subsets; slightly negative means are valid."""

    value: float
    std: float
    subset_size: int


def kid(
    real: Tensor, fake: Tensor, subset_size: int | None = None, subsets: int = 100, seed: int = 0
) -> KID:
    """Average, over random subsets, the unbiased MMD² under k(x, y) = (xᵀy / D + 1)³.

    Args:
        real: Features (N, D).
        fake: Features (M, D).
        subset_size: Images per subset; None is min(N, M, 1000).
        subsets: Number of subsets drawn; one is enough, and all is used, if subsets are whole sets.
        seed: Seed of the draw.
    """
    real, fake = as_pair(real, fake, at_least=max(2, subset_size or 2))
    size = subset_size or min(len(real), len(fake), 1000)
    if size == len(real) == len(fake):
        return KID(float(_mmd2(real, fake)), 0.0, size)
    rng = torch.Generator().manual_seed(seed)
    values = torch.stack(
        [_mmd2(_draw(real, size, rng), _draw(fake, size, rng)) for _ in range(subsets)]
    )
    return KID(float(values.mean()), float(values.std(correction=0)), size)


def _draw(features: Tensor, size: int, rng: torch.Generator) -> Tensor:
    rows = torch.randperm(len(features), generator=rng)[:size]
    return features[rows.to(features.device)]


def _mmd2(x: Tensor, y: Tensor) -> Tensor:
    pairs = len(x) * (len(x) - 1)
    k_xx, k_yy, k_xy = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    # Without their diagonals, the sums within a set are unbiased.
    within = (k_xx.sum() - k_xx.trace() + k_yy.sum() - k_yy.trace()) / pairs
    return within - 2 * k_xy.mean()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3
