"""U-Nets from images to proxy masks, their encoder StyleGAN2's critic (SISUG, Chae et al. 2023)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.equalised import LRELU_GAIN, EqualisedConv, activate
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.stylegan2 import DiscriminatorBlock


class UNetMapper(nn.Module):
    """The trunk of StyleGAN2's discriminator down to 4 px, and conv3x3 up again to the proxy mask.

    Each step up enlarges to the nearest pixel and sees what the trunk had at its size. For
    conditions that are images: sketches, edges, depth; and as the labeler that reads proxy masks
    off images. How it goes up is reconstructed.

    Args:
        num_clusters: Labels K of the masks.
        size: Height and width of the masks.
        image_size: Height and width of the images: a power of two, at least `size`.
        image_channels: Channels of the images.
        channel_base: Channels at r pixels are channel_base / r, ...
        channel_max: ... but at most this.
    """

    @records_init_args
    def __init__(
        self,
        num_clusters: int,
        size: int,
        image_size: int,
        image_channels: int = 3,
        channel_base: int = 16384,
        channel_max: int = 512,
    ) -> None:
        super().__init__()
        halvings = image_size.bit_length() - 3
        sizes = [image_size // 2**i for i in range(halvings + 1)]
        if len(sizes) < 2 or sizes[-1] != 4 or size not in sizes:
            raise InputError(
                f"a UNetMapper of {image_size} px to masks of {size}: expected powers of two, 8 or "
                "more for the images, and 4 up to theirs for the masks."
            )
        widths = {side: max(1, min(channel_base // side, channel_max)) for side in sizes}
        self.size, self.image_size = size, image_size
        self.down = nn.ModuleList(
            DiscriminatorBlock(
                0 if i else image_channels, widths[a], widths[b], "resnet", clamp=None
            )
            for i, (a, b) in enumerate(pairwise(sizes))
        )
        upwards = [side for side in sizes[::-1] if side <= size]
        self.up = nn.ModuleList(
            EqualisedConv(
                widths[a] + (widths[b] if b < image_size else image_channels), widths[b], 3
            )
            for a, b in pairwise(upwards)
        )
        self.last = EqualisedConv(widths[size], num_clusters, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K, size, size) of images (N, C, H, W)."""
        if images.shape[-2:] != (self.image_size, self.image_size):
            raise InputError(
                f"a UNetMapper of {self.image_size} px got images of {images.shape[-2]}x"
                f"{images.shape[-1]} px: resize them, or build it with their image_size."
            )
        seen, h = {self.image_size: images}, None
        for block in self.down:
            h = block(h, images)
            seen[h.shape[-1]] = h
        assert h is not None
        for conv in self.up:
            h = F.interpolate(h, scale_factor=2, mode="nearest")
            h = activate(conv(torch.cat([h, seen[h.shape[-1]]], dim=1), LRELU_GAIN))
        logits: Tensor = self.last(h)
        return logits
