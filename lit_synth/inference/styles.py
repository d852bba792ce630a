"""Styles to translate in: the same for all inputs and all methods."""

import torch
from torch import Tensor

from lit_synth.contracts.translator import MakesStyles


def fixed_styles(n: int, style_dim: int, seed: int) -> Tensor:
    """Return the standard normal styles (n, style_dim) of a seed."""
    return torch.randn(n, style_dim, generator=torch.Generator().manual_seed(seed))


def styles_of(method: object, noise: Tensor) -> Tensor:
    """Return what standard normal noise is as a method's styles: itself, or made of it."""
    return method.styles_of(noise) if isinstance(method, MakesStyles) else noise


def beside(styles: Tensor, data: Tensor) -> Tensor:
    """Return styles on the device of a modality's data, in its type unless that is of labels."""
    return styles.to(data) if data.is_floating_point() else styles.to(data.device)


STYLE = "style"
