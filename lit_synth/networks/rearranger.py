"""SISUG's rearranger: features of one image, laid out as a mask of another (Chae et al. 2023)."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.rebuilding import records_init_args

SLOPE = 0.2
LABEL, SHARPNESS = 8.0, 10.0  # of a label beside the code of a place; of the first attention
Skip = Literal["rearrange", "keep", "drop"]


class Rearranger(nn.Module):
    """Cross-attention between a proxy mask, which asks, and features, which are shown.

    Queries come from the one-hot mask: conv1x1, the sine code of each place added, then a residual
    block of four conv3x3. Keys are a conv1x1 of the features. Values are the features themselves,
    so that what one head of softmax(Q K^T / sqrt(d)) V gives is a convex mix of them. A residual
    block of four conv3x3 follows, whose last convolution starts at 0: at the start R is the mix.

    The image that StyleGAN2 has grown up to the split (its RGB skip) is rearranged as three more
    channels of the values, or kept, which leaks the layout, or dropped. Features enter divided by
    `deviation`, that of each channel, and leave multiplied by it. The widths, and what is done with
    the skip, are reconstructed: the paper's supplement names the blocks alone.

    Args:
        channels: Channels C of the features.
        num_clusters: Labels K of the masks.
        image_channels: Channels of the skip.
        hidden: Channels on the way of the mask, and of the last block.
        dim: Length d of queries and keys.
        skip: What is done with the skip.
    """

    deviation: Tensor

    @records_init_args
    def __init__(
        self,
        channels: int,
        num_clusters: int = 25,
        image_channels: int = 3,
        hidden: int = 256,
        dim: int = 256,
        skip: Skip = "rearrange",
    ) -> None:
        super().__init__()
        if hidden % 4:
            raise InputError(f"hidden is {hidden}: expected a multiple of 4, for the place's code.")
        self.num_clusters, self.skip = num_clusters, skip
        self.register_buffer("deviation", torch.ones(channels))
        self.embed = nn.Conv2d(num_clusters, hidden, 1)
        self.before = ResidualFour(hidden, hidden)
        self.query, self.key = nn.Conv2d(hidden, dim, 1), nn.Conv2d(channels, dim, 1)
        self.after = ResidualFour(channels + image_channels, hidden)
        for start in self.after.convs[-1].parameters():
            nn.init.zeros_(start)

    @torch.no_grad()
    def attend(self, centroids: Tensor) -> None:
        """Let each label ask for features like its cluster's centroid, so that R is their mean.

        Args:
            centroids: Directions of the clusters (K, C).
        """
        k = self.num_clusters
        if k > min(self.embed.out_channels, self.query.out_channels):
            raise InputError(
                f"the rearranger has hidden {self.embed.out_channels} and dim "
                f"{self.query.out_channels}: expected at least the {k} clusters of both."
            )
        one_hot = torch.eye(k, device=centroids.device)[:, :, None, None]
        for layer in (self.embed, self.query, self.key, self.before.convs[-1]):
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.before.convs[-1].weight)
        nn.init.zeros_(self.query.weight[:k])
        self.embed.weight[:k] = LABEL * one_hot
        self.query.weight[:k, :k] = SHARPNESS / LABEL * one_hot
        self.key.weight[:k] = F.normalize(centroids)[:, :, None, None]

    def forward(self, f: Tensor, skip: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features (N, C, h, w) and the skip (N, 3, h, w), laid out as the mask.

        Args:
            f: Features (N, C, h, w).
            skip: The image at the split (N, 3, h, w).
            mask: Labels (N, h, w), int64, or their probabilities (N, K, h, w).
        """
        f = f / self.deviation[:, None, None]
        nothing = torch.zeros_like(skip)
        shown = nothing if self.skip == "drop" else skip
        mixed = self.mix(torch.cat([f, shown], dim=1), self.ask(mask), self.key(f))
        laid_out, image = self.after(mixed).split([f.shape[1], skip.shape[1]], dim=1)
        image = {"rearrange": image, "keep": skip, "drop": nothing}[self.skip]
        return laid_out * self.deviation[:, None, None], image

    def ask(self, mask: Tensor) -> Tensor:
        """Return the queries (N, d, h, w) of a mask."""
        if not mask.is_floating_point():
            mask = F.one_hot(mask, self.num_clusters).movedim(-1, 1).to(self.embed.weight)
        x = self.embed(mask)
        return self.query(self.before(x + place_code(x)))

    @staticmethod
    def mix(values: Tensor, queries: Tensor, keys: Tensor) -> Tensor:
        """Return at each place the mean of all values, weighted by softmax(Q K^T / sqrt(d)).

        Args:
            values: (N, C, h, w).
            queries: (N, d, h, w).
            keys: (N, d, h, w).
        """
        q, k, v = (x.flatten(2).transpose(1, 2) for x in (queries, keys, values))
        mixed: Tensor = F.scaled_dot_product_attention(q, k, v)
        return mixed.transpose(1, 2).reshape(values.shape)


class ResidualFour(nn.Module):
    """Two residual pairs of conv3x3, LeakyReLU .2 in front of each.

    Args:
        channels: Channels of its input and output.
        hidden: Channels within the pairs.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        widths = [(channels, hidden), (hidden, hidden), (hidden, hidden), (hidden, channels)]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in widths)

    def forward(self, x: Tensor) -> Tensor:
        first = self.convs[0](F.leaky_relu(x, SLOPE))
        h = first + self.convs[1](F.leaky_relu(first, SLOPE))
        h = h + self.convs[2](F.leaky_relu(h, SLOPE))
        return x + self.convs[3](F.leaky_relu(h, SLOPE))


def place_code(x: Tensor) -> Tensor:
    """Return the code of each place of features (N, C, h, w), (C, h, w): sines and cosines.

    A quarter of the channels each are sines and cosines of rows and of columns, in frequencies from
    1 down to 1 / 10,000 (Vaswani et al. 2017, arXiv:1706.03762, in two dimensions).
    """
    quarter = x.shape[1] // 4
    steps = torch.arange(quarter, device=x.device, dtype=torch.float32) / quarter
    frequency = torch.exp(-math.log(1e4) * steps)[:, None]
    codes = []
    for axis, side in ((2, x.shape[2]), (1, x.shape[3])):
        angle = frequency * torch.arange(side, device=x.device)
        code = torch.cat([angle.sin(), angle.cos()]).unsqueeze(axis)
        codes.append(code.expand(-1, x.shape[2], x.shape[3]))
    return torch.cat(codes).to(x)
