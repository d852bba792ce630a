"""StarGAN v2's networks: plain statements in float64, every tensor as published."""

import math

import pytest
import torch
import torch.nn.functional as F

from lit_synth.errors import InputError
from lit_synth.networks import (
    StarGANv2Discriminator,
    StarGANv2Encoder,
    StarGANv2Generator,
    StarGANv2Mapping,
)


def images(n=2, size=16, channels=2):
    torch.manual_seed(0)
    return torch.randn(n, channels, size, size, dtype=torch.float64)


def shaken(network):
    """Return a network in float64 with biases and norms that are not those of the start."""
    torch.manual_seed(1)
    network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def normed(x):
    mean = x.mean((2, 3), keepdim=True)
    variance = (x - mean).square().mean((2, 3), keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


def leaky(x):
    return torch.where(x > 0, x, 0.2 * x)


def conv(x, layer, padding=1):
    return F.conv2d(x, layer.weight, layer.bias, padding=padding)


def mean_of_four(x):
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def enlarged(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def affine(x, norm):
    return normed(x) * norm.weight[:, None, None] + norm.bias[:, None, None]


def adapted(x, norm, s):
    gamma, beta = (s @ norm.affine.weight.T + norm.affine.bias).chunk(2, dim=1)
    return (1 + gamma)[..., None, None] * normed(x) + beta[..., None, None]


def shortcut(x, block):
    return x if isinstance(block.shortcut, torch.nn.Identity) else conv(x, block.shortcut, 0)


def residual(x, block):
    """The authors' order: convolve, then take means; a shortcut is convolved, then pooled."""
    normal = isinstance(block.norm1, torch.nn.Identity)
    h = conv(leaky(x if normal else affine(x, block.norm1)), block.conv1)
    passed = shortcut(x, block)
    if block.down:
        h, passed = mean_of_four(h), mean_of_four(passed)
    h = conv(leaky(h if normal else affine(h, block.norm2)), block.conv2)
    return (h + passed) / math.sqrt(2)


def styled(x, s, block):
    """The authors' order: enlarge, then convolve."""
    h, passed = leaky(adapted(x, block.norm1, s)), x
    if block.up:
        h, passed = enlarged(h), enlarged(passed)
    h = conv(leaky(adapted(conv(h, block.conv1), block.norm2, s)), block.conv2)
    return (h + shortcut(passed, block)) / math.sqrt(2) if block.sums else h


def test_generator_is_the_published_one():
    net = shaken(StarGANv2Generator(2, 32, width=3, max_width=5, style_dim=4))
    x, s = images(size=32), torch.randn(2, 4, dtype=torch.float64)
    h = conv(x, net.first)
    for block in net.encoder:
        h = residual(h, block)
    for block in net.decoder:
        h = styled(h, s, block)
    expected = conv(leaky(affine(h, net.norm)), net.last, 0)
    torch.testing.assert_close(net(x, s), expected)


def test_edges_pass_where_the_mask_lets_them():
    net = shaken(StarGANv2Generator(2, 64, width=3, max_width=5, style_dim=4, high_pass=0.5))
    x, s = images(size=64), torch.randn(2, 4, dtype=torch.float64)
    low, high = (torch.rand(2, 1, 64, 64, dtype=torch.float64) for _ in range(2))
    kernel = torch.tensor([[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]]).double() / 0.5
    kept, h = {}, conv(x, net.first)
    for block in net.encoder:
        kept[h.shape[2]] = kept.get(h.shape[2], h)
        h = residual(h, block)
    assert h.shape[2] == 8
    for block in net.decoder:
        h = styled(h, s, block)
        if (size := h.shape[2]) in (32, 64):
            mask = F.interpolate(low if size == 32 else high, size=size, mode="bilinear")
            for c in range(h.shape[1]):
                edges = F.conv2d((mask * kept[size])[:, c : c + 1], kernel[None, None], padding=1)
                h = torch.cat([h[:, :c], h[:, c : c + 1] + edges, h[:, c + 1 :]], dim=1)
    expected = conv(leaky(affine(h, net.norm)), net.last, 0)
    torch.testing.assert_close(net(x, s, (low, high)), expected)


def trunk(x, layers):
    h = conv(x, layers[1])
    for block in layers[2:-3]:
        h = residual(h, block)
    return leaky(conv(leaky(h), layers[-2], 0)).flatten(1)


def test_encoder_and_discriminator_are_the_published_ones():
    domain = torch.tensor([2, 0])
    encoder = shaken(StarGANv2Encoder(2, 16, 3, width=3, max_width=5, style_dim=4))
    read = trunk(images(), encoder.shared)
    heads = [encoder.domains[k] for k in domain]
    expected = torch.stack([r @ h.weight.T + h.bias for r, h in zip(read, heads, strict=True)])
    torch.testing.assert_close(encoder(images(), domain), expected)
    judge = shaken(StarGANv2Discriminator(2, 16, 3, width=3, max_width=5))
    read, (weight, bias) = trunk(images(), judge.trunk), judge.domains.parameters()
    expected = torch.stack([read[i] @ weight[k, :, 0, 0] + bias[k] for i, k in enumerate(domain)])
    torch.testing.assert_close(judge(images(), domain), expected)


def test_mapping_is_the_published_one():
    net, domain = shaken(StarGANv2Mapping(3, 2, 4, hidden=5)), torch.tensor([1, 2])
    z = torch.randn(2, 2, dtype=torch.float64)
    made = []
    for row, k in zip(z, domain, strict=True):
        h = row
        for layer in net.shared[::2]:
            h = (layer.weight @ h + layer.bias).relu()
        for layer in net.domains[k][:-1:2]:
            h = (layer.weight @ h + layer.bias).relu()
        made.append(net.domains[k][-1].weight @ h + net.domains[k][-1].bias)
    torch.testing.assert_close(net(z, domain), torch.stack(made))


def test_folded_pixels_come_back_to_their_places():
    net = StarGANv2Generator(2, 32, width=3, max_width=5, style_dim=4, fold=2)
    plain = StarGANv2Generator(8, 16, width=3, max_width=5, style_dim=4)
    plain.load_state_dict(net.state_dict())
    x, s = images(size=32).float(), torch.randn(2, 4)
    torch.testing.assert_close(F.pixel_unshuffle(net(x, s), 2), plain(F.pixel_unshuffle(x, 2), s))
    for pixels in F.pixel_unshuffle(net(x, s), 2).unflatten(1, (2, 4)).unbind(1):
        torch.testing.assert_close(pixels, pixels[:, :1].expand_as(pixels))


def test_networks_of_other_sizes_are_refused():
    for build in (StarGANv2Generator, StarGANv2Encoder, StarGANv2Discriminator):
        with pytest.raises(InputError, match="image_size is 48 and fold 1: expected fold times"):
            build(3, 48)
    with pytest.raises(InputError, match="for images of 16x16 px, but got 32x32"):
        StarGANv2Encoder(2, 16, 3, width=3)(images(size=32).float(), torch.zeros(2).long())
