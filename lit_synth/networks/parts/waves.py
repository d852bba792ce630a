"""Latents with waves of their coordinates, from which thresholds are soon learned."""

import torch
from torch import Tensor


def waves(z: Tensor, harmonics: int) -> Tensor:
    """Return z, and sines and cosines of 2^k pi (2 Phi(z) - 1).

    Phi is the normal distribution function. From waves a network soon learns what changes from one
    range of a coordinate to the next, such as a class that is drawn by it (Fourier features, Tancik
    et al. 2020, arXiv:2006.10739).

    Args:
        z: Latents (N, D).
        harmonics: How many k, from 0.

    Returns:
        (N, D + 2 D harmonics).
    """
    angle = torch.pi * torch.erf(z / 2**0.5)
    turns = [2**k * angle for k in range(harmonics)]
    return torch.cat([z, *(wave for turn in turns for wave in (turn.sin(), turn.cos()))], dim=1)
