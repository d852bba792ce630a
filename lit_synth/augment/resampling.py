"""Move the pixels of images by affine maps, without aliasing, with gradients of any order."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

# Low-pass filter of the wavelet sym6: with itself mirrored and every second sample kept, it is 1.
SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
BEFORE = 5  # taps that lie before a pixel's first half
AROUND = len(SYM6) - 2  # samples at twice the size that a reduction needs beyond the image
MIDDLE = sum(tap * weight for tap, weight in enumerate(SYM6)) / sum(SYM6)  # 5.1 of the 0 to 11


def warped(x: Tensor, inverse: Tensor) -> Tensor:
    """Return images whose pixel at q is the input's at `inverse` q (arXiv:2006.06676, appendix B).

    They are enlarged twice by the wavelet sym6, read off bilinearly where the map says, and reduced
    by the mirrored wavelet, so that the identity gives the image back. Samples are placed by the
    wavelet's first moment: it is not symmetric, and a mirrored image would be moved by .4 pixels if
    they were placed by the middle of its taps. Outside the image is its
    mirror image. Published code mirrors pixels before it enlarges, and only so far; here what is
    read off outside is mirrored: they differ in a margin by what the wavelet lacks in symmetry.

    Args:
        x: Images (N, C, H, W).
        inverse: Maps (N, 3, 3) of (column, row, 1), in pixels from the middle of the image.
    """
    height, width = x.shape[2:]
    rows, columns = _enlarging(height, x.dtype, x.device), _enlarging(width, x.dtype, x.device)
    enlarged = rows @ x @ columns.T
    read = _Reading.apply(enlarged, _places(inverse, height, width))
    rows, columns = _reducing(height, x.dtype, x.device), _reducing(width, x.dtype, x.device)
    return rows @ read @ columns.T


def _places(inverse: Tensor, height: int, width: int) -> Tensor:
    """Return where to read, (N, 2 H + 10, 2 W + 10, 2), with the image from -1 to 1."""
    y, x = (
        (torch.arange(2 * size + AROUND).to(inverse) - MIDDLE - (size - 1)) / 2
        for size in (height, width)
    )
    q = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], dim=2)
    places = torch.einsum("hwj,nij->nhwi", q, inverse[:, :2, :2]) + inverse[:, None, None, :2, 2]
    return (2 * places + MIDDLE - BEFORE - 0.5) / places.new_tensor([width, height])


@lru_cache(maxsize=16)
def _enlarging(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the matrix (2 size, size) that doubles a row of pixels, mirrored at its edges."""
    taps = torch.zeros(2 * size, size, dtype=torch.float64)
    for sample in range(2 * size):
        for tap, weight in enumerate(SYM6):
            twice = sample - tap + BEFORE  # of the pixel that this tap weighs
            if twice % 2 == 0:
                taps[sample, _mirrored(twice // 2, size)] += weight
    return taps.to(device, dtype)


@lru_cache(maxsize=16)
def _reducing(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the matrix (size, 2 size + 10) that halves a row, `BEFORE` samples before it on."""
    taps = torch.zeros(size, 2 * size + AROUND, dtype=torch.float64)
    for pixel in range(size):
        taps[pixel, 2 * pixel : 2 * pixel + len(SYM6)] = torch.tensor(SYM6, dtype=torch.float64)
    return taps.to(device, dtype)


def _mirrored(position: int, size: int) -> int:
    position %= 2 * size
    return position if position < size else 2 * size - 1 - position


class _Reading(torch.autograd.Function):
    """Bilinear reading of images at places, mirrored outside; linear in the images.

    Torch's own has no second derivative. Of a linear map the backward is its transpose, and the
    backward of that the map again.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.shape = images.shape
        return torch.grid_sampler_2d(images, places, 0, 2, False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        return _ReadingTransposed.apply(gradients[0], places, ctx.shape), None


class _ReadingTransposed(torch.autograd.Function):
    """The transpose of `_Reading`: spreads what was read over the pixels that it was read from."""

    @staticmethod
    def forward(ctx: Any, read: Tensor, places: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(places)
        unread = read.new_empty(shape)  # its values count for the places' gradient alone
        spread, _ = torch.ops.aten.grid_sampler_2d_backward(
            read, unread, places, 0, 2, False, [True, False]
        )
        return spread

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        return _Reading.apply(gradients[0], places), None, None
