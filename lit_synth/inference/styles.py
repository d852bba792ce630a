"""Styles to translate in: the same for all inputs and all methods."""

import torch
from torch import Tensor


def fixed_styles(n: int, style_dim: int, seed: int) -> Tensor:
    """Return the styles (n, style_dim) of a seed."""
    return torch.randn(n, style_dim, generator=torch.Generator().manual_seed(seed))


STYLE = "style"
