"""Encoders and decoders of M&MNets' cross-modal networks (SegNet, arXiv:1511.00561; VGG16)."""

from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.blocks import UpConv3x3
from lit_synth.networks.parts.codes import Code, check_code, check_size, init_he, unpool
from lit_synth.networks.parts.norms import BatchNorm
from lit_synth.networks.parts.pretrained import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    VGG16,
    downloaded_vgg16,
    first_line,
    read_state,
)
from lit_synth.networks.parts.rebuilding import records_init_args

Side = Literal["indices", "skip", "none"]
VGG16_CONVS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # among torchvision's `features`


class SegNetEncoder(nn.Module):
    """Blocks of (conv3x3, batch norm, ReLU), each followed by a 2x2 max-pool (thesis table A.3).

    Without norms it is VGG16's trunk, which standardises its input to (x - mean) / std; mean is 0
    and std 1 until `load_vgg16` sets ImageNet's.

    Args:
        channels: Channels of its input.
        blocks: Widths of each block's convolutions; the thesis has `VGG16`.
        norm: Put a batch norm after each convolution? The thesis leaves them out for RGB.
        pretrained: Weights to start from, as `load_vgg16` takes them; None for He's. A release
            holds the weights, so that a network rebuilt from one does not ask for them again.
    """

    def __init__(
        self,
        channels: int,
        blocks: list[list[int]],
        norm: bool = True,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        self._build(channels, blocks, norm)
        if pretrained is not None:
            load_vgg16(self, pretrained)

    # Recorded instead of `__init__`, so that the record lacks `pretrained`.
    @records_init_args
    def _build(self, channels: int, blocks: list[list[int]], norm: bool) -> None:
        self.norm = norm
        self.blocks = nn.ModuleList()
        widths = [channels, *(block[-1] for block in blocks)]
        for c_in, block in zip(widths, blocks, strict=False):
            self.blocks.append(_convs([c_in, *block], norm))
        self.mean: Tensor
        self.std: Tensor
        if not norm:
            self.register_buffer("mean", torch.zeros(channels, 1, 1))
            self.register_buffer("std", torch.ones(channels, 1, 1))
        init_he(self)

    def forward(self, x: Tensor) -> Code:
        check_size(x, multiple=2 ** len(self.blocks))
        h = x if self.norm else (x - self.mean) / self.std
        indices, skips = [], []
        for block in self.blocks:
            skips.append(block(h))
            h, positions = F.max_pool2d(skips[-1], 2, return_indices=True)
            indices.append(positions)
        return Code(h, indices, skips)


class SegNetDecoder(nn.Module):
    """An encoder mirrored: each block enlarges x2, then (conv3x3, batch norm, ReLU) (table A.4).

    A convolution from c to d channels becomes one from d to c; the encoder's first one becomes
    the output's, which has neither norm nor ReLU.

    Args:
        channels: Channels of its output.
        blocks: The blocks of the encoder that it mirrors.
        side: What it takes from the encoder besides the latents. `indices`: each enlargement puts
            values where the encoder's pool took its maxima, and 0 elsewhere. `skip`: nearest x2,
            joined by what entered the encoder's pool. `none`: nearest x2.
        tanh: End in tanh, as images do?
    """

    @records_init_args
    def __init__(
        self,
        channels: int,
        blocks: list[list[int]],
        side: Side = "indices",
        tanh: bool = False,
    ) -> None:
        super().__init__()
        self.side, self.tanh = side, tanh
        self.blocks = nn.ModuleList()
        ends = [channels, *(block[-1] for block in blocks[:-1])]
        for block, end in reversed(list(zip(blocks, ends, strict=True))):
            joined = 2 * block[-1] if side == "skip" else block[-1]
            widths = [joined, *reversed(block[:-1]), end]
            output = len(self.blocks) == len(blocks) - 1
            self.blocks.append(_convs(widths, enlarge=side == "none", output=output))
        init_he(self)

    def forward(self, code: Code) -> Tensor:
        check_code(code, len(self.blocks))
        h = code.h
        sides = zip(code.indices[::-1], code.skips[::-1], strict=True)
        for block, (positions, skip) in zip(self.blocks, sides, strict=True):
            h = block(self._enlarge(h, positions, skip))
        return h.tanh() if self.tanh else h

    def _enlarge(self, h: Tensor, positions: Tensor, skip: Tensor) -> Tensor:
        if self.side == "indices":
            return unpool(h, positions)
        if self.side == "skip":
            return torch.cat([F.interpolate(h, scale_factor=2, mode="nearest"), skip], dim=1)
        return h  # the next convolution enlarges


class ImageDecoder(nn.Module):
    """(nearest x2, conv3x3, batch norm, ReLU) per pool, the last one with tanh alone (table A.5).

    It uses no indices and no skips, whatever the code holds.

    Args:
        channels: Channels of the images.
        widths: Channels that enter each convolution, the latents' first; the thesis has
            [512, 512, 256, 128, 64].
    """

    @records_init_args
    def __init__(self, channels: int, widths: list[int]) -> None:
        super().__init__()
        self.body = nn.Sequential()
        for c_in, c_out in pairwise(widths):
            conv = UpConv3x3(c_in, c_out, bias=False)
            self.body.extend([conv, BatchNorm(c_out, running_stats=True), nn.ReLU()])
        self.body.append(UpConv3x3(widths[-1], channels))
        init_he(self)

    def forward(self, code: Code) -> Tensor:
        return self.body(code.h).tanh()


class SegNet(nn.Module):
    """An encoder and a decoder of one translation: images (N, C, H, W) to (N, C', H, W).

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        blocks: As in `SegNetEncoder`.
        side: As in `SegNetDecoder`.
        tanh: As in `SegNetDecoder`.
    """

    @records_init_args
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        blocks: list[list[int]],
        side: Side = "indices",
        tanh: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = SegNetEncoder(in_channels, blocks)
        self.decoder = SegNetDecoder(out_channels, blocks, side, tanh)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


def load_vgg16(encoder: SegNetEncoder, source: str) -> None:
    """Start an RGB encoder from VGG16's convolutions, and standardise its input as ImageNet's.

    VGG16 was trained on (u - mean) / std of u in [0, 1]; ours are x = 2 u - 1.

    Args:
        encoder: An encoder of 3 channels with VGG16's blocks and without norms, changed in place.
        source: `imagenet` for torchvision's weights, downloaded on first use (528 MB), or the
            path of a state dict of torchvision's VGG16.

    Raises:
        InputError: If the encoder is another, or the weights cannot be had or do not fit.
    """
    convs = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]
    given = [layer.out_channels for layer in convs]
    if encoder.norm or convs[0].in_channels != 3 or given != [w for block in VGG16 for w in block]:
        raise InputError(
            f"pretrained is '{source}' but the encoder has {convs[0].in_channels} input channels, "
            f"convolutions of widths {given} and norm={encoder.norm}: VGG16 takes 3 channels, "
            f"blocks {VGG16} and norm=False; use these, or leave pretrained out."
        )
    state = downloaded_vgg16() if source == "imagenet" else read_state(Path(source))
    try:
        for number, conv in zip(VGG16_CONVS, convs, strict=True):
            names = ("weight", "bias")
            conv.load_state_dict({name: state[f"features.{number}.{name}"] for name in names})
    except (KeyError, RuntimeError) as error:
        raise InputError(
            f"'{source}' is no state dict of torchvision's VGG16 ({first_line(error)}): give the "
            f"file that torchvision's VGG16_Weights.IMAGENET1K_V1 names."
        ) from error
    encoder.mean.copy_(2 * torch.tensor(IMAGENET_MEAN)[:, None, None] - 1)
    encoder.std.copy_(2 * torch.tensor(IMAGENET_STD)[:, None, None])


def _convs(
    widths: list[int], norm: bool = True, enlarge: bool = False, output: bool = False
) -> nn.Sequential:
    """Build (conv3x3, batch norm, ReLU) from each width to the next.

    Args:
        widths: Channels, the input's first.
        norm: Put in the batch norms?
        enlarge: Does the first convolution enlarge x2?
        output: Does the last convolution stand alone?
    """
    layers = nn.Sequential()
    for i, (c_in, c_out) in enumerate(pairwise(widths)):
        alone = output and i == len(widths) - 2
        normed = norm and not alone
        if enlarge and i == 0:
            layers.append(UpConv3x3(c_in, c_out, bias=not normed))
        else:
            layers.append(nn.Conv2d(c_in, c_out, kernel_size=3, padding=1, bias=not normed))
        if normed:
            layers.append(BatchNorm(c_out, running_stats=True))
        if not alone:
            layers.append(nn.ReLU())
    return layers
