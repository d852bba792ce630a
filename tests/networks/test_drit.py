"""DRIT's networks."""

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from lit_synth.errors import InputError
from lit_synth.networks import (
    DRITAttributeEncoder,
    DRITContentDiscriminator,
    DRITContentEncoder,
    DRITGenerator,
    DRITSharedLayer,
)


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def reflected(x, weight, bias=None, stride=1, pad=1):
    return F.conv2d(F.pad(x, [pad] * 4, mode="reflect"), weight, bias, stride)


def residual(x, w1, w2):
    return x + F.instance_norm(reflected(F.instance_norm(reflected(x, w1)).relu(), w2))


def images(size=8):
    torch.manual_seed(0)
    return torch.randn(2, 1, size, size, dtype=torch.float64)


def test_published_shapes_at_216_px():
    with FakeTensorMode():
        x = torch.empty(2, 3, 216, 216)
        c = DRITSharedLayer()(DRITContentEncoder()(x))
        mean, log_variance = DRITAttributeEncoder()(x)
        y = DRITGenerator()(DRITSharedLayer()(c), mean)
        score = DRITContentDiscriminator()(c)
    assert (c.shape, y.shape, score.shape) == ((2, 256, 54, 54), x.shape, (2, 1, 1, 1))
    assert mean.shape == log_variance.shape == (2, 8)


def test_sizes_are_the_published_ones_without_the_biases_that_norms_cancel():
    # Counted from the layers of https://github.com/HsinYingLee/DRIT at f19f50a.
    block = 2 * 9 * 256**2
    stem = 49 * 3 * 64 + 64 + 9 * 64 * 128 + 9 * 128 * 256
    assert parameters(DRITContentEncoder()) == stem + 3 * block
    assert parameters(DRITSharedLayer()) == block
    total = 16 * 3 * 64 + 64 + 2 * (256 * 8 + 8)
    for i, o in ((64, 128), (128, 192), (192, 256)):
        total += 9 * i * i + i + 9 * i * o + o + i * o + o
    assert parameters(DRITAttributeEncoder()) == total
    total = 3 * 2 * 9 * 264**2 + 9 * 272 * 136 + 3 * 136 + 9 * 144 * 72 + 3 * 72 + 80 * 3 + 3
    assert parameters(DRITGenerator()) == total
    total = 3 * (49 * 256 * 256 + 256) + 16 * 256 * 256 + 256 + 256 + 1
    assert parameters(DRITContentDiscriminator()) == total


def test_content_equals_its_plain_statement():
    encoder = DRITContentEncoder(1, 2, n_down=1, n_blocks=1).double()
    shared = DRITSharedLayer(4).double()
    w1, b1, w2, *block = encoder.parameters()
    x = images()
    h = F.leaky_relu(reflected(x, w1, b1, pad=3), 0.01)
    h = F.instance_norm(reflected(h, w2, stride=2)).relu()
    h = residual(residual(h, *block), *shared.parameters())
    torch.testing.assert_close(shared(encoder(x)), h)


def test_attributes_equal_their_plain_statement():
    encoder, x = DRITAttributeEncoder(1, [2, 3], style_dim=4).double(), images()
    w1, b1, w2, b2, w3, b3, w4, b4, *heads = encoder.parameters()
    h = reflected(x, w1, b1, stride=2)
    branch = reflected(F.leaky_relu(h, 0.2), w2, b2)
    branch = reflected(F.leaky_relu(branch, 0.2), w3, b3)
    h = F.avg_pool2d(branch, 2) + F.conv2d(F.avg_pool2d(h, 2), w4, b4)
    h = F.leaky_relu(h, 0.2).mean(dim=(2, 3))
    mean, log_variance = encoder(x)
    torch.testing.assert_close(mean, F.linear(h, *heads[:2]))
    torch.testing.assert_close(log_variance, F.linear(h, *heads[2:]))


def test_image_equals_its_plain_statement():
    torch.manual_seed(0)
    generator = DRITGenerator(1, 2, n_down=1, n_blocks=1, style_dim=3).double()
    content, style = torch.randn(2, 4, 4, 4).double(), torch.randn(2, 3).double()
    up, norm, _ = generator.ups[0]
    torch.nn.init.normal_(norm.weight), torch.nn.init.normal_(norm.bias)

    def joined(h):
        planes = torch.ones_like(h[:, :1]) * style[:, :, None, None]
        return torch.cat([h, planes], dim=1)

    h = residual(joined(content), *generator.blocks.parameters())
    h = F.conv_transpose2d(joined(h), up.weight, up.bias, stride=2, padding=1, output_padding=1)
    scale, shift = (each[:, None, None].expand(h.shape[1:]) for each in (norm.weight, norm.bias))
    h = F.layer_norm(h, h.shape[1:], scale, shift).relu()
    expected = F.conv2d(joined(h), generator.last.weight, generator.last.bias).tanh()
    torch.testing.assert_close(generator(content, style), expected)


def test_score_equals_its_plain_statement():
    judge = DRITContentDiscriminator(1, [2], head_size=2).double()
    w1, b1, w2, b2, w3, b3 = judge.parameters()
    h = F.leaky_relu(reflected(images(), w1, b1, stride=2), 0.01)
    expected = F.conv2d(F.leaky_relu(F.conv2d(h, w2, b2), 0.01), w3, b3)
    torch.testing.assert_close(judge(images()), expected)


def test_attributes_start_large_enough_to_be_seen():
    torch.manual_seed(0)
    encoder, x = DRITAttributeEncoder(3, [16, 32, 48, 64]), torch.rand(64, 3, 32, 32) * 2 - 1
    assert encoder.body(x).std() > 0.1


def test_unfit_images_and_content_are_refused():
    with pytest.raises(InputError, match="multiples of 4"):
        DRITContentEncoder()(torch.zeros(1, 3, 18, 18))
    encoder = DRITAttributeEncoder(3, [4, 4, 4])
    assert encoder(torch.zeros(1, 3, 9, 8))[0].shape == (1, 8)
    with pytest.raises(InputError, match=r"images of 8x7 px, but needs 8 px"):
        encoder(torch.zeros(1, 3, 8, 7))
    judge = DRITContentDiscriminator(4, [4, 4], head_size=2)
    assert judge(torch.zeros(1, 4, 17, 17)).shape == (1, 1, 1, 1)
    with pytest.raises(InputError, match=r"content of 16x17 px, but needs 17 px"):
        judge(torch.zeros(1, 4, 16, 17))
