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
from lit_synth.networks.munit import DownConv4x4, LayerNorm, UpConv5x5
from lit_synth.networks.parts.codes import Code
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


# Plain statements, after the layers of https://github.com/NVlabs/MUNIT at a82e222.


def plain_content(encoder, x):
    """The code h and the pools' indices, of weights in the order of the layers."""
    w, indices = iter(encoder.parameters()), []
    for level in range(len(encoder.levels)):
        stride = 2 if level > 0 and not encoder.pool else 1
        x = F.instance_norm(reflected(x, next(w), stride=stride)).relu()
        if encoder.pool:
            x, positions = F.max_pool2d(x, 2, return_indices=True)
            indices.append(positions)
    for _ in encoder.blocks:
        branch = F.instance_norm(reflected(x, next(w))).relu()
        x = x + F.instance_norm(reflected(branch, next(w)))
    assert next(w, None) is None
    return x, indices


def plain_style(encoder, x):
    *convs, weight, bias = encoder.parameters()
    for layer, (w, b) in enumerate(zip(convs[::2], convs[1::2], strict=True)):
        x = reflected(x, w, b, stride=2 if layer else 1).relu()
    return x.mean(dim=(2, 3)) @ weight[:, :, 0, 0].T + bias


def plain_adain(x, scale, shift):
    """AdaIN, one image and channel after the other."""
    y = torch.empty_like(x)
    for n in range(len(x)):
        for c in range(x.shape[1]):
            plane = x[n, c]
            std = ((plane - plane.mean()).square().mean() + 1e-5).sqrt()
            y[n, c] = scale[n, c] * (plane - plane.mean()) / std + shift[n, c]
    return y


def plain_layer_norm(x, weight, bias):
    """One image after the other: the unbiased std, to which 1e-5 is added."""
    each = [(image - image.mean()) / (image.std() + 1e-5) for image in x]
    return weight[:, None, None] * torch.stack(each) + bias[:, None, None]


def plain_unpool(h, positions):
    size = (*h.shape[:2], 2 * h.shape[2], 2 * h.shape[3])
    y = h.new_zeros(size).flatten(2)
    return y.scatter(2, positions.flatten(2), h.flatten(2)).view(size)


def plain_image(decoder, h, indices, style):
    """The image, of scales and shifts in the order of the AdaINs."""
    mlp = decoder.style.body
    affine = (mlp[0](style).relu() @ mlp[2].weight.T + mlp[2].bias).relu()
    parts = list(mlp[4](affine).split(h.shape[1], dim=1))
    parts = 2 * len(decoder.blocks) * parts if len(parts) == 2 else parts
    pairs = iter(zip(parts[::2], parts[1::2], strict=True))
    indices = list(indices)
    for block in decoder.blocks:
        branch = plain_adain(reflected(h, block.conv1.weight), *next(pairs)).relu()
        h = h + plain_adain(reflected(branch, block.conv2.weight), *next(pairs))
    for conv, norm, _ in decoder.levels:
        if indices:
            h = plain_unpool(h, indices.pop())
        else:
            h = h.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        h = reflected(h, conv.weight, conv.bias)
        affine = list(norm.parameters())
        h = (plain_layer_norm(h, *affine) if affine else F.instance_norm(h)).relu()
    h = plain_unpool(h, indices.pop()) if indices else h
    assert (next(pairs, None), indices) == (None, [])
    return reflected(h, decoder.last.weight, decoder.last.bias).tanh()


