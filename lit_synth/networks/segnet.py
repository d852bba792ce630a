"""Encoders and decoders of M&MNets' cross-modal networks (SegNet, arXiv:1511.00561; VGG16)."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.blocks import UpConv3x3
from lit_synth.networks.norms import BatchNorm
from lit_synth.networks.recording import records_init_args

Side = Literal["indices", "skip", "none"]

VGG16 = [[64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1]


class Code(NamedTuple):
    """What an encoder says of an image.

    Attributes:
        h: Latent (N, C, h, w), after the last pool.
        indices: For each pool, first to last, where its maxima were: int64 of its output's shape,
            positions in the flattened plane, as `max_pool2d` returns them.
        skips: For each pool, first to last, its input.
    """

    h: Tensor
    indices: list[Tensor]
    skips: list[Tensor]


class SegNetEncoder(nn.Module):
    """Blocks of (conv3x3, batch norm, ReLU), each ending in a 2x2 max-pool (thesis, table A.3).

    Without norms it is VGG16's trunk, which first standardises its input: (x - mean) / std with
    mean 0 and std 1 until `load_vgg16` sets ImageNet's.

    Args:
        channels: Channels of its input.
        blocks: Widths of each block's convolutions; `VGG16` in the thesis.
        norm: Put a batch norm after each convolution? The thesis leaves them out for RGB.
        pretrained: Weights to start from, as `load_vgg16` takes them; None for He's. A network
            rebuilt from a release does not ask for them again.
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

    # Recorded here, so that the record lacks `pretrained` and a release needs no second download.
    @records_init_args
    def _build(self, channels: int, blocks: list[list[int]], norm: bool) -> None:
        self.norm = norm
        self.blocks = nn.ModuleList()
        for block in blocks:
            self.blocks.append(_stack([channels, *block], norm))
            channels = block[-1]
        if not norm:
            first = self.blocks[0][0].in_channels
            self.register_buffer("mean", torch.zeros(first, 1, 1))
            self.register_buffer("std", torch.ones(first, 1, 1))
        init_he(self)

    def forward(self, x: Tensor) -> Code:
        _check_size(x, multiple=2 ** len(self.blocks))
        h = x if self.norm else (x - self.mean) / self.std
        indices, skips = [], []
        for block in self.blocks:
            skips.append(block(h))
            h, positions = F.max_pool2d(skips[-1], 2, return_indices=True)
            indices.append(positions)
        return Code(h, indices, skips)


class SegNetDecoder(nn.Module):
    """An encoder mirrored: each block enlarges x2, then (conv3x3, batch norm, ReLU) (table A.4).

    A convolution from c to d channels becomes one from d to c, the first one the output's, which
    has neither norm nor ReLU.

    Args:
        channels: Channels of its output.
        blocks: The blocks of the encoder that it mirrors.
        side: What it takes from the encoder besides the latent. `indices`: each enlargement puts
            a value where the encoder's pool took its maximum, and 0 elsewhere. `skip`: nearest
            x2, joined with the features before the encoder's pool. `none`: nearest x2.
        tanh: End in tanh, for images?
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
        before = [blocks[0][0], *(block[-1] for block in blocks[:-1])]
        for first, block in reversed(list(zip(before, blocks, strict=True))):
            widths = [*reversed(block), first]
            self.blocks.append(_stack(widths, True))
        raise NotImplementedError

