"""Styles of images: Gram matrices of their features (Gatys et al. 2015, arXiv:1508.06576)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_synth.losses.total import total


def gram(features: Tensor) -> Tensor:
    """Return F F^T / (C H W) of each image, F being its features as C rows.

    Args:
        features: (N, C, H, W).

    Returns:
        (N, C, C), float32 or wider.
    """
    rows = features.to(torch.promote_types(features.dtype, torch.float32)).flatten(2)
    return torch.bmm(rows, rows.mT) / rows[0].numel()


def gram_loss(made: Sequence[Tensor], true: Sequence[Tensor]) -> Tensor:
    """Mean squared difference of the Gram matrices of made and true images, summed over layers.

    Args:
        made: Features of each layer (N, C, H, W).
        true: Likewise; no gradient passes through them.

    Returns:
        Scalar mean over images.
    """
    terms = []
    for y, x in zip(made, true, strict=True):
        # Both in one product, as they are of one shape.
        ours, theirs = gram(torch.cat([y, x.detach()])).chunk(2)
        terms.append(F.mse_loss(ours, theirs))
    return total(terms)
