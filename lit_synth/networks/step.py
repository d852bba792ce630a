"""StEP's networks: style encoder, generator, discriminator, mapper (Meshry et al. 2021)."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.networks.parts.blocks import PixelNorm, conv3x3_pool, up_conv3x3
from lit_synth.networks.parts.codes import check_size
from lit_synth.networks.parts.minibatch import MinibatchDeviation
from lit_synth.networks.parts.norms import AffineInstanceNorm
from lit_synth.networks.parts.rebuilding import records_init_args

SLOPE = 0.2
STD = 0.02  # of the weights of the code's layers
MOST = 512  # channels


class SameConv2d(nn.Conv2d):
    """A convolution with weights from N(0, 1), times sqrt(2 / ((1 + slope^2) fan in)) in each pass.

    It is padded as TensorFlow's SAME: ceil(size / stride) pixels come out, and where the zeros are
    of an odd number, there is one more below and to the right. The bias is not scaled.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        kernel_size: Height and width of the kernel.
        stride: Step of the kernel.
        bias: Has it a bias? An instance norm would cancel it.
        slope: Of the LeakyReLU that the weights are scaled for, below 0.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        bias: bool = True,
        slope: float = SLOPE,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, bias=bias)
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.gain = math.sqrt(2 / ((1 + slope**2) * self.weight[0].numel()))

    @property
    def scaled(self) -> Tensor:
        """The weights that it convolves with."""
        return self.weight * self.gain

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = (self._zeros(size) for size in x.shape[-2:])
        if (top, left) == (bottom, right):
            return F.conv2d(x, self.scaled, self.bias, self.stride, (top, left))
        with torch.autocast(x.device.type, enabled=False):  # it would widen what only moves
            x = F.pad(x, (left, right, top, bottom))
        return F.conv2d(x, self.scaled, self.bias, self.stride)

    def _zeros(self, size: int) -> tuple[int, int]:
        """Return how many zeros go before and after a side of so many pixels."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        zeros = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        return zeros // 2, zeros - zeros // 2


class StEPEncoder(nn.Module):
    """Maps images to two heads, of which a code is made: z = mean + exp(log variance / 2).

    conv4x4 of stride 2; residual blocks that halve, (LeakyReLU .2, conv3x3) twice and a mean over
    2x2 pixels, beside such a mean and a conv1x1, each with a pixel norm behind; LeakyReLU, the mean
    over all pixels, a linear layer each. Convolutions have an equalised learning rate, with a
    slope of 1 in the blocks; the linear layers start from N(0, .02).

    Args:
        channels: Channels of the images.
        widths: Channels of the first convolution and of each block.
        style_dim: Length of a code.
        pixel_norm: Is there a pixel norm behind each block?
    """

    @records_init_args
    def __init__(
        self,
        channels: int = 3,
        widths: Sequence[int] = (64, 128, 192, 256),
        style_dim: int = 8,
        pixel_norm: bool = True,
    ) -> None:
        super().__init__()
        self.style_dim = style_dim
        self.first = SameConv2d(channels, widths[0], 4, stride=2)
        self.blocks = nn.ModuleList(_Halving(*pair) for pair in pairwise(widths))
        self.norm = PixelNorm() if pixel_norm else nn.Identity()
        self.mean = nn.Linear(widths[-1], style_dim)
        self.log_variance = nn.Linear(widths[-1], style_dim)
        for layer in (self.mean, self.log_variance):
            nn.init.normal_(layer.weight, std=STD)
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, each (N, style_dim), of images (N, C, H, W)."""
        check_size(images, multiple=2 ** (len(self.blocks) + 1))
        x = self.first(images)
        for block in self.blocks:
            x = self.norm(block(x))
        h = F.leaky_relu(x, SLOPE).mean(dim=(2, 3))
        return self.mean(h), self.log_variance(h)


