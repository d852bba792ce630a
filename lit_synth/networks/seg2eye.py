"""Seg2Eye: an eye with this mask, in the style of a person's images (Buehler et al. 2019)."""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lit_synth.networks.parts.label_maps import LabelConv2d, LabelMap, start_size
from lit_synth.networks.parts.norms import InstanceNorm, adaptive_instance_norm
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.spade import SLOPE, Norm, SPADENorm, init_xavier, statistics, through_blocks


class Seg2EyeGenerator(nn.Module):
    """SPADE's generator, whose norms take the style of a person too.

    The start is a convolution of the label map at its size. Blocks: a head, two in the middle, then
    others; the image is enlarged in front of the first one in the middle and of all others. The
    defaults have 92.46 million parameters and are the paper's of 320x256 pixels, but any multiple
    of the enlargement will do.

    Follows https://github.com/mcbuehler/Seg2Eye, but for `normalised`: the code's AdaIN does not
    normalise.

    Args:
        num_classes: Classes K of the labels.
        image_channels: Channels of the images.
        width: Channels w of the last block.
        multiples: Channels of each block over w.
        hidden: Channels between labels and a norm's scale and shift.
        style_dim: Length of a style.
        norm: What normalises in SPADE.
        normalised: Does AdaIN normalise what it scales?
        sequential: Does SPADE follow AdaIN? Otherwise a norm is the mean of both.
        mask_in_norms: Do norms read the mask? Otherwise it is read at the start alone, and norms
            are AdaIN's: what SPADE is for is seen by that.
    """

    @records_init_args
    def __init__(
        self,
        num_classes: int = 4,
        image_channels: int = 1,
        width: int = 64,
        multiples: Sequence[int] = (16, 16, 16, 8, 4, 2, 1),
        hidden: int = 128,
        style_dim: int = 16,
        norm: Norm = "batch",
        normalised: bool = True,
        sequential: bool = False,
        mask_in_norms: bool = True,
    ) -> None:
        super().__init__()
        self.num_classes, self.style_dim = num_classes, style_dim
        self.enlarges = [False, True, False, *[True] * (len(multiples) - 3)]
        widths = [width * each for each in multiples]
        self.start = LabelConv2d(num_classes, 0, widths[0])
        forms = (norm, normalised, sequential, mask_in_norms)
        self.blocks = nn.ModuleList(
            StyleBlock(c_in, c_out, num_classes, hidden, style_dim, *forms)
            for c_in, c_out in pairwise([widths[0], *widths])
        )
        self.to_image = nn.Conv2d(widths[-1], image_channels, 3, padding=1)
        init_xavier(self)

    def forward(self, labels: LabelMap, style: Tensor) -> Tensor:
        """Return images (N, C, H, W) in [-1, 1] of labels and of styles (N, style_dim)."""
        height, width = start_size(labels.ids, sum(self.enlarges), "Seg2EyeGenerator")
        labels = labels.below(self.num_classes)
        x = self.start(labels.at(height, width))
        x = through_blocks(x, self.blocks, self.enlarges, labels, style)
        return self.to_image(F.leaky_relu(x, SLOPE)).tanh()


class StyleNorm(nn.Module):
    """(SPADE(x, m) + AdaIN(x, w)) / 2, or SPADE(AdaIN(x, w), m), or AdaIN(x, w) alone.

    AdaIN is (1 + s) x^ + b, with (s, b) a LeakyReLU .2 of one linear layer of the style w, and x^
    normalised over the pixels of each image, or x itself.

    Args:
        channels: Channels of its input.
        rows: Classes of the labels.
        hidden: Channels between labels and SPADE's scale and shift.
        style_dim: Length of a style.
        norm: What normalises in SPADE.
        normalised: Does AdaIN normalise?
        sequential: Does SPADE follow AdaIN?
        reads_mask: Is there a SPADE?
    """

    def __init__(
        self,
        channels: int,
        rows: int,
        hidden: int,
        style_dim: int,
        norm: Norm,
        normalised: bool,
        sequential: bool,
        reads_mask: bool,
    ) -> None:
        super().__init__()
        self.reads_mask = reads_mask
        if reads_mask:
            (self.statistics,) = statistics(norm, channels)
            self.spade = SPADENorm(channels, rows, 0, hidden)
        self.adain = nn.Linear(style_dim, 2 * channels)
        self.normalised, self.sequential = normalised, sequential

    def forward(self, x: Tensor, labels: LabelMap, style: Tensor) -> Tensor:
        """Return features of the shape of `x` (N, C, H, W), the height and width of the labels."""
        scale, shift = F.leaky_relu(self.adain(style), SLOPE).chunk(2, dim=1)
        if self.normalised:
            styled = adaptive_instance_norm(x, 1 + scale, shift)
        else:
            styled = x * (1 + scale[..., None, None]) + shift[..., None, None]
        if not self.reads_mask:
            return styled
        if self.sequential:
            return self.spade(self.statistics(styled), labels)
        return (self.spade(self.statistics(x), labels) + styled) / 2


