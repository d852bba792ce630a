"""Parts that several families of networks share."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.norms import BatchNorm


class UpConv3x3(nn.Conv2d):
    """Nearest x2 enlargement, then a 3x3 convolution with zero padding 1."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return up_conv3x3(x, self.weight, self.bias)


class ConvPool3x3(nn.Conv2d):
    """A 3x3 convolution with zero padding 1, then the mean of 2x2 pixels."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return conv3x3_pool(x, self.weight, self.bias)


class PixelNorm(nn.Module):
    """x / sqrt(mean over features of x^2 + 1e-8) (PGAN, arXiv:1710.10196, section 4.2)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class UpBlock(nn.Module):
    """Pre-activation residual block of a generator: twice the size.

    norm, ReLU, nearest x2, conv3x3, norm, ReLU, conv3x3; shortcut nearest x2, conv1x1.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        norm: Builds a `BatchNorm`, or something called alike, for a number of channels.
        bias: Has the first convolution a bias?
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: Callable[[int], nn.Module],
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(in_channels), norm(out_channels)
        self.conv1 = UpConv3x3(in_channels, out_channels, bias=bias)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        h = self.conv1(F.relu(self.norm1(x, label)))
        h = self.conv2(F.relu(self.norm2(h, label)))
        # A 1x1 convolution commutes with nearest enlargement, and is cheaper before it.
        return h + F.interpolate(self.shortcut(x), scale_factor=2, mode="nearest")


class Residual(nn.Module):
    """residual(x) + shortcut(x).

    Args:
        residual: The branch that learns.
        shortcut: The branch that passes on.
    """

    def __init__(self, residual: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.residual, self.shortcut = residual, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.residual(x) + self.shortcut(x)


def down_block(
    in_channels: int,
    out_channels: int,
    norm: Callable[[int], nn.Module] | None,
    bias: bool = False,
) -> Residual:
    """Build a pre-activation residual block of a critic: half the size.

    norm, ReLU, conv3x3, norm, ReLU, conv3x3, 2x2 mean; shortcut 2x2 mean, conv1x1.

    Args:
        in_channels: Channels of its input, kept by the first convolution.
        out_channels: Channels of its output.
        norm: Builds a norm for a number of channels; None for no norms.
        bias: Has the first convolution a bias?

    Returns:
        The block.
    """
    conv1 = nn.Conv2d(in_channels, in_channels, kernel_size=3, padding=1, bias=bias)
    conv2 = ConvPool3x3(in_channels, out_channels)
    norms = [norm(in_channels), norm(in_channels)] if norm else [nn.Identity(), nn.Identity()]
    residual = nn.Sequential(norms[0], nn.ReLU(), conv1, norms[1], nn.ReLU(), conv2)
    return Residual(residual, pooled_shortcut(in_channels, out_channels))


def pooled_shortcut(in_channels: int, out_channels: int) -> nn.Sequential:
    """Build a shortcut of half the size: 2x2 mean, conv1x1.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.

    Returns:
        The shortcut.
    """
    return nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(in_channels, out_channels, kernel_size=1))


def layer_norm(channels: int) -> nn.GroupNorm:
    """Build a norm over C, H, W of each image with an affine map per channel.

    Args:
        channels: Channels of its input.

    Returns:
        The norm.
    """
    return nn.GroupNorm(1, channels, eps=1e-5)


def batch_norm(num_classes: int, running_stats: bool) -> Callable[[int], nn.Module]:
    """Return a builder of `BatchNorm` that awaits the number of channels.

    Args:
        num_classes: Classes with an affine map each, 0 for one map.
        running_stats: Use running statistics in eval mode?

    Returns:
        A function of the number of channels.
    """
    return lambda channels: BatchNorm(channels, num_classes, running_stats)


def class_vector(table: nn.Embedding, label: Tensor) -> Tensor:
    """Return vectors (N, D) of labels (N,); vectors that are given for labels are returned."""
    return label if label.is_floating_point() else table(label)


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
            f"This network has {num_classes} classes but got no labels; pass labels (N,) as its "
            f"second argument."
        )
    if label is not None and not num_classes:
        raise InputError(
            "This network is unconditional but got labels; leave them out, or build it with "
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


def init_uniform(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, he: bool) -> None:
    """Draw weights from U with std sqrt(4 / (fan_in + fan_out)), or sqrt(2 / ...); biases are 0.

    The initialisation of WGAN-GP (arXiv:1704.00028) and SNGAN: `he` is for layers that a ReLU
    precedes. Fans of a strided layer count the taps that one of its finer pixels takes part in.

    Args:
        layer: The layer to initialise in place.
        he: Choose the larger?
    """
    if isinstance(layer, nn.Linear):
        fans = float(layer.in_features + layer.out_features)
    else:
        taps = math.prod(layer.kernel_size)
        sparse_taps = taps / math.prod(layer.stride)
        upwards = isinstance(layer, nn.ConvTranspose2d)
        fans = layer.in_channels * (sparse_taps if upwards else taps)
        fans += layer.out_channels * (taps if upwards else sparse_taps)
    bound = math.sqrt(3 * (4 if he else 2) / fans)
    nn.init.uniform_(layer.weight, -bound, bound)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def up_conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Enlarge features x2, nearest, and convolve them 3x3 with zero padding 1.

    Computed as one transposed 4x4 convolution with stride 2, the same map with 4/9 of its
    multiplications: enlarged pixels are equal in 2x2 groups, so that taps falling in one group
    add up to one tap.

    Args:
        x: Features (N, I, H, W).
        weight: Kernels (O, I, 3, 3).
        bias: For each output channel (O,), or None.
    """
    kernel = _sum_over_2x2_shifts(weight).flip(2, 3).transpose(0, 1)
    return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1)


def conv3x3_pool(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve features 3x3 with zero padding 1, and take the mean of 2x2 pixels.

    Computed as one 4x4 convolution with stride 2, the same map with 4/9 of its multiplications.

    Args:
        x: Features (N, I, H, W), H and W even.
        weight: Kernels (O, I, 3, 3).
        bias: For each output channel (O,), or None.
    """
    return F.conv2d(x, _sum_over_2x2_shifts(weight) / 4, bias, stride=2, padding=1)


def _sum_over_2x2_shifts(kernel: Tensor) -> Tensor:
    """Correlate 3x3 kernels with a 2x2 box of ones: (O, I, 3, 3) -> (O, I, 4, 4)."""
    rows = F.pad(kernel, (0, 0, 0, 1)) + F.pad(kernel, (0, 0, 1, 0))
    return F.pad(rows, (0, 1)) + F.pad(rows, (1, 0))
