"""BicycleGAN's networks: U-Net with a latent, encoder, two scales (Zhu et al. 2017, 1711.11586)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.blocks import ConvPool3x3
from lit_synth.networks.parts.codes import check_size, init_he
from lit_synth.networks.parts.norms import InstanceNorm
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.resnet_translator import init_normal

SLOPE = 0.2
STD = 0.02  # of the weights of the code's layers


class BicycleGANGenerator(nn.Module):
    """Maps images and styles to images: a U-Net whose layers going down are given the style too.

    conv4x4 of stride 2 down to 1x1 pixel: w, 2w, 4w, then 8w channels, LeakyReLU .2 before all but
    the first, instance norm after all but the first and the last. Mirrored by ReLU, transposed
    conv4x4, instance norm; tanh. The style is repeated over all pixels and joined to what enters a
    layer, before the LeakyReLU.

    An instance norm takes away what is the same everywhere: of the style, the layers that have one
    see what zeros around the image leave of it, and the first and the innermost layer see all.
    Biases that a norm would cancel are left out. Weights start from N(0, .02) (the published code:
    Xavier's, times .02).

    Args:
        in_channels: Channels of the images that are given.
        out_channels: Channels of the images that are made.
        image_size: Height and width of the images, a power of two from 16 on.
        width: Channels w of the first layer.
        style_dim: Length of a style.
        style_at: Which layers going down are given the style: `all`, or the one at the `input`.
    """

    @records_init_args
    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        image_size: int = 256,
        width: int = 64,
        style_dim: int = 8,
        style_at: Literal["all", "input"] = "all",
    ) -> None:
        super().__init__()
        self.image_size, self.style_dim, self.style_at = image_size, style_dim, style_at
        widths = [width * min(8, 2**i) for i in range(_halvings(image_size))]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, (c_in, c_out) in enumerate(pairwise([in_channels, *widths])):
            given = style_dim if i == 0 or style_at == "all" else 0
            norm = 0 < i < len(widths) - 1
            self.down.append(_down(c_in + given, c_out, activate=i > 0, norm=norm))
        for i, (c_in, c_out) in enumerate(pairwise(widths[::-1])):
            joined = c_in if i == 0 else 2 * c_in
            self.up.append(_up(joined, c_out))
        self.output = nn.ConvTranspose2d(2 * width, out_channels, 4, stride=2, padding=1)
        init_normal(self)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Make images in [-1, 1] of images (N, C, H, W) and styles (N, style_dim)."""
        if x.shape[-2:] != (self.image_size, self.image_size):
            raise InputError(
                f"a BicycleGANGenerator of {self.image_size} px got images of "
                f"{x.shape[-2]}x{x.shape[-1]} px: resize the images, or build it with their "
                "image_size."
            )
        style = style[:, :, None, None]
        skips: list[Tensor] = []
        for i, layer in enumerate(self.down):
            if i == 0 or self.style_at == "all":
                x = torch.cat([x, style.to(x.dtype).expand(-1, -1, *x.shape[-2:])], dim=1)
            x = layer(x)
            skips.append(x)
        skips.pop()
        for layer in self.up:
            x = torch.cat([layer(x), skips.pop()], dim=1)
        return self.output(x.relu()).tanh()


class BicycleGANEncoder(nn.Module):
    """Maps images to the mean and the log variance of their style.

    conv4x4 of stride 2, then residual blocks that halve: (instance norm, LeakyReLU .2, conv3x3)
    twice and a mean over 2x2 pixels, beside such a mean and a conv1x1. LeakyReLU, the mean over all
    pixels, a linear layer each. At 256 px the published one has 4 blocks and leaves 8x8 pixels.

    A bias that a norm would cancel is left out. Convolutions start as He's, the linear layers from
    N(0, .02) (the published code: Xavier's, times .02, which fades through narrow layers).

    Args:
        channels: Channels of the images.
        widths: Channels of the first convolution and of each block.
        style_dim: Length of a style.
    """

    @records_init_args
    def __init__(
        self,
        channels: int = 3,
        widths: Sequence[int] = (64, 128, 192, 256, 256),
        style_dim: int = 8,
    ) -> None:
        super().__init__()
        self.style_dim = style_dim
        self.first = nn.Conv2d(channels, widths[0], kernel_size=4, stride=2, padding=1)
        self.blocks = nn.ModuleList(_Block(*pair) for pair in pairwise(widths))
        self.mean = nn.Linear(widths[-1], style_dim)
        self.log_variance = nn.Linear(widths[-1], style_dim)
        init_he(self, SLOPE)
        for layer in (self.mean, self.log_variance):
            nn.init.normal_(layer.weight, std=STD)
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, each (N, style_dim), of images (N, C, H, W)."""
        check_size(images, multiple=2 ** (len(self.blocks) + 1))
        x = self.first(images)
        for block in self.blocks:
            x = block(x)
        h = F.leaky_relu(x, SLOPE).mean(dim=(2, 3))
        return self.mean(h), self.log_variance(h)


class BicycleGANDiscriminator(nn.Module):
    """Scores patches at several scales, each with a network of its own and half the channels.

    conv4x4 with LeakyReLU .2, all but the first with instance norm, all but the last of stride 2;
    conv4x4 to one score. Each scale halves the images by the mean over 3x3 pixels. Biases that a
    norm would cancel are left out. Weights start as He's, as in `PatchDiscriminator`.

    Args:
        channels: Channels of its input, images joined where it judges pairs.
        widths: Channels of the hidden layers at the finest scale.
        scales: How many.
    """

    @records_init_args
    def __init__(
        self,
        channels: int = 3,
        widths: Sequence[int] = (64, 128, 256, 512),
        scales: int = 2,
    ) -> None:
        super().__init__()
        # Two convolutions of 4x4 pixels that keep the size need 3 pixels to leave 1.
        self.smallest = 3 * 2 ** (len(widths) - 2 + scales)
        self.scales = nn.ModuleList(
            _scores(channels, [max(1, round(width / 2**i)) for width in widths])
            for i in range(scales)
        )
        init_he(self, SLOPE)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Score images (N, C, H, W): (N, 1, h, w) of each scale, the finest first."""
        if min(x.shape[-2:]) < self.smallest:
            raise InputError(
                f"a BicycleGANDiscriminator got images of {x.shape[-2]}x{x.shape[-1]} px, and "
                f"its {len(self.scales)} scales need {self.smallest}: use larger images, fewer "
                "scales or fewer widths."
            )
        scores = []
        for scale in self.scales:
            scores.append(scale(x))
            # Zeros around the image are no part of the mean.
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return scores


class _Block(nn.Module):
    """A residual block that halves."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.norm = InstanceNorm()
        self.conv1 = nn.Conv2d(c_in, c_in, kernel_size=3, padding=1, bias=False)
        self.conv2 = ConvPool3x3(c_in, c_out)
        self.shortcut = nn.Conv2d(c_in, c_out, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.leaky_relu(self.norm(x), SLOPE))
        h = self.conv2(F.leaky_relu(self.norm(h), SLOPE))
        return h + self.shortcut(F.avg_pool2d(x, 2))


def _halvings(image_size: int) -> int:
    """Count the halvings that lead from the image to one pixel."""
    halvings = image_size.bit_length() - 1
    if image_size != 2**halvings or halvings < 4:
        raise InputError(
            f"image_size is {image_size}; a BicycleGANGenerator halves its images down to one "
            "pixel: resize them to a power of two from 16 px on."
        )
    return halvings


def _down(c_in: int, c_out: int, activate: bool, norm: bool) -> nn.Sequential:
    layers = nn.Sequential(nn.LeakyReLU(SLOPE)) if activate else nn.Sequential()
    layers.append(nn.Conv2d(c_in, c_out, kernel_size=4, stride=2, padding=1, bias=not norm))
    return layers.append(InstanceNorm()) if norm else layers


def _up(c_in: int, c_out: int) -> nn.Sequential:
    conv = nn.ConvTranspose2d(c_in, c_out, kernel_size=4, stride=2, padding=1, bias=False)
    return nn.Sequential(nn.ReLU(), conv, InstanceNorm())


def _scores(channels: int, widths: Sequence[int]) -> nn.Sequential:
    """Build the network of a scale."""
    body = nn.Sequential()
    for i, (c_in, c_out) in enumerate(pairwise([channels, *widths])):
        stride = 2 if i < len(widths) - 1 else 1
        body.append(nn.Conv2d(c_in, c_out, kernel_size=4, stride=stride, padding=1, bias=i == 0))
        if i > 0:
            body.append(InstanceNorm())
        body.append(nn.LeakyReLU(SLOPE))
    return body.append(nn.Conv2d(widths[-1], 1, kernel_size=4, padding=1))
