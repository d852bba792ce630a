"""SPADE: images from labels by spatially adaptive norms (Park et al. 2019, arXiv:1903.07291)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lit_synth.networks.parts.label_maps import (
    LabelConv2d,
    LabelMap,
    label_conv,
    neighbours,
    start_size,
)
from lit_synth.networks.parts.norms import BatchStatistics, InstanceNorm
from lit_synth.networks.parts.rebuilding import records_init_args

Norm = Literal["batch", "instance"]

SLOPE = 0.2
GAIN = 0.02  # of Xavier's normal, from which the published code starts


class SPADEGenerator(nn.Module):
    """A start at low resolution, residual blocks with SPADE norms, nearest x2 between them.

    The start is a convolution of the label map at its size or, with `latent_dim`, a linear layer of
    a latent. Blocks: a head, two in the middle, then others; the image is enlarged in front of the
    first one in the middle and of all others.

    Args:
        num_classes: Classes K of the labels.
        unknown: Is a pixel of no class (255) one more class, as in the published data sets?
            Otherwise it is no class.
        edges: Are there maps of instances' edges?
        image_channels: Channels of the images.
        image_size: Height and width of the images.
        width: Channels w of the last block.
        multiples: Channels of each block over w.
        hidden: Channels between labels and a norm's scale and shift.
        latent_dim: Length of the latent; None: there is none.
        norm: What normalises in SPADE.
        more: Enlarge between the two blocks in the middle too, as for 512x256 pixels?
    """

    @records_init_args
    def __init__(
        self,
        num_classes: int,
        unknown: bool = False,
        edges: bool = False,
        image_channels: int = 3,
        image_size: int = 256,
        width: int = 64,
        multiples: Sequence[int] = (16, 16, 16, 8, 4, 2, 1),
        hidden: int = 128,
        latent_dim: int | None = None,
        norm: Norm = "batch",
        more: bool = False,
    ) -> None:
        super().__init__()
        self.num_classes, self.edges, self.latent_dim = num_classes, edges, latent_dim
        self.image_size = image_size
        self.enlarges = [False, True, more, *[True] * (len(multiples) - 3)]
        rows, extra = num_classes + unknown, int(edges)
        widths = [width * each for each in multiples]
        if latent_dim:
            side = image_size // 2 ** sum(self.enlarges)
            self.start: nn.Module = nn.Linear(latent_dim, widths[0] * side**2)
        else:
            self.start = LabelConv2d(rows, extra, widths[0])
        self.blocks = nn.ModuleList(
            SPADEBlock(c_in, c_out, rows, extra, hidden, norm)
            for c_in, c_out in pairwise([widths[0], *widths])
        )
        self.to_image = nn.Conv2d(widths[-1], image_channels, 3, padding=1)
        init_xavier(self)

    def forward(self, labels: LabelMap, z: Tensor | None = None) -> Tensor:
        """Return images (N, C, H, W) in [-1, 1] of labels, and of latents (N, latent_dim)."""
        height, width = start_size(labels.ids, sum(self.enlarges), "SPADEGenerator")
        labels = labels.below(self.num_classes)
        if z is None:
            x = self.start(labels.at(height, width))
        else:
            x = self.start(z).view(len(z), -1, height, width)
        x = through_blocks(x, self.blocks, self.enlarges, labels)
        return self.to_image(F.leaky_relu(x, SLOPE)).tanh()


class SPADENorm(nn.Module):
    """gamma(m) x^ + beta(m), x^ normalised without parameters, gamma and beta read from labels m.

    Both are conv3x3 of ReLU of one conv3x3 of the labels (eq. 1 to 3), gamma with 1 added.

    Args:
        channels: Channels of its input.
        rows: Classes of the labels.
        extra: Further channels that come with labels.
        hidden: Channels in between.
    """

    def __init__(self, channels: int, rows: int, extra: int, hidden: int) -> None:
        super().__init__()
        self.shared = LabelConv2d(rows, extra, hidden)
        self.gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, normalised: Tensor, labels: LabelMap) -> Tensor:
        """Return the scaled and shifted features (N, C, H, W) of what is normalised."""
        h = self.shared(labels).relu()
        weight = torch.cat([self.gamma.weight, self.beta.weight])
        of_gamma, of_beta = self.gamma.bias, self.beta.bias
        assert of_gamma is not None, "has a bias"
        assert of_beta is not None, "has a bias"
        bias = torch.cat([of_gamma + 1, of_beta])
        gamma, beta = F.conv2d(h, weight, bias, padding=1).chunk(2, dim=1)
        return torch.addcmul(beta, normalised.to(beta.dtype), gamma)


class SPADEBlock(nn.Module):
    """norm, LeakyReLU .2, conv3x3, norm, LeakyReLU, conv3x3; a shortcut of norm and conv1x1.

    All convolutions have spectral norm, as torch computes it. The shortcut is there where channels
    change; its norm normalises as the first one does, once for both.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        rows: Classes of the labels.
        extra: Further channels that come with labels.
        hidden: Of each SPADE norm.
        norm: What normalises.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        rows: int,
        extra: int,
        hidden: int,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        middle = min(in_channels, out_channels)
        self.statistics1, self.statistics2 = statistics(norm, in_channels, middle)
        self.norm1 = SPADENorm(in_channels, rows, extra, hidden)
        self.norm2 = SPADENorm(middle, rows, extra, hidden)
        self.conv1 = spectral_norm(nn.Conv2d(in_channels, middle, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(middle, out_channels, 3, padding=1))
        self.learns_shortcut = in_channels != out_channels
        if self.learns_shortcut:
            self.norm_shortcut = SPADENorm(in_channels, rows, extra, hidden)
            self.shortcut = spectral_norm(nn.Conv2d(in_channels, out_channels, 1, bias=False))

    def forward(self, x: Tensor, labels: LabelMap) -> Tensor:
        """Return features of the same height and width, those of the labels."""
        normalised = self.statistics1(x)
        h = self.conv1(F.leaky_relu(self.norm1(normalised, labels), SLOPE))
        h = self.conv2(F.leaky_relu(self.norm2(self.statistics2(h), labels), SLOPE))
        if self.learns_shortcut:
            x = self.shortcut(self.norm_shortcut(normalised, labels))
        return x + h


class ParameterFreeBatchNorm(BatchStatistics):
    """(x - mean) / sqrt(var + 1e-5), running statistics in eval mode.

    Args:
        channels: Channels of its input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, running_stats=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.normalise(x)


class SPADEDiscriminator(nn.Module):
    """Patch discriminators at several scales, of images joined with their labels.

    Each scale: conv4x4 of stride 2, LeakyReLU .2, then such with spectral and instance norm, of
    which the last has stride 1, then a convolution to one score a patch. Scales halve what they see
    by the mean over 3x3 pixels. Images may be several times as many as label maps, which are then
    those of each part alike.

    Args:
        num_classes: Classes K of the labels.
        unknown: Is a pixel of no class (255) one more class?
        edges: Are there maps of instances' edges?
        image_channels: Channels of the images.
        widths: Channels of the hidden layers.
        scales: How many.
    """

    @records_init_args
    def __init__(
        self,
        num_classes: int,
        unknown: bool = False,
        edges: bool = False,
        image_channels: int = 3,
        widths: Sequence[int] = (64, 128, 256, 512),
        scales: int = 2,
    ) -> None:
        super().__init__()
        self.num_classes, self.edges = num_classes, edges
        self.rows, extra = num_classes + unknown, int(edges)
        self.scales = nn.ModuleList(
            _PatchScale(self.rows, extra, image_channels, widths) for _ in range(scales)
        )
        init_xavier(self)

    def forward(self, images: Tensor, labels: LabelMap) -> list[list[Tensor]]:
        """Return for each scale, the finest first, features of all layers and scores (N, 1, h, w).

        Args:
            images: (N, C, H, W).
            labels: Of as many images, or of a part, with N a multiple.
        """
        seen: LabelMap | Tensor = labels.below(self.num_classes)
        features = []
        for number, scale in enumerate(self.scales):
            if number:
                images, seen = _pooled(images), _pooled_labels(seen, self.rows, images.dtype)
            features.append(scale(images, seen))
        return features


class _PatchScale(nn.Module):
    """One scale of a `SPADEDiscriminator`."""

    def __init__(self, rows: int, extra: int, image_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.rows = rows
        self.first = LabelConv2d(rows, extra + image_channels, widths[0], 4, 2, 2)
        self.layers = nn.ModuleList()
        for i, (c_in, c_out) in enumerate(pairwise(widths)):
            stride = 1 if i == len(widths) - 2 else 2
            conv = nn.Conv2d(c_in, c_out, 4, stride, padding=2, bias=False)
            self.layers.append(
                nn.Sequential(spectral_norm(conv), InstanceNorm(), nn.LeakyReLU(SLOPE))
            )
        self.head = nn.Conv2d(widths[-1], 1, 4, padding=2)

    def forward(self, images: Tensor, labels: LabelMap | Tensor) -> list[Tensor]:
        """Return the features of all layers; labels are a map or, pooled, shares of classes."""
        h = self._first(images, labels)
        features = [F.leaky_relu(h, SLOPE)]
        for layer in self.layers:
            features.append(layer(features[-1]))
        return [*features, self.head(features[-1])]

    def _first(self, images: Tensor, labels: LabelMap | Tensor) -> Tensor:
        weight, bias = self.first.weight, self.first.bias
        channels = images.shape[1]
        of_labels, of_images = weight[:, :-channels], weight[:, -channels:]
        if isinstance(labels, LabelMap):
            h = label_conv(labels.ids, of_labels[:, : self.rows], None, 2, 2)
            if labels.extra is not None:
                h = h + F.conv2d(labels.extra, of_labels[:, self.rows :], None, 2, 2)
        else:
            h = F.conv2d(labels, of_labels, None, 2, 2)
        # The part of the labels is the same for all images that share them.
        return F.conv2d(images, of_images, bias, 2, 2) + h.repeat(len(images) // len(h), 1, 1, 1)


class SPADEEncoder(nn.Module):
    """conv3x3 of stride 2 with spectral and instance norm, LeakyReLU .2; mean and log variance.

    Images are brought to 4 * 2^(number of widths) pixels, so that 4x4 are left.

    Args:
        image_channels: Channels of the images.
        widths: Channels of the convolutions.
        latent_dim: Length of the latent.
    """

    @records_init_args
    def __init__(
        self,
        image_channels: int = 3,
        widths: Sequence[int] = (64, 128, 256, 512, 512, 512),
        latent_dim: int = 256,
    ) -> None:
        super().__init__()
        self.latent_dim, self.image_size = latent_dim, 4 * 2 ** len(widths)
        self.layers = nn.ModuleList(
            nn.Sequential(
                spectral_norm(nn.Conv2d(c_in, c_out, 3, stride=2, padding=1, bias=False)),
                InstanceNorm(),
                nn.LeakyReLU(SLOPE),
            )
            for c_in, c_out in pairwise([image_channels, *widths])
        )
        self.mean = nn.Linear(widths[-1] * 16, latent_dim)
        self.log_variance = nn.Linear(widths[-1] * 16, latent_dim)
        init_xavier(self)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, each (N, latent_dim), of images (N, C, H, W)."""
        if images.shape[-2:] != (self.image_size, self.image_size):
            size = [self.image_size] * 2
            images = F.interpolate(images, size, mode="bilinear", align_corners=False)
        for layer in self.layers:
            images = layer(images)
        h = images.flatten(1)
        return self.mean(h), self.log_variance(h)


def through_blocks(
    x: Tensor, blocks: nn.ModuleList, enlarges: Sequence[bool], labels: LabelMap, *more: Tensor
) -> Tensor:
    """Return what blocks make of features, some of which nearest x2 enlarges before.

    Args:
        x: Features (N, C, h, w).
        blocks: Called with features, the label maps at their size, and what else is given.
        enlarges: For each block.
        labels: Label maps of any size.
        more: Further inputs of all blocks.
    """
    for block, enlarge in zip(blocks, enlarges, strict=True):
        if enlarge:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = block(x, labels.at(*x.shape[-2:]), *more)
    return x


def init_xavier(network: nn.Module, gain: float = GAIN) -> None:
    """Draw weights of convolutions and linear layers from Xavier's normal; biases are 0.

    Args:
        network: Network whose layers are initialised in place.
        gain: Of the deviations.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | LabelConv2d):
            # Of a layer with spectral norm, the weight is what the norm makes of the original.
            spectral = getattr(layer, "parametrizations", None)
            weight = spectral["weight"].original if spectral else layer.weight
            nn.init.xavier_normal_(weight, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def statistics(norm: Norm, *channels: int) -> list[nn.Module]:
    """Build what normalises without parameters, for each number of channels."""
    return [
        ParameterFreeBatchNorm(each) if norm == "batch" else InstanceNorm() for each in channels
    ]


def _pooled(x: Tensor) -> Tensor:
    # Zeros around the image are no part of the mean.
    return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)


def _pooled_labels(labels: LabelMap | Tensor, rows: int, dtype: torch.dtype) -> Tensor:
    """Return the shares of classes, and means of further channels, around every second pixel."""
    if isinstance(labels, Tensor):
        return _pooled(labels)
    ids = labels.ids.clamp(max=rows)
    picked = neighbours(ids, torch.Size([1, rows, 3, 3]), stride=2, padding=1)
    count = torch.zeros(*picked.shape[:3], rows + 1, dtype=dtype, device=ids.device)
    count.scatter_add_(3, picked, torch.ones_like(picked, dtype=dtype))
    ones = torch.ones(1, 1, *ids.shape[-2:], dtype=dtype, device=ids.device)
    inside = F.avg_pool2d(ones, 3, stride=2, padding=1) * 9
    shares = count[..., :rows].permute(0, 3, 1, 2) / inside
    return shares if labels.extra is None else torch.cat([shares, _pooled(labels.extra)], 1)
