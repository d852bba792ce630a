"""Parts that several families of networks share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError


class UpConv3x3(nn.Conv2d):
    """Nearest x2 enlargement, then a 3x3 convolution with zero padding 1.

    Computed as one transposed 4x4 convolution with stride 2, the same map with 4/9 of its
    multiplications: enlarged pixels are equal in 2x2 groups, so that taps falling in one group
    add up to one tap.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        kernel = _sum_over_2x2_shifts(self.weight).flip(2, 3).transpose(0, 1)
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


class ConvPool3x3(nn.Conv2d):
    """A 3x3 convolution with zero padding 1, then the mean of 2x2 pixels.

    Computed as one 4x4 convolution with stride 2, the same map with 4/9 of its multiplications.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        kernel = _sum_over_2x2_shifts(self.weight) / 4
        return F.conv2d(x, kernel, self.bias, stride=2, padding=1)


class PixelNorm(nn.Module):
    """x / sqrt(mean over features of x^2 + 1e-8) (PGAN, arXiv:1710.10196, section 4.2)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def check_labels(num_classes: int, label: Tensor | None) -> None:
    """Refuse a label where there are no classes, and none where there are some.

    Args:
        num_classes: Classes of the network, 0 if it is unconditional.
        label: Class of each image (N,), or None.

    Raises:
        InputError: If the two disagree.
    """
    if label is None and num_classes:
        raise InputError(
            f"This generator has {num_classes} classes but got no labels; call generator(z, label)."
        )
    if label is not None and not num_classes:
        raise InputError(
            "This generator is unconditional but got labels; call generator(z), or build it with "
            "num_classes."
        )


def stages_from_4px(image_size: int, allowed: tuple[int, ...]) -> int:
    """Count the doublings that lead from 4x4 pixels to the image.

    Args:
        image_size: Height and width of the image.
        allowed: Sizes that the family is defined for, each 4 times a power of two.

    Returns:
        log2(image_size / 4).

    Raises:
        InputError: If the size is not one of the allowed.
    """
    if image_size not in allowed:
        raise InputError(
            f"image_size is {image_size}; this network is defined for "
            f"{', '.join(map(str, allowed))} pixels: resize the images to one of these."
        )
    return image_size.bit_length() - 3


def _sum_over_2x2_shifts(kernel: Tensor) -> Tensor:
    """Correlate 3x3 kernels with a 2x2 box of ones: (O, I, 3, 3) -> (O, I, 4, 4)."""
    rows = F.pad(kernel, (0, 0, 0, 1)) + F.pad(kernel, (0, 0, 1, 0))
    return F.pad(rows, (0, 1)) + F.pad(rows, (1, 0))
