import math

import gan_checks
import pytest
import stylegan2_plainly as plainly
import torch
import torch.nn.functional as F

from lit_synth.networks.parts.modulated import StyledConv, demodulation

SIZE = 8


def layer_and_inputs(double, style_scale):
    layer = gan_checks.randomise(StyledConv(5, 4, 3, SIZE, double))
    with torch.no_grad():  # small styles, so that the 1e-8 under the root counts
        layer.style.weight *= style_scale
        layer.style.bias *= style_scale
    rng = torch.Generator().manual_seed(3)
    size = SIZE // 2 if double else SIZE
    x = torch.randn(3, 5, size, size, generator=rng, dtype=torch.float64)
    return layer, x, torch.randn(3, 3, generator=rng, dtype=torch.float64)


def with_a_kernel_per_image(layer, x, w):
    """The same layer as one grouped convolution, each image a group with a kernel of its own."""
    styles = w @ layer.style.weight.T / math.sqrt(3) + layer.style.bias
    kernels = layer.weight * styles[:, None, :, None, None]
    power = kernels.square().sum(dim=(2, 3, 4), keepdim=True)
    kernels = kernels / (power + 1e-8).sqrt()
    if layer.low_pass is None:
        y = F.conv2d(x.flatten(0, 1)[None], kernels.flatten(0, 1), padding=1, groups=3)
    else:
        turned = kernels.transpose(1, 2).flatten(0, 1)
        y = F.conv_transpose2d(x.flatten(0, 1)[None], turned, stride=2, groups=3)
        y = 4 * torch.cat([plainly.low_pass(plainly.pad(plane[None], 1, 1)) for plane in y[0]])
    y = y.view(3, 4, SIZE, SIZE) + layer.noise_const * layer.noise_strength
    y = y + layer.bias[:, None, None]
    return math.sqrt(2) * F.leaky_relu(y, 0.2)


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("style_scale", [1.0, 1e-4])
def test_one_kernel_for_all_images_equals_a_kernel_per_image(double, style_scale):
    layer, x, w = layer_and_inputs(double, style_scale)
    inputs = [x.requires_grad_(), w.requires_grad_(), *layer.parameters()]
    ours, plain = layer(x, w, "const"), with_a_kernel_per_image(layer, x, w)
    torch.testing.assert_close(ours, plain, rtol=1e-10, atol=1e-10)
    direction = torch.randn_like(ours)
    slopes = [torch.autograd.grad((y * direction).sum(), inputs) for y in (ours, plain)]
    for mine, theirs in zip(*slopes, strict=True):
        bound = 1e-10 * theirs.abs().max().item()
        torch.testing.assert_close(mine, theirs, rtol=0, atol=bound)


def test_demodulation_makes_every_kernel_a_unit():
    weight = torch.randn(4, 5, 3, 3, dtype=torch.float64)
    style = torch.randn(2, 5, dtype=torch.float64)
    kernels = weight * style[:, None, :, None, None]
    kernels = kernels * demodulation(weight, style, eps=0.0)[:, :, None, None, None]
    norms = kernels.square().sum(dim=(2, 3, 4))
    torch.testing.assert_close(norms, torch.ones_like(norms))