class StyleBlock(nn.Module):
    """norm, LeakyReLU .2, conv3x3, norm, LeakyReLU, conv3x3; a shortcut of norm and conv1x1.

    All convolutions have spectral norm, as torch computes it. The shortcut is there where channels
    change.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        rows: Classes of the labels.
        hidden: Channels between labels and SPADE's scale and shift.
        style_dim: Length of a style.
        norm: What normalises in SPADE.
        normalised: Does AdaIN normalise?
        sequential: Does SPADE follow AdaIN?
        reads_mask: Is there a SPADE in norms?
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        rows: int,
        hidden: int,
        style_dim: int,
        norm: Norm = "batch",
        normalised: bool = True,
        sequential: bool = False,
        reads_mask: bool = True,
    ) -> None:
        super().__init__()
        middle = min(in_channels, out_channels)
        rest = (rows, hidden, style_dim, norm, normalised, sequential, reads_mask)
        self.norm1, self.norm2 = StyleNorm(in_channels, *rest), StyleNorm(middle, *rest)
        self.conv1 = spectral_norm(nn.Conv2d(in_channels, middle, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(middle, out_channels, 3, padding=1))
        self.learns_shortcut = in_channels != out_channels
        if self.learns_shortcut:
            self.norm_shortcut = StyleNorm(in_channels, *rest)
            self.shortcut = spectral_norm(nn.Conv2d(in_channels, out_channels, 1, bias=False))

    def forward(self, x: Tensor, labels: LabelMap, style: Tensor) -> Tensor:
        """Return features of the same height and width, those of the labels."""
        h = self.conv1(F.leaky_relu(self.norm1(x, labels, style), SLOPE))
        h = self.conv2(F.leaky_relu(self.norm2(h, labels, style), SLOPE))
        if self.learns_shortcut:
            x = self.shortcut(self.norm_shortcut(x, labels, style))
        return x + h


class Seg2EyeEncoder(nn.Module):
    """conv3x3 of stride 2 with spectral and instance norm, LeakyReLU .2, layer by layer; a style.

    Images are brought to 4 * 2^(number of widths) pixels, aspect or not, so that 4x4 are left.

    Follows https://github.com/mcbuehler/Seg2Eye, but for `activations`: the code has none between
    its convolutions, which makes them linear up to the norms. Its second linear layer is left out,
    as nothing reads it.

    Args:
        image_channels: Channels of the images.
        widths: Channels of the convolutions.
        style_dim: Length of a style.
        activations: Is there a LeakyReLU between convolutions, as in SPADE's encoder? Otherwise the
            only one is in front of the linear layer.
    """

    @records_init_args
    def __init__(
        self,
        image_channels: int = 1,
        widths: Sequence[int] = (64, 128, 256, 512, 512, 512),
        style_dim: int = 16,
        activations: bool = True,
    ) -> None:
        super().__init__()
        self.style_dim, self.image_size = style_dim, 4 * 2 ** len(widths)
        self.activations = activations
        self.layers = nn.ModuleList(
            nn.Sequential(
                spectral_norm(nn.Conv2d(c_in, c_out, 3, stride=2, padding=1, bias=False)),
                InstanceNorm(),
            )
            for c_in, c_out in pairwise([image_channels, *widths])
        )
        self.to_style = nn.Linear(widths[-1] * 16, style_dim)
        init_xavier(self)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return styles (N, style_dim) of images (N, C, H, W), and the features of all layers."""
        if images.shape[-2:] != (self.image_size, self.image_size):
            size = [self.image_size] * 2
            images = F.interpolate(images, size, mode="bilinear", align_corners=False)
        h, features = images, []
        for number, layer in enumerate(self.layers):
            h = layer(F.leaky_relu(h, SLOPE) if number and self.activations else h)
            features.append(h)
        return self.to_style(F.leaky_relu(h, SLOPE).flatten(1)), features
