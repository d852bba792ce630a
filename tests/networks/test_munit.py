"""MUNIT's networks and their form with pooling indices."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from lit_synth.errors import InputError
from lit_synth.networks import (
    ContentEncoder,
    MultiScaleDiscriminator,
    StyleDecoder,
    StyleEncoder,
)
from lit_synth.networks.munit import DownConv4x4, UpConv5x5
from lit_synth.networks.parts.norms import adaptive_instance_norm

PI = {"n_blocks": 6, "pool": True}  # the thesis' tables


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def kernels(network):
    return [
        (m.in_channels, m.out_channels, m.kernel_size[0])
        for m in network.modules()
        if isinstance(m, nn.Conv2d) and m.kernel_size != (3, 3)
    ]


def reflected(x, weight, bias=None, stride=1):
    pad = (weight.shape[-1] - 1) // 2
    return F.conv2d(F.pad(x, [pad] * 4, mode="reflect"), weight, bias, stride)


def test_at_128_px_the_form_with_indices_has_the_tables_shapes():
    with FakeTensorMode():
        encoder, decoder = ContentEncoder(**PI), StyleDecoder(**PI)
        code = encoder(torch.empty(4, 3, 128, 128))
        style = StyleEncoder()(torch.empty(4, 3, 128, 128))
        y = decoder(code, style)
        scores = MultiScaleDiscriminator()(y)
    assert code.h.shape == (4, 256, 16, 16)
    assert [i.shape[1:] for i in code.indices] == [(64, 64, 64), (128, 32, 32), (256, 16, 16)]
    assert code.skips == []
    assert (style.shape, y.shape) == ((4, 8), (4, 3, 128, 128))
    assert [t.shape for t in scores] == [(4, 1, 8, 8), (4, 1, 4, 4), (4, 1, 2, 2)]
    assert kernels(encoder) == [(3, 64, 7), (64, 128, 7), (128, 256, 7)]
    assert kernels(decoder) == [(256, 128, 7), (128, 64, 7), (64, 3, 7)]
    hidden = [(3, 64, 4), (64, 128, 4), (128, 256, 4), (256, 512, 4), (512, 1, 1)]
    assert kernels(MultiScaleDiscriminator()) == 3 * hidden


def test_sizes_are_the_published_ones_without_the_biases_that_norms_cancel():
    # Counted from the layers of https://github.com/NVlabs/MUNIT, configuration of edges.
    convs = 49 * 3 * 64 + 16 * 64 * 128 + 16 * 128 * 256 + 4 * 2 * 9 * 256 * 256
    assert parameters(ContentEncoder()) == convs
    style = [(49 * 3, 64), (16 * 64, 128), (16 * 128, 256), (16 * 256, 256), (16 * 256, 256)]
    total = sum(fan * out + out for fan, out in [*style, (256, 8)])
    assert parameters(StyleEncoder(widths=[64, 128, 256, 256, 256])) == total
    mlp = 8 * 256 + 256 + 256 * 256 + 256
    up = 4 * 2 * 9 * 256 * 256 + 25 * 256 * 128 + 25 * 128 * 64 + 49 * 64 * 3
    up += 3 * (128 + 64) + 3  # bias, scale and shift of each layer norm; the last bias
    heads = [(256 + 1) * 2 * 256 * n for n in (1, 8)]
    assert parameters(StyleDecoder()) == up + mlp + heads[0]
    assert parameters(StyleDecoder(shared_style=False)) == up + mlp + heads[1]
    hidden = [(16 * 3, 64), (16 * 64, 128), (16 * 128, 256), (16 * 256, 512), (512, 1)]
    total = 3 * sum(fan * out + out for fan, out in hidden)
    assert parameters(MultiScaleDiscriminator()) == total == 8_271_171


@pytest.mark.parametrize("pool", [False, True])
def test_content_equals_its_plain_statement(pool):
    torch.manual_seed(0)
    encoder = ContentEncoder(1, 2, levels=2, n_blocks=1, pool=pool).double()
    w = list(encoder.parameters())
    x = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    h = F.instance_norm(reflected(x, w[0])).relu()
    h = F.max_pool2d(h, 2) if pool else h
    h = F.instance_norm(reflected(h, w[1], stride=1 if pool else 2)).relu()
    h = F.max_pool2d(h, 2) if pool else h
    branch = F.instance_norm(reflected(h, w[2])).relu()
    h = h + F.instance_norm(reflected(branch, w[3]))
    torch.testing.assert_close(encoder(x).h, h)


def test_style_equals_its_plain_statement():
    torch.manual_seed(0)
    encoder = StyleEncoder(1, widths=[2, 3], style_dim=4).double()
    w1, b1, w2, b2, w3, b3 = encoder.parameters()
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    h = reflected(x, w1, b1).relu()
    h = reflected(h, w2, b2, stride=2).relu().mean(dim=(2, 3))
    torch.testing.assert_close(encoder(x), h @ w3[:, :, 0, 0].T + b3)


def slow_adain(x, scale, shift):
    """AdaIN, one image and channel after the other."""
    y = torch.empty_like(x)
    for n in range(len(x)):
        for c in range(x.shape[1]):
            plane = x[n, c]
            std = ((plane - plane.mean()).square().mean() + 1e-5).sqrt()
            y[n, c] = scale[n, c] * (plane - plane.mean()) / std + shift[n, c]
    return y


def slow_layer_norm(x, weight, bias):
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    var = (x - mean).square().mean(dim=(1, 2, 3), keepdim=True)
    return weight[:, None, None] * (x - mean) / (var + 1e-5).sqrt() + bias[:, None, None]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("norm", ["layer", "instance"])
def test_image_equals_its_plain_statement(shared, norm):
    torch.manual_seed(0)
    settings = {"n_blocks": 2, "style_dim": 3, "mlp_dim": 5, "shared_style": shared, "norm": norm}
    decoder = StyleDecoder(1, 2, levels=2, **settings).double()
    code = ContentEncoder(1, 2, levels=2).double()(torch.randn(2, 1, 8, 8, dtype=torch.float64))
    style = torch.randn(2, 3, dtype=torch.float64)

    affine = decoder.style.body(style)
    pairs = [(affine[:, 8 * k : 8 * k + 4], affine[:, 8 * k + 4 : 8 * k + 8]) for k in range(4)]
    pairs = 4 * [(affine[:, :4], affine[:, 4:])] if shared else pairs
    h = code.h
    for block, first, second in zip(decoder.blocks, pairs[::2], pairs[1::2], strict=True):
        branch = slow_adain(reflected(h, block.conv1.weight), *first).relu()
        h = h + slow_adain(reflected(branch, block.conv2.weight), *second)
    conv, normed, _ = decoder.levels[0]
    h = h.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    h = F.conv2d(F.pad(h, [2] * 4, mode="replicate"), conv.weight, conv.bias)
    if norm == "layer":
        nn.init.normal_(normed.weight), nn.init.normal_(normed.bias)
        h = slow_layer_norm(h, normed.weight, normed.bias).relu()
    else:
        h = F.instance_norm(h).relu()
    expected = reflected(h, decoder.last.weight, decoder.last.bias).tanh()
    torch.testing.assert_close(decoder(code, style), expected)


def test_enlarging_convolution_equals_its_plain_statement():
    torch.manual_seed(0)
    conv = UpConv5x5(3, 4).double()
    x = torch.randn(2, 3, 5, 7, dtype=torch.float64)
    h = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = F.conv2d(F.pad(h, [2] * 4, mode="replicate"), conv.weight, conv.bias)
    torch.testing.assert_close(conv(x), expected)


def test_scores_equal_their_plain_statement():
    torch.manual_seed(0)
    network = MultiScaleDiscriminator(1, widths=[2, 3], scales=2).double()
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    for scale, found in zip(network.scales, network(x), strict=True):
        w1, b1, w2, b2, w3, b3 = scale.parameters()
        h = F.leaky_relu(reflected(x, w1, b1, stride=2), 0.2)
        h = F.leaky_relu(reflected(h, w2, b2, stride=2), 0.2)
        torch.testing.assert_close(found, F.conv2d(h, w3, b3))
        ones = F.avg_pool2d(torch.ones_like(x), 3, stride=2, padding=1)
        x = F.avg_pool2d(x, 3, stride=2, padding=1) / ones


@pytest.mark.parametrize("pool", [False, True])
def test_indices_style_and_content_all_matter(pool):
    torch.manual_seed(0)
    encoder, decoder = ContentEncoder(3, 4, 2, 1, pool), StyleDecoder(3, 4, 2, 1, pool)
    code, other = (encoder(torch.randn(1, 3, 16, 16)) for _ in range(2))
    style = torch.randn(1, 8)
    y = decoder(code, style)
    assert y.abs().max() <= 1
    assert not torch.equal(decoder(code._replace(h=other.h), style), y)
    assert not torch.equal(decoder(code, -style), y)
    if pool:
        assert not torch.equal(decoder(code._replace(indices=other.indices), style), y)


def test_weights_start_as_published():
    torch.manual_seed(0)
    decoder = StyleDecoder(width=16, mlp_dim=256)
    weight = decoder.blocks[0].conv1.weight
    torch.testing.assert_close(weight.std().item(), (2 / (9 * 64)) ** 0.5, rtol=0.02, atol=0)
    weight = decoder.style.body[2].weight
    torch.testing.assert_close(weight.std().item(), (2 / 256) ** 0.5, rtol=0.02, atol=0)
    weights = [p.flatten() for p in MultiScaleDiscriminator().parameters() if p.ndim == 4]
    torch.testing.assert_close(torch.cat(weights).std().item(), 0.02, rtol=0.01, atol=0)


def squares(n):
    """Return images (n, 3, 32, 32) of a square of one colour on another, and some noise."""
    rng, place = torch.Generator().manual_seed(1), torch.arange(32)
    first = torch.randint(4, 12, (n, 2, 1), generator=rng)
    inside = (place >= first) & (place < first + 16)
    mask = (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]
    colours = 2 * torch.rand(2, n, 3, 1, 1, generator=rng) - 1
    return torch.where(mask, *colours) + 0.05 * torch.randn(n, 3, 32, 32, generator=rng)


# Not with indices: rounding moves some maxima of pools, and what is unpooled jumps.
def test_bfloat16_gradients_stay_close():
    torch.manual_seed(0)
    encoder, style_encoder = ContentEncoder(3, 16, 3, 2), StyleEncoder(3, [16, 32, 64])
    decoder, x = StyleDecoder(3, 16, 3, 2), squares(8)
    players = nn.ModuleList([encoder, style_encoder, decoder])
    players.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(players.parameters(), lr=2e-3)
    # The gradient of random weights is mostly what rounding moves; that of these is not.
    for _ in range(40):
        optimizer.zero_grad()
        F.mse_loss(decoder(encoder(x), style_encoder(x)), x).backward()
        optimizer.step()
    gradients = []
    for bf16 in (False, True):
        players.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y = decoder(encoder(x), style_encoder(x))
        assert y.dtype == (torch.bfloat16 if bf16 else torch.float32)
        assert y.is_contiguous(memory_format=torch.channels_last)
        F.mse_loss(y.float(), x).backward()
        gradients.append([torch.cat([p.grad.flatten() for p in n.parameters()]) for n in players])
    for exact, rounded in zip(*gradients, strict=True):
        assert (rounded - exact).norm() / exact.norm() < 0.2


@pytest.mark.parametrize("format_", [torch.channels_last, torch.contiguous_format])
def test_adaptive_instance_norm_keeps_bfloat16_and_format_with_float32_gradients(format_):
    torch.manual_seed(0)
    x = (torch.randn(4, 8, 8, 8) + 8 * torch.randn(4, 8, 1, 1)).bfloat16()
    x = x.contiguous(memory_format=format_).requires_grad_()
    affine = [torch.randn(4, 8, requires_grad=True) for _ in range(2)]
    grad = torch.randn(4, 8, 8, 8).bfloat16()
    y = adaptive_instance_norm(x, *affine)
    y.backward(grad)
    exact = [t.detach().double().requires_grad_() for t in (x, *affine)]
    expected = slow_adain(*exact)
    expected.backward(grad.double())
    assert y.dtype == torch.bfloat16
    assert y.is_contiguous(memory_format=format_)
    assert (y - expected).norm() / expected.norm() < 3e-3
    for found, slow in zip((x, *affine), exact, strict=True):
        assert (found.grad - slow.grad).norm() / slow.grad.norm() < 3e-3


def test_padding_stays_in_bfloat16():
    x = torch.randn(1, 2, 4, 4).bfloat16()
    for conv in (DownConv4x4(2, 2), UpConv5x5(2, 2)):
        with torch.autocast("cpu", torch.bfloat16):
            assert conv(x).dtype == torch.bfloat16


def test_unfit_images_and_codes_are_refused():
    with pytest.raises(InputError, match="multiples of 4"):
        ContentEncoder()(torch.zeros(1, 3, 18, 18))
    with pytest.raises(InputError, match="multiples of 8"):
        ContentEncoder(pool=True)(torch.zeros(1, 3, 20, 20))
    code = ContentEncoder(3, 4, levels=2, n_blocks=1)(torch.zeros(1, 3, 16, 16))
    with pytest.raises(InputError, match=r"unpools 2 times .* 0 pools"):
        StyleDecoder(3, 4, levels=2, n_blocks=1, pool=True)(code, torch.zeros(1, 8))
    with pytest.raises(InputError, match=r"32x32 px, and its 3 scales halve them 6 times"):
        MultiScaleDiscriminator()(torch.zeros(1, 3, 32, 32))
