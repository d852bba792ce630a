"""MUNIT's networks (arXiv:1804.04732) and the thesis' form of them with pooling indices."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.codes import Code, check_size, init_he, unpool
from lit_synth.networks.parts.norms import EPS, InstanceNorm, adaptive_instance_norm
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.networks.resnet_translator import ReflectConv2d, init_normal, residual_blocks

SLOPE = 0.2  # of the discriminator's LeakyReLU
MANY_PIXELS = 1024  # of a batch, from which on `UpConv5x5` convolves before it enlarges


class DownConv4x4(nn.Conv2d):
    """A 4x4 convolution of stride 2 that halves its input, which it pads reflected by 1.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        bias: Has it a bias? An instance norm would cancel it.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel_size=4, stride=2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        # Autocast would widen to float32 what only moves.
        with torch.autocast(x.device.type, enabled=False):
            x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return super().forward(x)


class UpConv5x5(nn.Conv2d):
    """Nearest x2 enlargement, padded reflected by 2, then a 5x5 convolution.

    From 1,024 pixels of input on it is computed as one 3x3 convolution to all four pixels that an
    input pixel becomes, the same map with 9/25 of its multiplications: enlarged pixels are equal in
    pairs, so that taps falling on one pair add up to one tap. With fewer, preparing the kernel
    takes longer than it saves.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        bias: Has it a bias? An instance norm would cancel it.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel_size=5, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if x[:, 0].numel() >= MANY_PIXELS:
            return self._convolved_before_enlarging(x)
        # Autocast would widen to float32 what only moves.
        with torch.autocast(x.device.type, enabled=False):
            x = F.pad(F.interpolate(x, scale_factor=2.0), (2, 2, 2, 2), mode="reflect")
        return super().forward(x)

    def _convolved_before_enlarging(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        with torch.autocast(x.device.type, enabled=False):
            padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
            kernel = _kernel_of_four_pixels(self.weight)
        y = F.conv2d(padded, kernel, bias)
        with torch.autocast(x.device.type, enabled=False):
            y = F.pixel_shuffle(y, 2)
        # So far the second pixel beyond each border is x's first, but reflected it is x's second.
        # Only the outermost results see it, by their outermost taps.
        first, *_, last = self.weight.unbind(2)
        top = _seen_along_border(x[:, :, 1] - x[:, :, 0], first, "reflect")
        bottom = _seen_along_border(x[:, :, -2] - x[:, :, -1], last, "reflect")
        y = _with_borders(y, top, bottom, dim=2)
        first, *_, last = self.weight.unbind(3)
        left = _seen_along_border(x[..., 1] - x[..., 0], first, "replicate")
        right = _seen_along_border(x[..., -2] - x[..., -1], last, "replicate")
        return _with_borders(y, left, right, dim=3)


class LayerNorm(nn.Module):
    """gamma (x - mean) / (std + 1e-5) + beta, with statistics over C, H, W of each image.

    MUNIT's: the unbiased standard deviation, an affine map per channel, gamma from U(0, 1).
    Statistics are in float32 at least, the result in the input's type.

    Args:
        channels: Channels of its input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        dtype, dims, n = x.dtype, (1, 2, 3), x[0].numel()
        x = x.to(torch.promote_types(dtype, torch.float32))
        x = x - x.mean(dims, keepdim=True)
        std = torch.linalg.vector_norm(x, dim=dims, keepdim=True) / math.sqrt(n - 1)
        scale = self.weight[:, None, None] / (std + EPS)
        return torch.addcmul(self.bias[:, None, None], x, scale).to(dtype)


class ContentEncoder(nn.Module):
    """Maps images to a code: convolutions of w, 2w, 4w with halvings, then residual blocks of 4w.

    Every convolution has an instance norm and ReLU. MUNIT: conv7x7, then conv4x4 of stride 2; the
    code has no indices. With `pool`, thesis table A.13, n_blocks 6: conv7x7, each followed by a 2x2
    max-pool. The table prints residual blocks of 7x7 kernels: ours are MUNIT's, 3x3. Paddings are
    reflected.

    Args:
        channels: Channels of the images.
        width: Channels w of the first convolution; each further one has twice as many.
        levels: Convolutions before the residual blocks.
        n_blocks: Residual blocks.
        pool: Halve by pooling, and keep the indices?
    """

    @records_init_args
    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        levels: int = 3,
        n_blocks: int = 4,
        pool: bool = False,
    ) -> None:
        super().__init__()
        self.pool = pool
        self.levels = nn.ModuleList()
        for c_in, c_out in pairwise([channels, *_widths(width, levels)]):
            strided = len(self.levels) > 0 and not pool
            conv = DownConv4x4(c_in, c_out, False) if strided else ReflectConv2d(c_in, c_out, 7)
            self.levels.append(nn.Sequential(conv, InstanceNorm(), nn.ReLU()))
        self.blocks = nn.Sequential(*residual_blocks(_widths(width, levels)[-1], n_blocks))
        init_he(self)

    def forward(self, x: Tensor) -> Code:
        check_size(x, multiple=2 ** (len(self.levels) - (not self.pool)))
        indices = []
        for level in self.levels:
            x = level(x)
            if self.pool:
                x, positions = F.max_pool2d(x, 2, return_indices=True)
                indices.append(positions)
        return Code(self.blocks(x), indices, [])


