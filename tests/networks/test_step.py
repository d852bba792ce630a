"""StEP's networks against plain statements in float64."""

import math

import pytest
import torch
import torch.nn.functional as F

from lit_synth.networks import StEPDiscriminator, StEPEncoder, StEPGenerator, StEPMapper
from lit_synth.networks.step import SameConv2d


@pytest.fixture(autouse=True)
def in_float64():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def drawn(network):
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network


def same(x, conv, slope, stride=1):
    """Convolve as TensorFlow's SAME does: every result's window, one by one."""
    k, size = conv.kernel_size[0], x.shape[-1]
    out = math.ceil(size / stride)
    zeros = max((out - 1) * stride + k - size, 0)
    padded = torch.zeros(*x.shape[:2], size + zeros, size + zeros)
    first = zeros // 2
    padded[:, :, first : first + size, first : first + size] = x
    weight = conv.weight / math.sqrt((1 + slope**2) * x.shape[1] * k * k / 2)
    y = torch.empty(len(x), len(weight), out, out)
    for i in range(out):
        for j in range(out):
            window = padded[:, :, i * stride : i * stride + k, j * stride : j * stride + k]
            y[:, :, i, j] = torch.einsum("ncij,ocij->no", window, weight)
    return y if conv.bias is None else y + conv.bias[:, None, None]


def leaky(x):
    return torch.where(x > 0, x, 0.2 * x)


def pixel_norm(x):
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


def instance_norm(x, norm):
    mean = x.mean((2, 3), keepdim=True)
    x = (x - mean) / ((x - mean).square().mean((2, 3), keepdim=True) + 1e-5).sqrt()
    return x * norm.weight[:, None, None] + norm.bias[:, None, None]


def twice(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.mark.parametrize(("kernel", "stride"), [(4, 1), (4, 2), (3, 2), (7, 1), (1, 1)])
@pytest.mark.parametrize("size", [6, 7])
def test_padding_is_tensorflows(kernel, stride, size):
    conv, x = drawn(SameConv2d(2, 3, kernel, stride)), torch.randn(1, 2, size, size)
    torch.testing.assert_close(conv(x), same(x, conv, 0.2, stride))


@pytest.mark.parametrize("normed", [True, False])
def test_encoder_is_its_plain_statement(normed):
    e, y = drawn(StEPEncoder(3, [4, 6, 5], 3, normed)), torch.randn(2, 3, 16, 16)
    h = same(y, e.first, 0.2, 2)
    for block in e.blocks:
        deep = same(leaky(same(leaky(h), block.conv1, 1)), block.conv2, 1)
        h = F.avg_pool2d(deep, 2) + same(F.avg_pool2d(h, 2), block.shortcut, 1)
        h = pixel_norm(h) if normed else h
    h = leaky(h).mean((2, 3))
    expected = [h @ fc.weight.T + fc.bias for fc in (e.mean, e.log_variance)]
    torch.testing.assert_close(list(e(y)), expected)


def test_generator_is_its_plain_statement():
    g = drawn(StEPGenerator(1, 3, 4, levels=2, n_blocks=1, style_dim=3))
    x, z = torch.randn(2, 1, 8, 8), torch.randn(2, 3)

    def residual(h, block):
        deep = instance_norm(same(h, block[0], 1), block[1]).relu()
        return h + instance_norm(same(deep, block[3], 1), block[4])

    h, skips = x, []
    for i, (conv, norm, _) in enumerate(g.down):
        h = instance_norm(same(h, conv, 0.2, 2 if i else 1), norm).relu()
        skips.append(h)
    h = residual(h, g.content[0])
    h = residual(torch.cat([h, z[:, :, None, None].expand(-1, -1, 2, 2)], 1), g.blocks[0])
    for up in [*g.up, None]:
        skip = skips.pop()
        h = torch.cat([skip, h, z[:, :, None, None].expand(-1, -1, *skip.shape[2:])], 1)
        if up is not None:
            h = pixel_norm(same(twice(h), up.conv1, 0.2).relu())
            h = pixel_norm(same(h, up.conv2, 0.2).relu())
    torch.testing.assert_close(g(x, z), same(h, g.last, 0.2).tanh())


def test_discriminator_is_its_plain_statement():
    d, x = drawn(StEPDiscriminator(2, [4, 6, 5], 2, group=8)), torch.randn(3, 2, 16, 16)
    h, expected = x, []
    for scale in d.scales:
        y = leaky(same(h, scale[0], 0.2, 2))
        y = leaky(instance_norm(same(y, scale[2], 0.2, 2), scale[3]))
        spread = ((y - y.mean(0)).square().mean(0) + 1e-8).sqrt().mean()
        y = torch.cat([y, spread.expand(3, 1, *y.shape[2:])], 1)
        y = leaky(instance_norm(same(y, scale[6], 0.2), scale[7]))
        expected.append(same(y, scale[9], 0.2))
        h = F.avg_pool2d(h, 2)
    torch.testing.assert_close(d(x), expected)


def test_sizes_are_those_of_the_published_layers():
    # Counted from section 2 of the supplement's networks, without biases that norms cancel.
    e = 16 * 3 * 64 + 64 + 2 * (256 * 8 + 8)
    for c_in, c_out in [(64, 128), (128, 192), (192, 256)]:
        e += 9 * c_in * c_out + 9 * c_out * c_out + c_in * c_out + 3 * c_out
    g = 49 * 3 * 32 + 9 * (32 * 64 + 64 * 128 + 128 * 256) + 2 * (32 + 64 + 128 + 256)
    g += 4 * 2 * (9 * 256**2 + 2 * 256) + 4 * 2 * (9 * 264**2 + 2 * 264)
    for c_in, c_out in [(256 + 264 + 8, 128), (2 * 128 + 8, 64), (2 * 64 + 8, 32)]:
        g += 9 * c_in * c_out + 9 * c_out**2 + 2 * c_out
    g += (2 * 32 + 8) * 3 + 3
    d = 16 * 6 * 32 + 32 + 16 * (32 * 64 + 64 * 128 + 129 * 256) + 2 * (64 + 128 + 256)
    d = 3 * (d + 16 * 256 + 1)
    m = 8 * 128 + 2 * 128 * 128 + 3 * 128 + 128 * 8 + 8
    for network, count in [
        (StEPEncoder, e),
        (StEPGenerator, g),
        (StEPDiscriminator, d),
        (StEPMapper, m),
    ]:
        with torch.device("meta"):
            assert sum(p.numel() for p in network().parameters()) == count


def test_mapper_knows_the_codes_mean_and_deviation():
    m, codes, noise = drawn(StEPMapper(3, 5, 2)), torch.randn(50, 3) * 4 + 1, torch.randn(2, 3)
    m.measure(codes)
    torch.testing.assert_close(m.independent(noise), codes.mean(0) + codes.std(0) * noise)
    h = noise
    for i in (0, 2):
        h = (h @ m.body[i].weight.T + m.body[i].bias).tanh()
    torch.testing.assert_close(m(noise), h @ m.body[4].weight.T + m.body[4].bias)
