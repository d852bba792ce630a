"""The grown networks of Progressive GAN (Karras et al. 2018, arXiv:1710.10196)."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.blocks import PixelNorm, up_conv3x3
from lit_synth.networks.parts.minibatch import MinibatchDeviation
from lit_synth.networks.parts.rebuilding import records_init_args

SLOPE = 0.2
CHANNELS = (512, 512, 512, 512, 256, 128, 64)  # at 4 to 256 pixels; 32 at 512 and 16 at 1024


class PGANGenerator(nn.Module):
    """FC to 4x4, conv3x3, then (nearest x2, conv3x3, conv3x3) per doubling, then conv1x1.

    z and the features of every layer are normalised pixel by pixel, after LeakyReLU .2. Weights
    are stored as N(0, 1) and scaled in every pass (see `EqualisedConv2d`).

    It stands for the end of growing, where only the last of `to_image` counts; those of smaller
    images, and with them the fading of one size into the next, are kept so that a file that holds
    them comes back whole. Without `tanh`, as published, images only approach [-1, 1].

    Args:
        channels: Channels at 4, 8, 16, ... pixels; how many there are sets the size of the images.
        latent_dim: Length of z.
        image_channels: Channels of the images.
        tanh: Bound the images by tanh?
    """

    @records_init_args
    def __init__(
        self,
        channels: Sequence[int] = CHANNELS,
        latent_dim: int = 512,
        image_channels: int = 3,
        tanh: bool = False,
    ) -> None:
        super().__init__()
        self.image_size, self.image_channels = _image_size(channels), image_channels
        self.latent_dim, self.num_classes, self.tanh = latent_dim, 0, tanh
        first = channels[0]
        self.normalise = PixelNorm()
        self.fc = EqualisedLinear(latent_dim, first * 4 * 4)
        self.conv = EqualisedConv2d(first, first, 3)
        self.body = nn.ModuleList(_Up(c_in, c_out) for c_in, c_out in pairwise(channels))
        self.to_image = nn.ModuleList(EqualisedConv2d(c, image_channels, 1) for c in channels)

    def forward(self, z: Tensor) -> Tensor:
        h = F.leaky_relu(self.fc(self.normalise(z)), SLOPE).view(z.size(0), -1, 4, 4)
        h = self.normalise(F.leaky_relu(self.conv(self.normalise(h)), SLOPE))
        for block in self.body:
            h = block(h)
        x: Tensor = self.to_image[-1](h)
        return x.tanh() if self.tanh else x


class PGANCritic(nn.Module):
    """conv1x1, then (conv3x3, conv3x3, 2x2 mean) down to 4x4, conv3x3, FC and FC.

    Mirrors `PGANGenerator`, without its norms. Before 4x4's convolution the deviation within a
    group of images joins the features as one more channel (`MinibatchDeviation`).

    Args:
        channels: Channels at 4, 8, 16, ... pixels; how many there are sets the size of the images.
        image_channels: Channels of the images.
        minibatch_deviation: Tell it how far the images of its batch differ?
    """

    @records_init_args
    def __init__(
        self,
        channels: Sequence[int] = CHANNELS,
        image_channels: int = 3,
        minibatch_deviation: bool = True,
    ) -> None:
        super().__init__()
        self.image_size, self.image_channels = _image_size(channels), image_channels
        self.num_classes = 0
        first = channels[0]
        self.from_image = nn.ModuleList(EqualisedConv2d(image_channels, c, 1) for c in channels)
        largest_first = [*channels][::-1]
        self.body = nn.Sequential(*(_Down(*pair) for pair in pairwise(largest_first)))
        self.deviation = MinibatchDeviation() if minibatch_deviation else nn.Identity()
        self.conv = EqualisedConv2d(first + minibatch_deviation, first, 3)
        self.fc = EqualisedLinear(first * 4 * 4, first)
        self.score = EqualisedLinear(first, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(F.leaky_relu(self.from_image[-1](x), SLOPE))
        h = F.leaky_relu(self.conv(self.deviation(h)), SLOPE).flatten(1)
        score: Tensor = self.score(F.leaky_relu(self.fc(h), SLOPE)).squeeze(1)
        return score


class EqualisedConv2d(nn.Conv2d):
    """A convolution of odd kernel that keeps the size, its weights and bias times sqrt(2 / fan in).

    Weights start from N(0, 1), so that Adam moves all layers alike (section 4.1). As in
    pytorch_GAN_zoo the bias is scaled too, and the gain is that of a ReLU in every layer.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        kernel_size: Height and width of the kernel.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.gain = _start_equalised(self)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, *self.scaled(), padding=self.padding)

    def scaled(self) -> tuple[Tensor, Tensor]:
        """Return the weights and the bias that it convolves with."""
        assert self.bias is not None
        return self.weight * self.gain, self.bias * self.gain


class EqualisedLinear(nn.Linear):
    """A linear layer, its weights and bias times sqrt(2 / fan in): see `EqualisedConv2d`.

    Args:
        in_features: Length of its input.
        out_features: Length of its output.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.gain = _start_equalised(self)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.gain, self.bias * self.gain)


class _Up(nn.Module):
    """Nearest x2, conv3x3, conv3x3; LeakyReLU and pixel norm after each."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = EqualisedConv2d(in_channels, out_channels, 3)
        self.conv2 = EqualisedConv2d(out_channels, out_channels, 3)
        self.normalise = PixelNorm()

    def forward(self, x: Tensor) -> Tensor:
        h = self.normalise(F.leaky_relu(up_conv3x3(x, *self.conv1.scaled()), SLOPE))
        return self.normalise(F.leaky_relu(self.conv2(h), SLOPE))


class _Down(nn.Module):
    """conv3x3, conv3x3 with LeakyReLU after each, then 2x2 mean."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = EqualisedConv2d(in_channels, in_channels, 3)
        self.conv2 = EqualisedConv2d(in_channels, out_channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu(self.conv1(x), SLOPE)
        return F.avg_pool2d(F.leaky_relu(self.conv2(h), SLOPE), 2)


def _start_equalised(layer: nn.Conv2d | nn.Linear) -> float:
    """Draw weights from N(0, 1), set the bias to 0, and return the gain of both."""
    assert layer.bias is not None
    nn.init.normal_(layer.weight)
    nn.init.zeros_(layer.bias)
    return math.sqrt(2 / layer.weight[0].numel())


def _image_size(channels: Sequence[int]) -> int:
    if not 1 <= len(channels) <= 9 or min(channels) < 1:
        raise InputError(
            f"channels is {list(channels)}: expected 1 to 9 positive numbers, one for each of the "
            "sizes 4, 8, ... up to 1024 pixels."
        )
    return int(4 * 2 ** (len(channels) - 1))
