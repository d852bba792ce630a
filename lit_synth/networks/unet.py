"""The U-Net generator of pix2pix (Isola et al. 2017, arXiv:1611.07004, section 6.1)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.norms import BatchNorm
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.resnet_translator import init_normal


class UNet(nn.Module):
    """conv4x4 of stride 2 down to 1x1, mirrored; each decoder layer but the first sees a skip.

    Encoder: w, 2w, 4w, then 8w; batch norm except in the first and the last layer, LeakyReLU .2.
    Decoder: transposed conv4x4, batch norm, dropout .5 in the first three, ReLU. Weights start
    from N(0, .02).

    The published code translates with dropout and batch statistics also at test time; ours drops
    nothing in eval mode and uses running statistics, so that a translation depends on its own
    image alone. Dropout draws from PyTorch's global generator: a resumed run restores it, but a
    run of several processes does not drop what one process would.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        image_size: Height and width of the images, a power of two from 16 on.
        width: Channels w of the first layer.
        dropout: Drop features in training?
        tanh: End in tanh, as images do?
    """

    @records_init_args
    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        image_size: int = 256,
        width: int = 64,
        dropout: bool = True,
        tanh: bool = True,
    ) -> None:
        super().__init__()
        self.image_size, self.tanh = image_size, tanh
        widths = [width * min(8, 2**i) for i in range(_halvings(image_size))]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, (c_in, c_out) in enumerate(pairwise([in_channels, *widths])):
            norm = 0 < i < len(widths) - 1  # with one image, that of 1x1 pixel would be 0
            self.down.append(_down(c_in, c_out, activate=i > 0, norm=norm))
        for i, (c_in, c_out) in enumerate(pairwise(widths[::-1])):
            joined = c_in if i == 0 else 2 * c_in
            self.up.append(_up(joined, c_out, dropout=dropout and i < 3))
        self.output = nn.ConvTranspose2d(2 * width, out_channels, 4, stride=2, padding=1)
        init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2:] != (self.image_size, self.image_size):
            raise InputError(
                f"a UNet of {self.image_size} px got images of {x.shape[-2]}x{x.shape[-1]} px: "
                f"resize the images, or build it with their image_size."
            )
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        skips.pop()
        for layer in self.up:
            x = torch.cat([layer(x), skips.pop()], dim=1)
        y = self.output(x.relu())
        return y.tanh() if self.tanh else y


def _halvings(image_size: int) -> int:
    """Count the halvings that lead from the image to one pixel."""
    halvings = image_size.bit_length() - 1
    if image_size != 2**halvings or halvings < 4:
        raise InputError(
            f"image_size is {image_size}; a UNet halves its images down to one pixel: resize them "
            f"to a power of two from 16 px on."
        )
    return halvings


def _down(c_in: int, c_out: int, activate: bool, norm: bool) -> nn.Sequential:
    layers = nn.Sequential(nn.LeakyReLU(0.2)) if activate else nn.Sequential()
    layers.append(nn.Conv2d(c_in, c_out, kernel_size=4, stride=2, padding=1, bias=False))
    return layers.append(BatchNorm(c_out, running_stats=True)) if norm else layers


def _up(c_in: int, c_out: int, dropout: bool) -> nn.Sequential:
    conv = nn.ConvTranspose2d(c_in, c_out, kernel_size=4, stride=2, padding=1, bias=False)
    layers = nn.Sequential(nn.ReLU(), conv, BatchNorm(c_out, running_stats=True))
    return layers.append(nn.Dropout(0.5)) if dropout else layers