class StyleEncoder(nn.Module):
    """Maps images to styles: conv7x7, conv4x4 of stride 2, each with ReLU, global mean, conv1x1.

    It has no norms, which would erase what tells styles apart. Thesis table A.14: the defaults;
    MUNIT: widths [64, 128, 256, 256, 256]. Paddings are reflected.

    Args:
        channels: Channels of the images.
        widths: Channels of each convolution.
        style_dim: Length of a style.
    """

    @records_init_args
    def __init__(
        self, channels: int = 3, widths: Sequence[int] = (64, 128, 256), style_dim: int = 8
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(ReflectConv2d(channels, widths[0], 7, bias=True), nn.ReLU())
        for c_in, c_out in pairwise(widths):
            self.body.extend([DownConv4x4(c_in, c_out), nn.ReLU()])
        self.head = nn.Conv2d(widths[-1], style_dim, kernel_size=1)
        init_he(self)

    def forward(self, x: Tensor) -> Tensor:
        """Read styles (N, style_dim) from images (N, C, H, W)."""
        check_size(x, multiple=2 ** (len(self.body) // 2 - 1))
        return self.head(self.body(x).mean(dim=(2, 3), keepdim=True)).flatten(1)


class StyleDecoder(nn.Module):
    """Maps a code and a style to images: residual blocks with AdaIN, then enlargements, tanh.

    Scales and shifts of all AdaINs come from the style by linear layers style_dim, mlp_dim, mlp_dim
    with ReLU and a linear one per scale and shift (thesis tables A.15, A.16); they are what these
    say, not offsets from 1 and 0. MUNIT enlarges by (nearest x2, conv5x5, norm, ReLU), and its last
    convolution is a conv7x7. With `pool`, thesis table A.17, n_blocks 6: (unpooling with the
    encoder's indices, conv7x7, norm, ReLU), the last one without norm and ReLU.

    The tables print an instance norm there, which would erase the channel statistics that AdaIN has
    just set: the default is MUNIT's layer norm over C, H, W. Paddings are reflected.

    Args:
        channels: Channels of the images.
        width: Of the content encoder, so that the code has width 2^(levels - 1) channels.
        levels: Of the content encoder.
        n_blocks: Residual blocks.
        pool: Enlarge by unpooling with the encoder's indices?
        style_dim: Length of a style.
        mlp_dim: Width of the linear layers.
        shared_style: Have all AdaINs the same scale and shift, as in the thesis and its code?
            MUNIT's have their own.
        norm: What follows each enlargement's convolution.
    """

    @records_init_args
    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        levels: int = 3,
        n_blocks: int = 4,
        pool: bool = False,
        style_dim: int = 8,
        mlp_dim: int = 256,
        shared_style: bool = True,
        norm: Literal["layer", "instance"] = "layer",
    ) -> None:
        super().__init__()
        widths = _widths(width, levels)[::-1]
        self.style_dim, self.pools = style_dim, levels if pool else 0
        self.style = _Style(style_dim, mlp_dim, widths[0], 2 * n_blocks, shared_style)
        self.blocks = nn.ModuleList([_StyledBlock(widths[0]) for _ in range(n_blocks)])
        self.levels = nn.ModuleList(
            [_enlargement(*pair, pool, norm == "layer") for pair in pairwise(widths)]
        )
        self.last = ReflectConv2d(width, channels, 7, bias=True)
        init_he(self)

    def forward(self, code: Code, style: Tensor) -> Tensor:
        """Make images (N, C, H, W) in [-1, 1] of codes of N images and styles (N, style_dim)."""
        self._check(code)
        h, affine = code.h, self.style(style)
        for block, first, second in zip(self.blocks, affine[::2], affine[1::2], strict=True):
            h = block(h, first, second)
        indices = list(code.indices)
        for level in self.levels:
            h = level(unpool(h, indices.pop()) if self.pools else h)
        return self.last(unpool(h, indices.pop()) if self.pools else h).tanh()

    def _check(self, code: Code) -> None:
        if len(code.indices) != self.pools:
            raise InputError(
                f"a StyleDecoder that unpools {self.pools} times got the code of an encoder with "
                f"{len(code.indices)} pools: build both with the same levels and pool."
            )


class MultiScaleDiscriminator(nn.Module):
    """Scores patches at several scales: conv4x4 of stride 2 with LeakyReLU .2, then conv1x1 to one.

    Thesis table A.18 and MUNIT. Each scale halves the images by the mean over 3x3 pixels, and has a
    network of its own. Paddings are reflected; weights start from N(0, .02).

    Args:
        channels: Channels of the images.
        widths: Channels of the hidden layers.
        scales: How many.
    """

    @records_init_args
    def __init__(
        self, channels: int = 3, widths: Sequence[int] = (64, 128, 256, 512), scales: int = 3
    ) -> None:
        super().__init__()
        self.halvings = len(widths) + scales - 1
        self.scales = nn.ModuleList()
        for _ in range(scales):
            body = nn.Sequential()
            for c_in, c_out in pairwise([channels, *widths]):
                body.extend([DownConv4x4(c_in, c_out), nn.LeakyReLU(SLOPE)])
            self.scales.append(body.append(nn.Conv2d(widths[-1], 1, kernel_size=1)))
        init_normal(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Score images (N, C, H, W): (N, 1, h, w) of each scale, the finest first."""
        self._check(x)
        scores = []
        for scale in self.scales:
            scores.append(scale(x))
            # Zeros around the image are no part of the mean.
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return scores

    def _check(self, x: Tensor) -> None:
        height, width = x.shape[-2:]
        if min(height, width) < 2**self.halvings:
            raise InputError(
                f"a MultiScaleDiscriminator got images of {height}x{width} px, and its "
                f"{len(self.scales)} scales halve them {self.halvings} times: use images of "
                f"{2**self.halvings} px or more, fewer scales or fewer widths."
            )


class _Style(nn.Module):
    """Maps styles (N, style_dim) to a (scale, shift), each (N, C), for every AdaIN."""

    def __init__(
        self, style_dim: int, mlp_dim: int, channels: int, n_norms: int, shared: bool
    ) -> None:
        super().__init__()
        self.channels, self.repeats = channels, n_norms if shared else 1
        heads = nn.Linear(mlp_dim, 2 * channels * (1 if shared else n_norms))
        self.body = nn.Sequential(
            nn.Linear(style_dim, mlp_dim), nn.ReLU(), nn.Linear(mlp_dim, mlp_dim), nn.ReLU(), heads
        )
        for layer in self.body[::2]:
            assert isinstance(layer, nn.Linear)
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, style: Tensor) -> list[tuple[Tensor, Tensor]]:
        each = self.body(style).split(self.channels, dim=1)
        return self.repeats * list(zip(each[::2], each[1::2], strict=True))


class _StyledBlock(nn.Module):
    """x + AdaIN(conv3x3(ReLU(AdaIN(conv3x3(x)))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ReflectConv2d(channels, channels, 3)
        self.conv2 = ReflectConv2d(channels, channels, 3)

    def forward(
        self, x: Tensor, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]
    ) -> Tensor:
        h = adaptive_instance_norm(self.conv1(x), *first).relu()
        return x + adaptive_instance_norm(self.conv2(h), *second)


def _widths(width: int, levels: int) -> list[int]:
    return [width * 2**i for i in range(levels)]


def _enlargement(c_in: int, c_out: int, pool: bool, layer: bool) -> nn.Sequential:
    """Build conv7x7 (of what was unpooled) or (nearest x2, conv5x5), each with norm and ReLU."""
    conv = ReflectConv2d(c_in, c_out, 7, layer) if pool else UpConv5x5(c_in, c_out, layer)
    return nn.Sequential(conv, LayerNorm(c_out) if layer else InstanceNorm(), nn.ReLU())


def _kernel_of_four_pixels(kernel: Tensor) -> Tensor:
    """Turn kernels (O, I, 5, 5) on an enlarged image into (4 O, I, 3, 3) on the image.

    Of a pair's pixel 0, the five taps fall on three pairs as 2, 2, 1; of its pixel 1 as 1, 2, 2.
    """
    shifts = [(q, 1 - q, p, 1 - p) for p in (0, 1) for q in (0, 1)]
    four = [4 * F.avg_pool2d(F.pad(kernel, shift), 2) for shift in shifts]
    return torch.stack(four, dim=1).flatten(0, 1)


def _seen_along_border(x: Tensor, kernel: Tensor, corners: str) -> Tensor:
    """Convolve a line (N, C, l) of pixels, enlarged and padded by 2, with (O, C, 5)."""
    with torch.autocast(x.device.type, enabled=False):
        x = F.pad(x.repeat_interleave(2, dim=2), (2, 2), mode=corners)
    return F.conv1d(x, kernel)


def _with_borders(y: Tensor, first: Tensor, last: Tensor, dim: int) -> Tensor:
    """Add (N, C, l) to the first and to the last line of (N, C, H, W) along a dimension."""
    before, inside, after = torch.split(y, [1, y.shape[dim] - 2, 1], dim)
    lines = before + first.unsqueeze(dim), inside, after + last.unsqueeze(dim)
    with torch.autocast(y.device.type, enabled=False):
        return torch.cat(lines, dim)