class StEPGenerator(nn.Module):
    """Maps images and codes to images: an encoder of content, and a decoder that is given both.

    Content: conv7x7, then conv3x3 of stride 2, each with instance norm and ReLU; residual blocks.
    The code is repeated over all pixels and joined to the content: residual blocks; then for each
    size the encoder's map of that size, the decoder's and the code are joined and enlarged by
    nearest x2, (conv3x3, ReLU, pixel norm) twice. At last these three and a conv1x1, tanh.
    Convolutions have an equalised learning rate; biases that a norm would cancel are left out.

    Args:
        in_channels: Channels of the images that are given.
        out_channels: Channels of the images that are made.
        width: Channels of the first convolution; each halving doubles them, up to 512.
        levels: Halvings.
        n_blocks: Residual blocks of the content, and as many of the decoder.
        style_dim: Length of a code.
    """

    @records_init_args
    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 32,
        levels: int = 3,
        n_blocks: int = 4,
        style_dim: int = 8,
    ) -> None:
        super().__init__()
        self.style_dim = style_dim
        widths = [min(width * 2**i, max(MOST, width)) for i in range(levels + 1)]
        self.down = nn.ModuleList([_normed(in_channels, width, 7)])
        self.down.extend(_normed(*pair, 3, stride=2) for pair in pairwise(widths))
        self.content = nn.Sequential(*(_Residual(widths[-1]) for _ in range(n_blocks)))
        joined = widths[-1] + style_dim
        self.blocks = nn.Sequential(*(_Residual(joined) for _ in range(n_blocks)))
        self.up = nn.ModuleList()
        for c_skip, c_out in pairwise(widths[::-1]):
            self.up.append(_Enlarging(c_skip + joined + style_dim, c_out))
            joined = c_out
        self.last = SameConv2d(2 * width + style_dim, out_channels, 1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Make images in [-1, 1] of images (N, C, H, W) and codes (N, style_dim)."""
        check_size(x, multiple=2 ** len(self.up))
        style = style.to(x.dtype)[:, :, None, None]
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        x = self.blocks(_joined(self.content(x), style=style))
        for layer in self.up:
            x = layer(_joined(skips.pop(), x, style=style))
        return self.last(_joined(skips.pop(), x, style=style)).tanh()


class StEPDiscriminator(nn.Module):
    """Scores patches at several scales, each a mean over 2x2 pixels of the one before.

    conv4x4 of stride 2 with LeakyReLU .2, all but the first with instance norm; the batch's
    deviation as one more channel, conv4x4, instance norm, LeakyReLU; conv4x4 to one score.
    Convolutions have an equalised learning rate; biases that a norm would cancel are left out.

    Args:
        channels: Channels of its input, images joined where it judges pairs.
        widths: Channels of the hidden layers.
        scales: How many.
        group: Images that are compared with each other (published: the batch, here of 8).
    """

    @records_init_args
    def __init__(
        self,
        channels: int = 6,
        widths: Sequence[int] = (32, 64, 128, 256),
        scales: int = 3,
        group: int = 8,
    ) -> None:
        super().__init__()
        self.scales = nn.ModuleList(_scores(channels, widths, group) for _ in range(scales))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Score images (N, C, H, W): (N, 1, h, w) of each scale, the finest first."""
        check_size(x, multiple=2 ** (len(self.scales) - 1))
        scores = []
        for i, scale in enumerate(self.scales):
            x = F.avg_pool2d(x, 2) if i else x
            scores.append(scale(x))
        return scores


class StEPMapper(nn.Module):
    """Maps noise to codes: linear layers with tanh, the last one without.

    It knows the mean and the standard deviation of the codes too, to compare with (see
    `independent`), and whether its training has begun. Weights start as Glorot's uniform ones,
    biases from 0.

    Args:
        style_dim: Length of a code, and of the noise.
        width: Width of the hidden layers.
        layers: Hidden layers.
    """

    mean: Tensor
    deviation: Tensor
    trained: Tensor

    @records_init_args
    def __init__(self, style_dim: int = 8, width: int = 128, layers: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential()
        for c_in in [style_dim, *[width] * (layers - 1)]:
            self.body.extend([nn.Linear(c_in, width), nn.Tanh()])
        self.body.append(nn.Linear(width, style_dim))
        for layer in self.body[::2]:
            assert isinstance(layer, nn.Linear)
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("mean", torch.zeros(style_dim))
        self.register_buffer("deviation", torch.ones(style_dim))
        self.register_buffer("trained", torch.tensor(False))

    def forward(self, noise: Tensor) -> Tensor:
        return self.body(noise)

    def independent(self, noise: Tensor) -> Tensor:
        """Return codes (N, style_dim) of N(mean, deviation), each coordinate by itself."""
        return self.mean + self.deviation * noise

    @torch.no_grad()
    def measure(self, codes: Tensor) -> None:
        """Take over the mean and the standard deviation of codes (N, style_dim)."""
        self.mean.copy_(codes.mean(dim=0))
        self.deviation.copy_(codes.std(dim=0))


class _Halving(nn.Module):
    """A residual block that halves."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv1 = SameConv2d(c_in, c_out, 3, slope=1.0)
        self.conv2 = SameConv2d(c_out, c_out, 3, slope=1.0)
        self.shortcut = SameConv2d(c_in, c_out, 1, slope=1.0)

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu(self.conv1(F.leaky_relu(x, SLOPE)), SLOPE)
        deep = conv3x3_pool(h, self.conv2.scaled, self.conv2.bias)
        return deep + self.shortcut(F.avg_pool2d(x, 2))


class _Residual(nn.Sequential):
    """x + norm(conv3x3(ReLU(norm(conv3x3(x)))))."""

    def __init__(self, channels: int) -> None:
        convs = [SameConv2d(channels, channels, 3, bias=False, slope=1.0) for _ in range(2)]
        norms = [AffineInstanceNorm(channels) for _ in range(2)]
        super().__init__(convs[0], norms[0], nn.ReLU(), convs[1], norms[1])

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)  # type: ignore[no-untyped-call]  # of torch


class _Enlarging(nn.Module):
    """Nearest x2, then (conv3x3, ReLU, pixel norm) twice."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = SameConv2d(c_in, c_out, 3), SameConv2d(c_out, c_out, 3)
        self.norm = PixelNorm()

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(up_conv3x3(x, self.conv1.scaled, self.conv1.bias).relu())
        return self.norm(self.conv2(h).relu())


def _joined(*maps: Tensor, style: Tensor) -> Tensor:
    """Join maps (N, c, h, w) and a code (N, style_dim, 1, 1) over channels."""
    return torch.cat([*maps, style.expand(-1, -1, *maps[0].shape[-2:])], dim=1)


def _normed(c_in: int, c_out: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    conv = SameConv2d(c_in, c_out, kernel_size, stride, bias=False)
    return nn.Sequential(conv, AffineInstanceNorm(c_out), nn.ReLU())


def _scores(channels: int, widths: Sequence[int], group: int) -> nn.Sequential:
    """Build the network of a scale."""
    *strided, last = widths
    body = nn.Sequential(SameConv2d(channels, widths[0], 4, stride=2), nn.LeakyReLU(SLOPE))
    for c_in, c_out in pairwise(strided):
        conv = SameConv2d(c_in, c_out, 4, stride=2, bias=False)
        body.extend([conv, AffineInstanceNorm(c_out), nn.LeakyReLU(SLOPE)])
    body.append(MinibatchDeviation(group, unbiased=False))
    conv = SameConv2d(strided[-1] + 1, last, 4, bias=False)
    body.extend([conv, AffineInstanceNorm(last), nn.LeakyReLU(SLOPE)])
    return body.append(SameConv2d(last, 1, 4))
