"""OASIS: image synthesis from labels with a segmenter as adversary (Sushko et al., 2012.04781)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lit_synth.errors import InputError
from lit_synth.networks.parts.blocks import ConvPool3x3, UpConv3x3
from lit_synth.networks.parts.label_maps import LabelConv2d, LabelMap, start_size
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.spade import SLOPE, SPADEBlock, init_xavier, through_blocks


class OASISGenerator(nn.Module):
    """SPADE blocks that read labels joined with noise; nearest x2 before each but the first.

    Noise is the same at all pixels, or differs where an image is to vary from place to place. With
    `noise_dim` null and `tanh` false it maps labels to logits of another labelling.

    Args:
        num_classes: Classes K of the labels.
        unknown: Is a pixel of no class (255) one more class, as in the published data sets?
            Otherwise it is no class.
        out_channels: Channels of what it makes.
        width: Channels w of the last block.
        multiples: Channels of each block over w.
        hidden: Channels between labels and a norm's scale and shift.
        noise_dim: Channels of the noise; None: there is none.
        tanh: End in tanh, as images do?
    """

    @records_init_args
    def __init__(
        self,
        num_classes: int,
        unknown: bool = False,
        out_channels: int = 3,
        width: int = 64,
        multiples: Sequence[int] = (16, 16, 8, 4, 2, 1),
        hidden: int = 128,
        noise_dim: int | None = 64,
        tanh: bool = True,
    ) -> None:
        super().__init__()
        self.num_classes, self.noise_dim, self.tanh = num_classes, noise_dim, tanh
        rows, widths = num_classes + unknown, [width * each for each in multiples]
        extra = noise_dim or 0
        self.start = LabelConv2d(rows, extra, widths[0])
        self.blocks = nn.ModuleList(
            SPADEBlock(c_in, c_out, rows, extra, hidden)
            for c_in, c_out in pairwise([widths[0], *widths])
        )
        self.to_image = nn.Conv2d(widths[-1], out_channels, 3, padding=1)
        init_xavier(self)

    def forward(self, ids: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return images (N, C, H, W) of labels (N, H, W), int64, with noise (N, Z[, H, W])."""
        if (noise is None) != (self.noise_dim is None):
            raise InputError(
                f"an OASISGenerator of noise_dim {self.noise_dim} got "
                f"{'no' if noise is None else 'some'} noise: give it just where that is not null."
            )
        enlarges = [number > 0 for number in range(len(self.blocks))]
        size = start_size(ids, sum(enlarges), "OASISGenerator")
        labels = LabelMap(ids, noise).below(self.num_classes)
        x = through_blocks(self.start(labels.at(*size)), self.blocks, enlarges, labels)
        y = self.to_image(F.leaky_relu(x, SLOPE))
        return y.tanh() if self.tanh else y


class OASISDiscriminator(nn.Module):
    """A U-Net that segments images into fake and the classes: residual blocks down, and up again.

    All convolutions but the last have spectral norm.

    Args:
        num_classes: Classes K of the labels.
        unknown: Is a pixel of no class one more class?
        image_channels: Channels of the images.
        widths: Channels of the blocks down; up they are mirrored.
        last_width: Channels of the last block.
    """

    @records_init_args
    def __init__(
        self,
        num_classes: int,
        unknown: bool = False,
        image_channels: int = 3,
        widths: Sequence[int] = (128, 128, 256, 256, 512, 512),
        last_width: int = 64,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.down = nn.ModuleList(
            _Down(c_in, c_out, first=i == 0)
            for i, (c_in, c_out) in enumerate(pairwise([image_channels, *widths]))
        )
        mirrored = [*widths[-2::-1], last_width]
        joined = [widths[-1], *(2 * each for each in mirrored[:-1])]
        self.up = nn.ModuleList(
            _Up(c_in, c_out) for c_in, c_out in zip(joined, mirrored, strict=True)
        )
        self.head = nn.Conv2d(last_width, 1 + num_classes + unknown, kernel_size=1)
        init_xavier(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, 1 + K, H, W) of images (N, C, H, W): fake, then the classes."""
        height, width = images.shape[-2:]
        if (height | width) % 2 ** len(self.down):
            raise InputError(
                f"an OASISDiscriminator of {len(self.down)} blocks got images of {height}x{width} "
                f"px: use multiples of {2 ** len(self.down)} px, or fewer widths."
            )
        seen = []
        for block in self.down:
            images = block(images)
            seen.append(images)
        h = self.up[0](seen.pop())
        for block in self.up[1:]:
            h = block(torch.cat([seen.pop(), h], dim=1))
        return self.head(h)


class _Down(nn.Module):
    """[LeakyReLU,] conv3x3, LeakyReLU, conv3x3, 2x2 mean; shortcut conv1x1 and 2x2 mean."""

    def __init__(self, in_channels: int, out_channels: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.conv1 = spectral_norm(nn.Conv2d(in_channels, out_channels, 3, padding=1))
        self.conv2 = spectral_norm(ConvPool3x3(out_channels, out_channels))
        self.learns_shortcut = in_channels != out_channels
        if self.learns_shortcut:
            self.shortcut = spectral_norm(nn.Conv2d(in_channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(x if self.first else F.leaky_relu(x, SLOPE))
        h = self.conv2(F.leaky_relu(h, SLOPE))
        # A 1x1 convolution commutes with the mean, and is cheaper after it.
        x = F.avg_pool2d(x, 2)
        return h + (self.shortcut(x) if self.learns_shortcut else x)


class _Up(nn.Module):
    """LeakyReLU, nearest x2, conv3x3, LeakyReLU, conv3x3; shortcut nearest x2 and conv1x1."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = spectral_norm(UpConv3x3(in_channels, out_channels))
        self.conv2 = spectral_norm(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.learns_shortcut = in_channels != out_channels
        if self.learns_shortcut:
            self.shortcut = spectral_norm(nn.Conv2d(in_channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.leaky_relu(x, SLOPE))
        h = self.conv2(F.leaky_relu(h, SLOPE))
        x = self.shortcut(x) if self.learns_shortcut else x
        # After the 1x1 convolution, which commutes with it.
        return h + F.interpolate(x, scale_factor=2, mode="nearest")
