"""DCGAN against plain statements of its two networks, in float64."""

import gan_checks
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lit_synth.errors import InputError
from lit_synth.networks.dcgan import DCGANCritic, DCGANGenerator
from lit_synth.networks.parts.norms import uncoupled


def shapes(layers):
    return [tuple(tensor.shape) for tensor in layers.state_dict().values()]


def normed(x, norm, batch):
    """Batch norm, by the batch's statistics or by the running ones."""
    mean = x.mean(dim=(0, 2, 3)) if batch else norm.running_mean
    var = (x - mean[:, None, None]).square().mean(dim=(0, 2, 3)) if batch else norm.running_var
    scaled = (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
    return norm.weight[:, None, None] * scaled + norm.bias[:, None, None]


def transposed(x, weight):
    """A transposed 4x4 convolution of stride 2: zeros between the pixels, the kernel turned."""
    n, c, height, width = x.shape
    spread = torch.zeros(n, c, 2 * height - 1, 2 * width - 1, dtype=x.dtype)
    spread[..., ::2, ::2] = x
    return F.conv2d(spread, weight.transpose(0, 1).flip(2, 3), padding=2)


def test_pair_of_64_px_has_the_examples_tensors_in_its_order():
    with torch.device("meta"):
        generator, critic = DCGANGenerator(), DCGANCritic()
        example = nn.Sequential()
        for c_in, c_out in ((100, 512), (512, 256), (256, 128), (128, 64)):
            example.append(nn.ConvTranspose2d(c_in, c_out, 4, bias=False))
            example.append(nn.BatchNorm2d(c_out))
        example.append(nn.ConvTranspose2d(64, 3, 4, bias=False))
        assert shapes(generator) == shapes(example)
        example = nn.Sequential(nn.Conv2d(3, 64, 4, bias=False))
        for c_in, c_out in ((64, 128), (128, 256), (256, 512)):
            example.append(nn.Conv2d(c_in, c_out, 4, bias=False))
            example.append(nn.BatchNorm2d(c_out))
        example.append(nn.Conv2d(512, 1, 4, bias=False))
        assert shapes(critic) == shapes(example)
    assert sum(p.numel() for p in generator.parameters()) == 3_576_704
    assert sum(p.numel() for p in critic.parameters()) == 2_765_568


@pytest.mark.parametrize("batch", [True, False])
def test_generator_equals_its_plain_statement(batch):
    net = gan_checks.randomise(DCGANGenerator(16, 2, 7, 3)).train(batch)
    z = torch.randn(5, 7, dtype=torch.float64)
    first, norm, _, second, last_norm, _ = net.body
    h = normed(torch.einsum("nz,zchw->nchw", z, first.weight), norm, batch).clamp(min=0)
    h = normed(transposed(h, second.weight), last_norm, batch).clamp(min=0)
    expected = transposed(h, net.to_image.weight).tanh()
    torch.testing.assert_close(net(z), expected)
    assert expected.shape == (5, 2, 16, 16)


@pytest.mark.parametrize("batch", [True, False])
def test_critic_equals_its_plain_statement(batch):
    net = gan_checks.randomise(DCGANCritic(16, 2, 3)).train(batch)
    x = torch.randn(5, 2, 16, 16, dtype=torch.float64)
    first, _, second, norm, _ = net.body
    h = F.conv2d(x, first.weight, stride=2, padding=1)
    h = torch.where(h > 0, h, 0.2 * h)
    h = normed(F.conv2d(h, second.weight, stride=2, padding=1), norm, batch)
    h = torch.where(h > 0, h, 0.2 * h)
    torch.testing.assert_close(net(x), torch.einsum("nchw,chw->n", h, net.score.weight[0]))


def test_norms_count_their_batches_as_pytorchs_do():
    net = DCGANGenerator(16, 1, 4, 2).train()
    for _ in range(3):
        net(torch.randn(2, 4))
    net.eval()(torch.randn(2, 4))
    assert [net.body[i].num_batches_tracked.item() for i in (1, 4)] == [3, 3]


def test_weights_start_as_published():
    torch.manual_seed(0)
    for net in (DCGANGenerator(width=32), DCGANCritic(width=32)):
        weights = torch.cat([p.flatten() for p in net.parameters() if p.ndim == 4])
        torch.testing.assert_close(weights.std().item(), 0.02, rtol=0.01, atol=0)
        gains = torch.cat([m.weight for m in net.modules() if hasattr(m, "running_mean")])
        torch.testing.assert_close(gains.mean().item(), 1.0, rtol=0.01, atol=0)
        assert 0.01 < gains.std() < 0.03


def test_a_penalty_on_the_critic_has_its_slope():
    torch.manual_seed(0)
    images = torch.randn(4, 1, 16, 16, dtype=torch.float64)
    gan_checks.check_penalty(gan_checks.randomise(DCGANCritic(16, 1, 3)), images)


def test_pair_is_finite_in_bfloat16():
    torch.manual_seed(0)
    pair = DCGANGenerator(16, 1, 8, 4).eval(), DCGANCritic(16, 1, 4)
    gan_checks.check_bfloat16(*pair, torch.randn(4, 8))


def test_critic_is_no_critic_of_a_gradient_penalty():
    with pytest.raises(InputError, match=r"DCGANCritic has a batch norm, 'body\.3'"):
        uncoupled(DCGANCritic(16, 1, 4))


def test_other_sizes_are_refused():
    with pytest.raises(InputError, match="image_size is 48"):
        DCGANGenerator(48)
