"""A part segmenter on a generator's features, for few annotated images (Tritrong et al. 2021)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.networks.parts.blocks import PixelNorm
from lit_synth.networks.parts.rebuilding import records_init_args


class PartSegmenter(nn.Module):
    """Features of all blocks, enlarged to the images' size and joined; then two convolutions.

    As the convolution that joins them is 1x1 it commutes with the bilinear enlargement, and is
    applied to each block at its own size. Features enter with mean square 1 in each pixel.

    After Repurposing GANs for One-Shot Semantic Part Segmentation (arXiv:2103.04379), whose network
    is larger.

    Args:
        channels: Channels of the blocks' features, from 4 px on.
        num_classes: Classes of the labels.
        hidden: Channels in between.
    """

    @records_init_args
    def __init__(self, channels: Sequence[int], num_classes: int, hidden: int = 64) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.normalise = PixelNorm()
        self.joins = nn.ModuleList(nn.Conv2d(width, hidden, 1) for width in channels)
        self.conv = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.last = nn.Conv2d(hidden, num_classes, 1)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Return logits (N, classes, H, W) of features (N, C, r, r), r = 4, 8, ... H."""
        size = pyramid[-1].shape[-2:]
        joined = [
            F.interpolate(join(self.normalise(x)), size=size, mode="bilinear")
            for join, x in zip(self.joins, pyramid, strict=True)
        ]
        h = torch.stack(joined).sum(0).relu()
        logits: Tensor = self.last(self.conv(h).relu())
        return logits
