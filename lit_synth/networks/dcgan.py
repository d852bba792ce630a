"""The pair of DCGAN (Radford et al. 2016, arXiv:1511.06434) as the PyTorch examples have it."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from lit_synth.networks.parts.blocks import stages_from_4px
from lit_synth.networks.parts.norms import BatchNorm
from lit_synth.networks.parts.rebuilding import records_init_args

SIZES = (16, 32, 64, 128)
STD = 0.02  # of initial weights


class DCGANGenerator(nn.Module):
    """Transposed 4x4 convolutions: z to 4x4, then x2 each; batch norm, ReLU between; tanh.

    Follows https://github.com/pytorch/examples (dcgan), which is of 64 px; at other sizes the
    channels, which halve from one size to the next, end alike. No layer has a bias.

    Args:
        image_size: 16, 32, 64 or 128.
        image_channels: Channels of the images.
        latent_dim: Length of z.
        width: Channels before the last convolution.
    """

    @records_init_args
    def __init__(
        self,
        image_size: int = 64,
        image_channels: int = 3,
        latent_dim: int = 100,
        width: int = 64,
    ) -> None:
        super().__init__()
        channels = _channels_from_4px(image_size, width)
        self.image_size, self.image_channels = image_size, image_channels
        self.latent_dim, self.num_classes = latent_dim, 0
        to_4px = nn.ConvTranspose2d(latent_dim, channels[0], kernel_size=4, bias=False)
        self.body = nn.Sequential(to_4px, CountingBatchNorm(channels[0]), nn.ReLU())
        for c_in, c_out in pairwise(channels):
            self.body.extend([_up(c_in, c_out), CountingBatchNorm(c_out), nn.ReLU()])
        self.to_image = _up(width, image_channels)
        _init_normal(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.to_image(self.body(z[:, :, None, None])).tanh()


class DCGANCritic(nn.Module):
    """4x4 convolutions with stride 2, batch norm on all but the first, LeakyReLU .2; then to 1x1.

    Mirrors `DCGANGenerator`. Its score is what the example's discriminator puts through a sigmoid.
    With its batch norm it cannot be the critic of a gradient penalty.

    Args:
        image_size: 16, 32, 64 or 128.
        image_channels: Channels of the images.
        width: Channels after the first convolution.
    """

    @records_init_args
    def __init__(self, image_size: int = 64, image_channels: int = 3, width: int = 64) -> None:
        super().__init__()
        channels = _channels_from_4px(image_size, width)[::-1]
        self.image_size, self.image_channels, self.num_classes = image_size, image_channels, 0
        self.body = nn.Sequential(_down(image_channels, width), nn.LeakyReLU(0.2))
        for c_in, c_out in pairwise(channels):
            self.body.extend([_down(c_in, c_out), CountingBatchNorm(c_out), nn.LeakyReLU(0.2)])
        self.score = nn.Conv2d(channels[-1], 1, kernel_size=4, bias=False)
        _init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(self.body(x)).flatten()


class CountingBatchNorm(BatchNorm):
    """Batch norm with running statistics, which counts its batches as PyTorch's does.

    Nothing depends on the count, but files of weights hold it.

    Args:
        channels: Channels of its input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, running_stats=True)
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.long))
        self.num_batches_tracked: Tensor

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        if self.training:
            self.num_batches_tracked += 1
        return super().forward(x, label)


def _channels_from_4px(image_size: int, width: int) -> list[int]:
    stages = stages_from_4px(image_size, SIZES)
    return [width * 2**i for i in reversed(range(stages))]


def _up(c_in: int, c_out: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(c_in, c_out, kernel_size=4, stride=2, padding=1, bias=False)


def _down(c_in: int, c_out: int) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel_size=4, stride=2, padding=1, bias=False)


def _init_normal(network: nn.Module) -> None:
    """Draw convolutions from N(0, .02) and the gains of norms from N(1, .02)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=STD)
        elif isinstance(layer, BatchNorm):
            nn.init.normal_(layer.weight, mean=1.0, std=STD)
