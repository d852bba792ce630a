"""BicycleGAN's networks against plain statements in float64, their counts as published."""

import pytest
import torch
import torch.nn.functional as F
from public_files import manifest

from lit_synth.errors import InputError
from lit_synth.networks import (
    BicycleGANDiscriminator,
    BicycleGANEncoder,
    BicycleGANGenerator,
)


@pytest.fixture(autouse=True)
def in_float64():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def drawn(network):
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


def normalised(x):
    mean = x.mean((2, 3), keepdim=True)
    return (x - mean) / ((x - mean).square().mean((2, 3), keepdim=True) + 1e-5).sqrt()


def leaky(x):
    return torch.where(x > 0, x, 0.2 * x)


def joined(x, z):
    return torch.cat([x, z[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)


def plain_image(g, x, z, level=0):
    """Return a level's result, of what enters it: as the authors' levels hold each other."""
    last = len(g.down) - 1
    conv = g.down[level][0 if level == 0 else 1]
    h = joined(x, z) if level == 0 or g.style_at == "all" else x
    h = F.conv2d(h if level == 0 else leaky(h), conv.weight, conv.bias, stride=2, padding=1)
    if 0 < level < last:
        h = normalised(h)
    if level < last:
        h = torch.cat([plain_image(g, h, z, level + 1), h], 1)
    up = g.output if level == 0 else g.up[last - level][1]
    h = F.conv_transpose2d(h.relu(), up.weight, up.bias, stride=2, padding=1)
    return h.tanh() if level == 0 else normalised(h)


@pytest.mark.parametrize("style_at", ["all", "input"])
def test_generator_is_its_plain_statement(style_at):
    g = drawn(BicycleGANGenerator(1, 3, 16, 4, 3, style_at))
    x, z = torch.randn(2, 1, 16, 16), torch.randn(2, 3)
    torch.testing.assert_close(g(x, z), plain_image(g, x, z))
    assert not torch.allclose(g(x, -z), g(x, z))


def plain_styles(e, y):
    h = F.conv2d(y, e.first.weight, e.first.bias, stride=2, padding=1)
    for block in e.blocks:
        deep = F.conv2d(leaky(normalised(h)), block.conv1.weight, padding=1)
        deep = F.conv2d(leaky(normalised(deep)), block.conv2.weight, block.conv2.bias, padding=1)
        shortcut = F.conv2d(F.avg_pool2d(h, 2), block.shortcut.weight, block.shortcut.bias)
        h = F.avg_pool2d(deep, 2) + shortcut
    h = leaky(h).mean((2, 3))
    return [h @ fc.weight.T + fc.bias for fc in (e.mean, e.log_variance)]


def test_encoder_is_its_plain_statement():
    e, y = drawn(BicycleGANEncoder(3, [4, 6, 5], 3)), torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(list(e(y)), plain_styles(e, y))


def plain_scores(d, x):
    scores = []
    for scale in d.scales:
        convs = [layer for layer in scale if isinstance(layer, torch.nn.Conv2d)]
        h = x
        for i, conv in enumerate(convs):
            stride = 2 if i < len(convs) - 2 else 1
            h = F.conv2d(h, conv.weight, conv.bias, stride=stride, padding=1)
            if i < len(convs) - 1:
                h = leaky(normalised(h) if i else h)
        scores.append(h)
        inside = F.avg_pool2d(torch.ones_like(x), 3, stride=2, padding=1)
        x = F.avg_pool2d(x, 3, stride=2, padding=1) / inside
    return scores


def test_discriminator_is_its_plain_statement():
    d, x = drawn(BicycleGANDiscriminator(3, [4, 6], 2)), torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(d(x), plain_scores(d, x))
    assert [scale[0].out_channels for scale in d.scales] == [4, 2]


@pytest.mark.parametrize(
    ("network", "file"),
    [
        (BicycleGANGenerator, "bicycle_G_unet256"),
        (BicycleGANEncoder, "bicycle_E_resnet256"),
        (BicycleGANDiscriminator, "bicycle_D_256multi"),
    ],
)
def test_sizes_are_the_published_ones_without_the_biases_that_norms_cancel(network, file):
    with torch.device("meta"):
        built = network()
    kernels = [shape for shape in manifest(file).values() if len(shape) > 1]
    ours = [list(p.shape) for p in built.parameters() if p.ndim > 1]
    assert sorted(ours) == sorted(kernels)


def test_images_of_no_fit_are_refused():
    with pytest.raises(InputError, match="power of two"):
        BicycleGANGenerator(image_size=48)
    with pytest.raises(InputError, match="got images of 32x32 px"):
        BicycleGANGenerator(image_size=16, width=2)(torch.zeros(1, 3, 32, 32), torch.zeros(1, 8))
    with pytest.raises(InputError, match="its 2 scales need 48"):
        BicycleGANDiscriminator()(torch.zeros(1, 3, 32, 32))
