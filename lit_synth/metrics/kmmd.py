"""Gaussian-kernel mean discrepancies: KMMD, of the thesis (tables 3.1, 3.2), and CMMD, of CLIP."""

from typing import NamedTuple

import torch
from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.metrics.distances import CHUNK_ROWS, as_pair, squared_distances

CMMD_BANDWIDTH, CMMD_SCALE = 10.0, 1000.0  # the paper's
UNIT = 1e-3  # by which the length of an embedding may miss 1


class KMMD(NamedTuple):
    """The discrepancy, and the kernel's bandwidth that it was measured with."""

    value: float
    bandwidth: float


def kmmd(real: Tensor, fake: Tensor) -> KMMD:
    """√(mean k_xx + mean k_yy − 2 mean k_xy), k(x, y) = exp(−‖x−y‖² / 2s²).

    The thesis names neither bandwidth nor feature space. Following Xu et al. (2018,
    arXiv:1806.07755), s² is the mean squared distance over all pairs of real images, and the
    diagonals count (biased, so that KMMD(X, X) = 0). Values of other bandwidths do not compare.

    Args:
        real: Features (N, D).
        fake: Features (M, D).
    """
    real, fake = as_pair(real, fake)
    # The mean over all pairs of ‖x−y‖² is twice the total variance.
    scale = 2 * float(real.var(0, correction=0).sum())
    if scale == 0:
        raise InputError(
            f"All {len(real)} real images have the same features, so KMMD has no bandwidth; "
            "give real images that differ."
        )
    within = _mean_kernel(real, real, scale) + _mean_kernel(fake, fake, scale)
    discrepancy = within - 2 * _mean_kernel(real, fake, scale)
    return KMMD(max(discrepancy, 0.0) ** 0.5, scale**0.5)


def cmmd(real: Tensor, fake: Tensor) -> float:
    """1000 (mean k_xx + mean k_yy - 2 mean k_xy), k(x, y) = exp(-|x-y|^2 / 2s^2), s = 10.

    So it is in Jayasumana et al. (2024, arXiv:2401.09603), of CLIP's embeddings of length 1; the
    diagonals count (biased, so that CMMD(X, X) = 0).

    Args:
        real: Embeddings (N, D).
        fake: Embeddings (M, D).

    Raises:
        InputError: If embeddings are not of length 1: other networks' features.
    """
    real, fake = as_pair(real, fake)
    lengths = torch.cat([real, fake]).norm(dim=1)
    if (lengths - 1).abs().max() > UNIT:
        raise InputError(
            f"cmmd compares CLIP's embeddings of length 1, but lengths reach {lengths.max():.3g}: "
            "give the extractor clip:PATH, or take kid."
        )
    scale = CMMD_BANDWIDTH**2
    within = _mean_kernel(real, real, scale) + _mean_kernel(fake, fake, scale)
    return CMMD_SCALE * (within - 2 * _mean_kernel(real, fake, scale))


def _mean_kernel(x: Tensor, y: Tensor, scale: float) -> float:
    chunks = torch.split(x, CHUNK_ROWS)
    total = sum(float((squared_distances(c, y) / (-2 * scale)).exp().sum()) for c in chunks)
    return total / (len(x) * len(y))
