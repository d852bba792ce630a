"""Codes of styles: do their distances order what is true, and are drawn ones like real ones?"""

import torch
from torch import Tensor

FAR, NEAR = 0.99, 0.5  # quantiles of the distances of real codes to their nearest other


def distance_spearman(codes: Tensor, truth: Tensor) -> float:
    """Return Spearman's rank correlation of the distances of all pairs; equal ones share a rank.

    Args:
        codes: (N, d), N at least 3.
        truth: Points (N, D).

    Returns:
        In [-1, 1]; 0 if all distances of one side are equal.
    """
    ranks = [_ranks(torch.pdist(points.double())) for points in (codes, truth)]
    a, b = (rank - rank.mean() for rank in ranks)
    spread = a.norm() * b.norm()
    return float(a @ b / spread) if spread > 0 else 0.0


def off_and_cover(drawn: Tensor, real: Tensor) -> tuple[float, float]:
    """Tell how many drawn codes are off the real ones, and how many of these they cover.

    Off is a code that is further from the nearest real one than 99 % of these are from each other;
    covered is a real one with a drawn one nearer than half of them are. As many real codes would
    be off by .01, and cover .5.

    Args:
        drawn: (M, d), M about N.
        real: (N, d), N at least 3.

    Returns:
        Shares in [0, 1].
    """
    between = torch.cdist(real, real).fill_diagonal_(torch.inf).amin(dim=1)
    far, near = between.quantile(FAR), between.quantile(NEAR)
    distances = torch.cdist(drawn, real)
    off = (distances.amin(dim=1) > far).double().mean()
    return float(off), float((distances.amin(dim=0) < near).double().mean())


def _ranks(values: Tensor) -> Tensor:
    _, which, counts = torch.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum(0).double()
    return (ends - (counts - 1) / 2)[which]
