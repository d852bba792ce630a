import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lit_synth.networks.dcgan_mnist import SameConv5x5, SameConvTranspose5x5
from lit_synth.networks.parts.blocks import (
    ConvPool3x3,
    PixelNorm,
    UpConv3x3,
    init_uniform,
    layer_norm,
)


def test_fused_convolutions_equal_their_two_steps():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    up, down = UpConv3x3(3, 4).double(), ConvPool3x3(3, 4).double()
    enlarged = F.interpolate(x, scale_factor=2, mode="nearest")
    torch.testing.assert_close(up(x), F.conv2d(enlarged, up.weight, up.bias, padding=1))
    full = F.conv2d(x, down.weight, down.bias, padding=1)
    torch.testing.assert_close(down(x), F.avg_pool2d(full, 2))


def test_layer_norm_takes_statistics_of_one_image_and_an_affine_per_channel():
    x = 3 * torch.randn(2, 4, 5, 5) + 1
    y = layer_norm(4)(x)
    torch.testing.assert_close(y.mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(y.var(dim=(1, 2, 3), correction=0), torch.ones(2), rtol=1e-4, atol=0)
    assert layer_norm(4).weight.shape == (4,)


def test_pixel_norm_gives_unit_mean_square():
    y = PixelNorm()(5 * torch.randn(3, 7))
    torch.testing.assert_close(y.square().mean(dim=1), torch.ones(3))


@pytest.mark.parametrize(
    ("layer", "he", "fan_in", "fan_out"),
    [
        (nn.Conv2d(32, 48, 3), True, 32 * 9, 48 * 9),
        (nn.Conv2d(32, 48, 1), False, 32, 48),
        (nn.Linear(200, 300), False, 200, 300),
        (nn.Conv2d(32, 48, 5, stride=2), True, 32 * 25, 48 * 25 / 4),
        (nn.ConvTranspose2d(32, 48, 5, stride=2), True, 32 * 25 / 4, 48 * 25),
    ],
)
def test_initial_weights_are_uniform_of_the_stated_std(layer, he, fan_in, fan_out):
    torch.manual_seed(0)
    init_uniform(layer, he)
    std = math.sqrt((4 if he else 2) / (fan_in + fan_out))
    torch.testing.assert_close(layer.weight.std().item(), std, rtol=0.05, atol=0)
    assert layer.weight.abs().max() <= std * math.sqrt(3)
    assert (layer.bias == 0).all()


@pytest.mark.parametrize(("size", "before"), [(28, 1), (14, 1), (7, 2)])
def test_same_convolution_pads_as_tensorflow_does(size, before):
    torch.manual_seed(0)
    conv = SameConv5x5(1, 1)
    x = torch.randn(1, 1, size, size)
    y = conv(x)
    assert y.shape[-1] == math.ceil(size / 2)
    # The output at (1, 1) sees the 5x5 pixels that start at 2 minus the padding before.
    patch = x[0, 0, 2 - before : 7 - before, 2 - before : 7 - before]
    torch.testing.assert_close(y[0, 0, 1, 1], (patch * conv.weight[0, 0]).sum() + conv.bias[0])


def test_transposed_same_convolution_is_the_transpose_of_the_convolution():
    torch.manual_seed(0)
    up, down = SameConvTranspose5x5(2, 3).double(), SameConv5x5(3, 2).double()
    down.weight.data.copy_(up.weight)
    small, large = torch.randn(1, 2, 7, 7).double(), torch.randn(1, 3, 14, 14).double()
    torch.testing.assert_close((up(small) * large).sum(), (down(large) * small).sum())