def plain_scores(network, x):
    scores = []
    for scale in network.scales:
        *hidden, weight, bias = scale.parameters()
        h = x
        for w, b in zip(hidden[::2], hidden[1::2], strict=True):
            h = F.leaky_relu(reflected(h, w, b, stride=2), 0.2)
        scores.append((h * weight[0, :, :, :]).sum(dim=1, keepdim=True) + bias)
        inside = F.avg_pool2d(torch.ones_like(x), 3, stride=2, padding=1)
        x = F.avg_pool2d(x, 3, stride=2, padding=1) / inside
    return scores


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("form", ["munit", "indices"])
def test_networks_equal_their_plain_statements_borders_included(form, dtype):
    torch.manual_seed(0)
    sizes = {"levels": 3, "n_blocks": 2, "pool": form == "indices"}
    encoder = ContentEncoder(3, 4, **sizes)
    decoder = StyleDecoder(3, 4, **sizes, mlp_dim=16, shared_style=form == "indices")
    style_encoder = StyleEncoder(3, [4, 8, 16, 16, 16])
    judge = MultiScaleDiscriminator(3, [8, 16], scales=3)
    for network in (encoder, decoder, style_encoder, judge):
        for parameter in network.parameters():
            nn.init.kaiming_normal_(parameter) if parameter.ndim > 1 else nn.init.normal_(parameter)
    players = nn.ModuleList([encoder, style_encoder, decoder, judge]).double()
    x = 2 * torch.rand(2, 3, 32, 32, dtype=torch.float64) - 1
    style = torch.randn(2, 8, dtype=torch.float64)
    with torch.no_grad():
        h, indices = plain_content(encoder, x)
        image, scores = plain_image(decoder, h, indices, style), plain_scores(judge, x)
        expected = [h, plain_style(style_encoder, x), image, *scores]

        players.to(dtype)
        code = encoder(x.to(dtype))
        # Of the same code: in float32 two nearly equal pixels of a pool may change places.
        given = Code(h.to(dtype), indices, [])
        found = [code.h, style_encoder(x.to(dtype)), decoder(given, style.to(dtype))]
        found += judge(x.to(dtype))
    for ours, plain in zip(found, expected, strict=True):
        assert ours.dtype == dtype
        assert (ours - plain).abs().max() < 1e-5 * (plain.max() - plain.min())


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("norm", ["layer", "instance"])
def test_image_equals_its_plain_statement(shared, norm):
    torch.manual_seed(0)
    settings = {"n_blocks": 2, "style_dim": 3, "mlp_dim": 5, "shared_style": shared, "norm": norm}
    decoder = StyleDecoder(1, 2, levels=2, **settings).double()
    h, style = torch.randn(2, 4, 4, 4).double(), torch.randn(2, 3).double()
    torch.testing.assert_close(decoder(Code(h, [], []), style), plain_image(decoder, h, [], style))


@pytest.mark.parametrize("size", [(2, 2), (5, 7), (24, 28)])
@pytest.mark.parametrize("bias", [True, False])
def test_enlarging_convolution_equals_its_plain_statement(size, bias):
    torch.manual_seed(0)
    conv = UpConv5x5(3, 4, bias).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    h = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected, given = reflected(h, conv.weight, conv.bias), [x, *conv.parameters()]
    torch.testing.assert_close(conv(x), expected)
    grad = torch.randn_like(expected)
    ours, plain = (torch.autograd.grad(y, given, grad) for y in (conv(x), expected))
    torch.testing.assert_close(ours, plain)


def test_layer_norm_of_a_constant_is_its_shift():
    norm = LayerNorm(2)
    nn.init.normal_(norm.bias)
    x = torch.full((1, 2, 3, 3), 5.0, requires_grad=True)
    y = norm(x)
    y.square().sum().backward()
    torch.testing.assert_close(y, norm.bias[:, None, None].expand(1, 2, 3, 3))
    assert x.grad.isfinite().all()


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
    gamma = decoder.levels[0][1].weight  # from U(0, 1)
    assert gamma.min() >= 0
    assert gamma.max() <= 1
    torch.testing.assert_close(gamma.mean().item(), 0.5, rtol=0.3, atol=0)
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
    expected = plain_adain(*exact)
    expected.backward(grad.double())
    assert y.dtype == torch.bfloat16
    assert y.is_contiguous(memory_format=format_)
    assert (y - expected).norm() / expected.norm() < 3e-3
    for found, slow in zip((x, *affine), exact, strict=True):
        assert (found.grad - slow.grad).norm() / slow.grad.norm() < 3e-3


def test_padding_stays_in_bfloat16():
    for size in (4, 32):
        x = torch.randn(1, 2, size, size).bfloat16()
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
