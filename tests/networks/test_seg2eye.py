"""Seg2Eye's networks: norms and layers against plain statements in float64, counts as published."""

import pytest
import torch
import torch.nn.functional as F
from spade_plainly import drawn, one_hot, spade_norm, spectral

from lit_synth.networks import Seg2EyeEncoder, Seg2EyeGenerator, SPADEDiscriminator
from lit_synth.networks.parts.label_maps import LabelMap
from lit_synth.networks.seg2eye import StyleBlock

K, STYLE = 5, 3
# Is AdaIN normalised, does SPADE follow it, is there one?
FORMS = [(True, False, True), (False, False, True), (True, True, True), (True, False, False)]


@pytest.fixture(autouse=True)
def in_float64():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def of_each_image(x):
    mean = x.mean((2, 3), keepdim=True)
    return (x - mean) / ((x - mean).square().mean((2, 3), keepdim=True) + 1e-5).sqrt()


def style_norm(norm, x, m, w, normalised_adain, sequential, reads_mask):
    """(SPADE + AdaIN) / 2, image by image; the style's first half scales, the other shifts."""
    rows = []
    for image, style in zip(of_each_image(x) if normalised_adain else x, w, strict=True):
        y = norm.adain.weight @ style + norm.adain.bias
        y = torch.where(y > 0, y, 0.2 * y)
        scale, shift = y[: len(y) // 2], y[len(y) // 2 :]
        rows.append(image * (1 + scale[:, None, None]) + shift[:, None, None])
    styled = torch.stack(rows)
    if not reads_mask:
        return styled
    if sequential:
        return spade_norm(norm.spade, styled, m)
    return (spade_norm(norm.spade, x, m) + styled) / 2


@pytest.mark.parametrize("out", [3, 4])
@pytest.mark.parametrize("form", FORMS)
def test_a_block_is_its_plain_statement(form, out):
    block = drawn(StyleBlock(4, out, K, 3, STYLE, "batch", *form))
    ids, w = torch.randint(K, (2, 8, 8)), torch.randn(2, STYLE)
    x, m = torch.randn(2, 4, 8, 8), one_hot(ids, K)
    h = F.leaky_relu(style_norm(block.norm1, x, m, w, *form), 0.2)
    h = spectral(block.conv1, h, 1)
    h = spectral(block.conv2, F.leaky_relu(style_norm(block.norm2, h, m, w, *form), 0.2), 1)
    shortcut = x
    if out != 4:
        shortcut = spectral(block.shortcut, style_norm(block.norm_shortcut, x, m, w, *form), 0)
    torch.testing.assert_close(block(x, LabelMap(ids), w), shortcut + h, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("activations", [True, False])
def test_the_encoder_is_its_plain_statement(activations):
    net = drawn(Seg2EyeEncoder(2, (3, 4), STYLE, activations))
    x = torch.randn(2, 2, 20, 16)
    h = F.interpolate(x, (16, 16), mode="bilinear", align_corners=False)
    features = []
    for number, layer in enumerate(net.layers):
        conv = layer[0].parametrizations.weight.original
        weight = conv / torch.linalg.matrix_norm(conv.flatten(1), 2)
        h = F.leaky_relu(h, 0.2) if number and activations else h
        h = of_each_image(F.conv2d(h, weight, stride=2, padding=1))
        features.append(h)
    style = F.linear(F.leaky_relu(h, 0.2).flatten(1), net.to_style.weight, net.to_style.bias)
    found, own = net(x)
    torch.testing.assert_close(found, style, rtol=1e-6, atol=1e-6)
    for ours, theirs in zip(own, features, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_a_style_changes_every_block_and_only_its_own_image():
    net = Seg2EyeGenerator(K, 1, 2, (2, 2, 2, 1), 3, STYLE, norm="instance").eval()
    ids, w = torch.randint(K, (2, 8, 8)), torch.randn(2, STYLE)
    before = net(LabelMap(ids), w)
    other = torch.cat([w[:1], torch.randn(1, STYLE)])
    after = net(LabelMap(ids), other)
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1])
    assert before.shape == (2, 1, 8, 8)


def test_numbers_of_parameters_are_those_of_the_authors_code():
    def parameters(network):
        return sum(parameter.numel() for parameter in network.parameters())

    with torch.device("meta"):
        assert parameters(Seg2EyeGenerator()) == 92_460_481
        # The code's encoder has one more linear layer, which nothing reads.
        unread = 16 * 8192 + 16
        assert parameters(Seg2EyeEncoder()) + unread == 6_529_632
        assert parameters(SPADEDiscriminator(4, image_channels=1)) == 5_531_778
        image = Seg2EyeGenerator()(LabelMap(torch.zeros(1, 320, 256).long()), torch.zeros(1, 16))
    assert image.shape == (1, 1, 320, 256)
