"""MIND: sliced 2-Wasserstein distance of features (Berthet et al. 2026, arXiv:2605.06797)."""

import torch
from torch import Tensor

from lit_synth.metrics.distances import as_pair

PROJECTIONS = 1000  # the paper's
_AT_ONCE = 100  # directions whose projections lie in memory together


def mind(real: Tensor, fake: Tensor, projections: int = PROJECTIONS, seed: int = 0) -> float:
    """3D times the mean, over random directions u, of W2²(uᵀx, uᵀy), as the paper scales it.

    In one dimension the optimal plan pairs equal quantiles, so W2² is exact after sorting, for
    sides of unequal size too. No covariance is estimated, and no Gaussian is assumed: sets of
    equal mean and covariance may differ. It is biased upwards for few images, as sets of one
    distribution differ by chance: compare at equal N. Over `projections` directions, the value has
    a Monte Carlo error of its own, the same for all that share a seed.

    Args:
        real: Features (N, D).
        fake: Features (M, D).
        projections: Number of directions.
        seed: Seed of the directions.
    """
    real, fake = as_pair(real, fake)
    rng = torch.Generator().manual_seed(seed)
    directions = torch.randn(projections, real.shape[1], generator=rng, dtype=torch.float64)
    directions = (directions / directions.norm(dim=1, keepdim=True)).to(real.device)
    total = sum(
        float(_squared_w2(real @ some.T, fake @ some.T).sum())
        for some in torch.split(directions, _AT_ONCE)
    )
    return 3 * real.shape[1] * total / projections


def _squared_w2(x: Tensor, y: Tensor) -> Tensor:
    """W2² (K,) between the columns of x (N, K) and of y (M, K)."""
    x, y = x.sort(dim=0).values, y.sort(dim=0).values
    if len(x) == len(y):
        return (x - y).square().mean(0)
    # Quantile functions are steps that end at i / N and at j / M; in units of 1 / NM, integers.
    n, m = len(x), len(y)
    steps_of_x = torch.arange(1, n + 1, device=x.device) * m
    steps_of_y = torch.arange(1, m + 1, device=x.device) * n
    ends = torch.unique(torch.cat([steps_of_x, steps_of_y]))
    widths = ends.diff(prepend=ends.new_zeros(1)).to(x) / (n * m)
    return widths @ (x[(ends - 1) // m] - y[(ends - 1) // n]).square()
