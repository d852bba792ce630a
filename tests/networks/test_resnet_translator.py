import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from lit_synth.errors import InputError
from lit_synth.networks import ResNetDecoder, ResNetEncoder, ResNetTranslator
from lit_synth.networks.parts.norms import InstanceNorm
from lit_synth.networks.resnet_translator import ReflectConv2d


def parameters(network):
    return sum(p.numel() for p in network.parameters())


# The published code's counts, and the biases in them that instance norms cancel.
@pytest.mark.parametrize(("n_blocks", "published"), [(9, 11_378_179), (6, 7_837_699)])
def test_translator_has_the_published_size(n_blocks, published):
    with FakeTensorMode():
        network = ResNetTranslator(n_blocks=n_blocks)
        assert network(torch.empty(1, 3, 256, 256)).shape == (1, 3, 256, 256)
        assert parameters(ResNetTranslator(n_blocks=n_blocks, bias=True)) == published
        affine = parameters(ResNetTranslator(n_blocks=n_blocks, affine=True))
    cancelled = 64 + 128 + 256 + 2 * n_blocks * 256 + 128 + 64
    assert parameters(network) == published - cancelled
    assert affine == published - cancelled + 2 * cancelled


def test_biases_and_affine_norms_enter_every_layer():
    torch.manual_seed(0)
    network = ResNetTranslator(1, 2, n_blocks=1, width=2, bias=True, affine=True).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    weights = list(network.parameters())
    x = torch.randn(2, 1, 16, 16, dtype=torch.float64)

    def following(n):
        return [weights.pop(0) for _ in range(n)]

    def reflected(x):
        weight, bias = following(2)
        return F.conv2d(F.pad(x, [weight.shape[-1] // 2] * 4, mode="reflect"), weight, bias)

    def normed(x):
        gain, bias = (each[:, None, None] for each in following(2))
        var, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
        return gain * (x - mean) / (var + 1e-5).sqrt() + bias

    h = normed(reflected(x)).relu()
    for _ in range(2):
        h = normed(F.conv2d(h, *following(2), stride=2, padding=1)).relu()
    h = h + normed(reflected(normed(reflected(h)).relu()))
    for _ in range(2):
        up = F.conv_transpose2d(h, *following(2), stride=2, padding=1, output_padding=1)
        h = normed(up).relu()
    torch.testing.assert_close(network(x), reflected(h).tanh())
    assert not weights


def test_translator_equals_its_plain_statement():
    torch.manual_seed(0)
    network = ResNetTranslator(1, 2, n_blocks=1, width=2).double()
    weights = [p for p in network.parameters() if p.ndim == 4]
    x = torch.randn(2, 1, 16, 16, dtype=torch.float64)

    def reflected(x, weight, bias=None):
        pad = weight.shape[-1] // 2
        return F.conv2d(F.pad(x, [pad] * 4, mode="reflect"), weight, bias)

    h = F.instance_norm(reflected(x, weights[0])).relu()
    for weight in weights[1:3]:
        h = F.instance_norm(F.conv2d(h, weight, stride=2, padding=1)).relu()
    branch = F.instance_norm(reflected(h, weights[3])).relu()
    h = h + F.instance_norm(reflected(branch, weights[4]))
    for weight in weights[5:7]:
        up = F.conv_transpose2d(h, weight, stride=2, padding=1, output_padding=1)
        h = F.instance_norm(up).relu()
    torch.testing.assert_close(network(x), reflected(h, weights[7], network.body[-1].bias).tanh())


def test_at_128_px_shapes_are_the_tables():
    with FakeTensorMode():
        encoder, decoder = ResNetEncoder(1), ResNetDecoder(3)
        code = encoder(torch.empty(4, 1, 128, 128))
        assert code.h.shape == (4, 256, 16, 16)
        assert [x.shape[1:] for x in code.skips] == [(64, 128, 128), (128, 64, 64), (256, 32, 32)]
        assert decoder(code).shape == (4, 3, 128, 128)
    convs = [m for net in (encoder, decoder) for m in net.modules() if isinstance(m, nn.Conv2d)]
    large = [(m.in_channels, m.out_channels) for m in convs if m.kernel_size == (7, 7)]
    assert large == [(1, 64), (64, 128), (128, 256), (256, 128), (128, 64), (64, 3)]
    assert sum(m.kernel_size == (3, 3) for m in convs) == 2 * 2 * 6


@pytest.mark.parametrize("indices", [True, False])
def test_a_decoder_uses_indices_if_told_to(indices):
    torch.manual_seed(0)
    encoder, decoder = ResNetEncoder(3, 4, 1), ResNetDecoder(3, 4, 1, indices)
    code, other = (encoder(torch.randn(1, 3, 32, 32)) for _ in range(2))
    y = decoder(code)
    assert y.shape == (1, 3, 32, 32)
    assert y.abs().max() <= 1
    assert torch.equal(decoder(code._replace(indices=other.indices)), y) == (not indices)
    assert not torch.equal(decoder(code._replace(h=other.h)), y)


def test_weights_start_with_the_published_deviation():
    torch.manual_seed(0)
    for network in (ResNetTranslator(n_blocks=1, width=32), ResNetEncoder(3, 32, 1)):
        weights = torch.cat([p.flatten() for p in network.parameters() if p.ndim == 4])
        torch.testing.assert_close(weights.std().item(), 0.02, rtol=0.01, atol=0)


def test_images_must_halve():
    with pytest.raises(InputError, match="multiples of 8"):
        ResNetEncoder()(torch.zeros(1, 3, 20, 20))
    with pytest.raises(InputError, match="multiples of 4"):
        ResNetTranslator()(torch.zeros(1, 3, 30, 30))


def test_instance_norm_keeps_bfloat16_and_format_with_float32_statistics():
    torch.manual_seed(0)
    x = (torch.randn(4, 8, 8, 8) + 8 * torch.randn(4, 8, 1, 1)).bfloat16()
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    y, grad = InstanceNorm()(x), torch.randn(4, 8, 8, 8).bfloat16()
    y.backward(grad)
    exact_x = x.detach().double().requires_grad_()
    exact = F.instance_norm(exact_x)
    exact.backward(grad.double())
    assert y.dtype == torch.bfloat16
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert (y - exact).norm() / exact.norm() < 3e-3
    assert (x.grad - exact_x.grad).norm() / exact_x.grad.norm() < 3e-3


def test_padding_stays_in_bfloat16():
    conv, x = ReflectConv2d(2, 2, 3), torch.randn(1, 2, 4, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(x)
        expected = F.conv2d(F.pad(x, [1] * 4, mode="reflect"), conv.weight)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, expected)
