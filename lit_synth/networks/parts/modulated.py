"""Convolutions that a style scales: StyleGAN2's (Karras et al. 2020, arXiv:1912.04958)."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.networks.parts.equalised import LRELU_GAIN, EqualisedLinear, activate
from lit_synth.networks.parts.resampling import LowPass

EPS = 1e-8
Noise = Literal["random", "const", "none"]


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, noise, bias, LeakyReLU .2 times sqrt(2).

    Weight (o, i, k) of an image is w_oik s_i / sqrt(sum_ik (w_oik s_i)^2 + 1e-8), s = A(w) being
    its style (eq. 1 to 3). Computed with one kernel for all images: features are scaled by s, then
    convolved by w, then scaled by the root, which is the same map and takes one plain convolution.

    To double the size it is a transposed convolution with stride 2, then the low-pass filter.

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        w_dim: Length of w.
        size: Height and width of its output.
        double: Double the size?
        clamp: Keep features within +-clamp; None to let them be.
    """

    noise_const: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        size: int,
        double: bool = False,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.style = EqualisedLinear(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise_const", torch.randn(size, size))
        self.low_pass = LowPass() if double else None
        self.clamp = clamp

    def forward(self, x: Tensor, w: Tensor, noise: Noise) -> Tensor:
        style = style_of(self.style, w)
        # Divided by sqrt(fan in), which the root takes back: half precision then overflows less.
        fan_in = self.weight[0].numel()
        style = style / math.sqrt(fan_in)
        root = demodulation(self.weight, style, EPS / fan_in) * LRELU_GAIN
        y = self._convolve(x * style[:, :, None, None].to(x.dtype))
        offset = self.bias[:, None, None] * LRELU_GAIN
        if noise != "none":
            offset = offset + self._noise(noise, y.size(0)) * LRELU_GAIN
        y = torch.addcmul(offset.to(y.dtype), y, root[:, :, None, None].to(y.dtype))
        return activate(y, self.clamp)

    def _convolve(self, x: Tensor) -> Tensor:
        if self.low_pass is None:
            return F.conv2d(x, self.weight, padding=1)
        y = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
        return self.low_pass.blur(y, padding=1, gain=4.0)

    def _noise(self, noise: Noise, n: int) -> Tensor:
        maps = self.noise_const
        if noise == "random":
            maps = torch.randn(n, 1, *maps.shape, dtype=maps.dtype, device=maps.device)
        return maps * self.noise_strength


class ToRGB(nn.Module):
    """1x1 convolution to an image, modulated but not demodulated, plus a bias.

    Args:
        in_channels: Channels of its input.
        image_channels: Channels of the image.
        w_dim: Length of w.
        clamp: Keep what it adds to the image within +-clamp; None to let it be.
    """

    def __init__(
        self, in_channels: int, image_channels: int, w_dim: int, clamp: float | None = None
    ) -> None:
        super().__init__()
        self.style = EqualisedLinear(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(image_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(image_channels))
        self.clamp = clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = style_of(self.style, w) / math.sqrt(self.weight.size(1))
        y = F.conv2d(x * style[:, :, None, None].to(x.dtype), self.weight, self.bias)
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)


def style_of(affine: EqualisedLinear, w: Tensor) -> Tensor:
    """Return the style (N, C) of w (N, w_dim), in full precision also under autocast."""
    with torch.autocast(w.device.type, enabled=False):
        style: Tensor = affine(w.to(affine.weight.dtype))
        return style


def demodulation(weight: Tensor, style: Tensor, eps: float = EPS) -> Tensor:
    """Return 1 / sqrt(sum_ik (w_oik s_i)^2 + eps), (N, O), of kernels and styles.

    One matrix product of the styles' squares with the kernels' powers.

    Args:
        weight: Kernels (O, I, k, k).
        style: For each image and input channel (N, I).
        eps: Added to the sum.
    """
    with torch.autocast(weight.device.type, enabled=False):
        power = weight.square().sum(dim=(2, 3))
        return torch.rsqrt(style.square() @ power.T + eps)
