"""Progressive GAN against plain statements of its two networks, in float64."""

import math
from collections import Counter
from itertools import pairwise

import gan_checks
import pytest
import torch
import torch.nn.functional as F

from lit_synth.errors import InputError
from lit_synth.networks.parts.minibatch import MinibatchDeviation, score_apart
from lit_synth.networks.pgan import PGANCritic, PGANGenerator

AT_256 = [512, 512, 512, 512, 256, 128, 64]


def conv(c_in, c_out, kernel):
    return [(c_out, c_in, kernel, kernel), (c_out,)]


def shapes(network):
    return Counter(tuple(tensor.shape) for tensor in network.state_dict().values())


def scaled(x, layer, kernel=None):
    """A layer with weights w and bias b: sqrt(2 / fan in) (w x + b), zeros around the image."""
    gain = math.sqrt(2 / layer.weight[0].numel())
    if kernel is None:
        return gain * (x @ layer.weight.T + layer.bias)
    return gain * F.conv2d(x, layer.weight, layer.bias, padding=kernel // 2)


def leaky(x):
    return torch.where(x > 0, x, 0.2 * x)


def pixel_normed(x):
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def test_pair_of_256_px_has_the_published_shapes():
    generator = [(8192, 512), (8192,), *conv(512, 512, 3)]
    critic = [*conv(513, 512, 3), (512, 8192), (512,), (1, 512), (1,)]
    for c_in, c_out in pairwise(AT_256):
        generator += conv(c_in, c_out, 3) + conv(c_out, c_out, 3)
        critic += conv(c_out, c_out, 3) + conv(c_out, c_in, 3)
    for channels in AT_256:
        generator += conv(channels, 3, 1)
        critic += conv(3, channels, 1)
    with torch.device("meta"):
        ours = PGANGenerator(), PGANCritic()
    assert shapes(ours[0]) == Counter(generator)
    assert shapes(ours[1]) == Counter(critic)
    assert [network.image_size for network in ours] == [256, 256]


def test_pair_of_1024_px_has_the_papers_size():
    with torch.device("meta"):
        pair = [build([*AT_256, 32, 16]) for build in (PGANGenerator, PGANCritic)]
        images = pair[0](torch.empty(2, 512))
        assert images.shape == (2, 3, 1024, 1024)
        assert pair[1](images).shape == (2,)
    # The paper's tables say 23.1 M each, with the last to_image and from_image alone.
    for network in pair:
        unused = (network.to_image if network is pair[0] else network.from_image)[:-1]
        total = sum(p.numel() for p in network.parameters())
        total -= sum(p.numel() for p in unused.parameters())
        assert round(total / 1e6, 1) == 23.1


@pytest.mark.parametrize("tanh", [False, True])
def test_generator_equals_its_plain_statement(tanh):
    net = gan_checks.randomise(PGANGenerator([6, 5, 4], 7, 2, tanh))
    z = torch.randn(3, 7, dtype=torch.float64)
    h = leaky(scaled(pixel_normed(z), net.fc)).view(3, 6, 4, 4)
    h = pixel_normed(leaky(scaled(pixel_normed(h), net.conv, 3)))
    for block in net.body:
        h = pixel_normed(leaky(scaled(gan_checks.enlarged(h), block.conv1, 3)))
        h = pixel_normed(leaky(scaled(h, block.conv2, 3)))
    x = scaled(h, net.to_image[2], 1)
    torch.testing.assert_close(net(z), x.tanh() if tanh else x)
    assert x.shape == (3, 2, 16, 16)


def deviations(h):
    """The mean deviation within each four images in a row, or within all."""
    size = 4 if len(h) % 4 == 0 else len(h)
    found = []
    for group in h.split(size):
        spread = torch.zeros_like(group[0])
        if len(group) > 1:
            squares = sum((one - sum(group) / len(group)) ** 2 for one in group)
            spread = (squares / (len(group) - 1) + 1e-8).sqrt()
        found += len(group) * [spread.mean()]
    return torch.stack(found)


@pytest.mark.parametrize("n", [1, 3, 4, 8])
@pytest.mark.parametrize("deviation", [True, False])
def test_critic_equals_its_plain_statement(n, deviation):
    net = gan_checks.randomise(PGANCritic([6, 5, 4], 2, deviation))
    x = torch.randn(n, 2, 16, 16, dtype=torch.float64)
    h = leaky(scaled(x, net.from_image[2], 1))
    for block in net.body:
        h = leaky(scaled(h, block.conv1, 3))
        h = gan_checks.halved(leaky(scaled(h, block.conv2, 3)))
    if deviation:
        h = torch.cat([h, deviations(h).view(n, 1, 1, 1).expand(n, 1, 4, 4)], dim=1)
    h = leaky(scaled(h, net.conv, 3)).reshape(n, -1)
    torch.testing.assert_close(net(x), scaled(leaky(scaled(h, net.fc)), net.score)[:, 0])


def test_a_penalty_on_the_critic_has_its_slope():
    torch.manual_seed(0)
    images = torch.randn(8, 1, 16, 16, dtype=torch.float64)
    gan_checks.check_penalty(gan_checks.randomise(PGANCritic([6, 5, 4], 1)), images)


def test_pair_is_finite_in_bfloat16():
    torch.manual_seed(0)
    pair = PGANGenerator([8, 8, 8], 8, 1), PGANCritic([8, 8, 8], 1)
    gan_checks.check_bfloat16(*pair, torch.randn(4, 8))


def test_layers_start_with_normal_weights_and_no_bias():
    torch.manual_seed(0)
    for network in (PGANGenerator([64, 64], 64), PGANCritic([64, 64])):
        weights = torch.cat([p.flatten() for p in network.parameters() if p.ndim > 1])
        torch.testing.assert_close(weights.std().item(), 1.0, rtol=0.01, atol=0)
        assert not any(p.any() for p in network.parameters() if p.ndim == 1)


def test_real_and_made_images_are_compared_among_themselves():
    torch.manual_seed(0)
    critic = PGANCritic([6, 5], 1)
    real, made = torch.randn(2, 6, 1, 8, 8).unbind()
    scores = score_apart(critic, real, made)
    torch.testing.assert_close(scores, [critic(real), critic(made)])
    assert not torch.allclose(torch.cat(scores), critic(torch.cat([real, made])))


def test_images_that_are_alone_do_not_differ():
    x = torch.randn(1, 2, 4, 4)
    assert torch.equal(MinibatchDeviation()(x), torch.cat([x, torch.zeros(1, 1, 4, 4)], dim=1))


def test_channels_of_no_size_are_refused():
    for channels in ([], [8] * 10, [8, 0]):
        with pytest.raises(InputError, match="expected 1 to 9 positive numbers"):
            PGANGenerator(channels)
