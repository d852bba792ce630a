"""Pixels: as 8-bit values, and in the middle of pictures."""

import torch
from torch import Tensor


def as_uint8(images: Tensor) -> Tensor:
    """Images (N, C, H, W) in [-1, 1] as 8-bit values 0 to 255.

    Adding 128 instead of 127.5 makes the truncation a rounding, so 8-bit images return unchanged.
    """
    return (images.float() * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def middle(pictures: Tensor, size: int) -> Tensor:
    """Return the central squares (..., size, size) of pictures (..., H, W)."""
    top, left = ((side - size) // 2 for side in pictures.shape[-2:])
    return pictures[..., top : top + size, left : left + size]
