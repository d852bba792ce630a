"""Layers whose weights are stored as N(0, 1) and scaled by 1 / sqrt(fan in) in every pass.

So all layers learn at one rate (PGAN, arXiv:1710.10196, section 4.1). As StyleGAN2 has it the bias
is not scaled, and the gain of an activation belongs to the activation.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.networks.parts.resampling import LowPass

SLOPE = 0.2
LRELU_GAIN = math.sqrt(2)


class EqualisedLinear(nn.Module):
    """x W^T / sqrt(in_features) + b.

    Args:
        in_features: Length of its input.
        out_features: Length of its output.
        lr_multiplier: Factor of weights and bias; the weights are stored divided by it, so that
            an optimizer moves the layer so much more slowly (StyleGAN, arXiv:1812.04948: .01 in
            the mapping network).
        bias_init: What the bias starts from.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init))
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        # The input is smaller than the weights.
        return F.linear(
            x * (self.weight_gain * gain), self.weight, self.bias * (self.bias_gain * gain)
        )


class EqualisedConv(nn.Module):
    """Convolution by W / sqrt(in_channels k^2), plus b, that keeps the size, or halves it.

    To halve, the input is low-passed first (StyleGAN2, arXiv:1912.04958).

    Args:
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        kernel_size: Height and width k of the kernel, odd.
        bias: Has it a bias?
        halve: Halve the size?
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        bias: bool = True,
        halve: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.weight_gain = 1 / math.sqrt(in_channels * kernel_size**2)
        self.low_pass = LowPass() if halve else None

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        size = self.weight.size(2)
        weight = self.weight * (self.weight_gain * gain)
        bias = None if self.bias is None else self.bias * gain
        if self.low_pass is None:
            return F.conv2d(x, weight, bias, padding=size // 2)
        if size == 1:
            return F.conv2d(self.low_pass.reduce(x), weight, bias)
        return F.conv2d(self.low_pass.blur(x, padding=size // 2 + 1), weight, bias, stride=2)


def activate(x: Tensor, clamp: float | None = None) -> Tensor:
    """Return LeakyReLU .2 of features, within +-clamp if that is given.

    The activation's gain, sqrt(2), goes with the layer before it: c lrelu(x) = lrelu(c x).
    """
    x = F.leaky_relu(x, SLOPE)
    return x if clamp is None else x.clamp(-clamp, clamp)
