"""BigGAN against plain statements of its two networks, in float64."""

from collections import Counter
from itertools import pairwise

import gan_checks
import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from lit_synth.errors import InputError
from lit_synth.networks.biggan import BigGANCritic, BigGANGenerator
from lit_synth.networks.parts.initialising import without_labels
from lit_synth.networks.parts.spectral import SpectralLinear, spectral_weight

LABEL = torch.tensor([0, 4, 4])


def pair(size=64, attention=(16, 32)):
    generator = BigGANGenerator(size, 2, 10 if size == 64 else 12, 3, 5, 6, attention)
    critic = BigGANCritic(size, 2, 3, 5, attention)
    return gan_checks.randomise(generator), gan_checks.randomise(critic)


def shapes(network):
    return Counter(tuple(tensor.shape) for tensor in network.state_dict().values())


def spectral(*shape, bias=True):
    """The tensors of a layer with spectral norm: weight, u, sv, and bias."""
    return [shape, (1, shape[0]), (1,)] + ([(shape[0],)] if bias else [])


def attention_tensors(channels):
    sides = [(channels // 8, channels), (channels // 8, channels)]
    sides += [(channels // 2, channels), (channels, channels // 2)]
    return sum((spectral(*side, 1, 1, bias=False) for side in sides), [()])


def weight(layer):
    """W over its largest singular value, by one power iteration from the stored u."""
    matrix = layer.weight.reshape(len(layer.weight), -1)
    v = layer.u[0] @ matrix
    v = v / v.norm()
    u = matrix @ v
    u = u / u.norm()
    return layer.weight / (u @ matrix @ v)


def conv(x, layer):
    return F.conv2d(x, weight(layer), layer.bias, padding=layer.weight.shape[-1] // 2)


def linear(x, layer):
    return x @ weight(layer).T + (0 if layer.bias is None else layer.bias)


def normed(x, norm, batch):
    mean = x.mean(dim=(0, 2, 3)) if batch else norm.running_mean
    var = x.var(dim=(0, 2, 3), correction=0) if batch else norm.running_var
    return (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()


def modulated(x, norm, vector, batch):
    gain, bias = (linear(vector, layer)[:, :, None, None] for layer in (norm.gain, norm.bias))
    return normed(x, norm, batch) * (1 + gain) + bias


def attended(x, block):
    n, _, height, width = x.shape
    y = torch.zeros(n, block.g.weight.shape[0], height, width, dtype=x.dtype)
    phi, g = (F.max_pool2d(conv(x, layer), 2).flatten(2) for layer in (block.phi, block.g))
    theta = conv(x, block.theta)
    for i in range(height):
        for j in range(width):
            similar = torch.einsum("nc,ncp->np", theta[:, :, i, j], phi).exp()
            share = similar / similar.sum(dim=1, keepdim=True)
            y[:, :, i, j] = torch.einsum("np,ncp->nc", share, g)
    return x + block.gamma * conv(y, block.o)


def generated(net, z, label, batch=False):
    c, slots = net.class_embedding.weight[label], iter(z.split(z.shape[1] // 5, dim=1))
    h = linear(next(slots), net.fc).view(len(z), -1, 4, 4)
    for block in net.body:
        if hasattr(block, "gamma"):
            h = attended(h, block)
            continue
        vector = torch.cat([c, next(slots)], dim=1)
        branch = gan_checks.enlarged(modulated(h, block.norm1, vector, batch).clamp(min=0))
        branch = modulated(conv(branch, block.conv1), block.norm2, vector, batch).clamp(min=0)
        h = conv(branch, block.conv2) + conv(gan_checks.enlarged(h), block.shortcut)
    gain, bias = net.norm.weight[:, None, None], net.norm.bias[:, None, None]
    return conv((gain * normed(h, net.norm, batch) + bias).clamp(min=0), net.to_image).tanh()


def judged(net, x, label=None):
    blocks = [block for block in net.body if not hasattr(block, "gamma")]
    h = x
    for block in net.body:
        if hasattr(block, "gamma"):
            h = attended(h, block)
            continue
        branch = conv(h if block is blocks[0] else h.clamp(min=0), block.conv1).clamp(min=0)
        branch = conv(branch, block.conv2)
        shortcut = conv(h, block.shortcut) if hasattr(block.shortcut, "weight") else h
        h = branch + shortcut
        if block is not blocks[-1]:
            h = gan_checks.halved(h)
    features = h.clamp(min=0).sum(dim=(2, 3))
    score = linear(features, net.score)[:, 0]
    if label is None:
        return score
    return score + (weight(net.class_projection)[label] * features).sum(dim=1)


def test_pair_of_128_px_has_the_published_shapes():
    with torch.device("meta"):
        generator, critic = BigGANGenerator(), BigGANCritic()
    expected = [(1000, 128), *spectral(24576, 20)]
    for c_in, c_out in ((1536, 1536), (1536, 768), (768, 384), (384, 192), (192, 96)):
        expected += spectral(c_out, c_in, 3, 3) + spectral(c_out, c_out, 3, 3)
        expected += spectral(c_out, c_in, 1, 1)
        for channels in (c_in, c_out):
            expected += [(channels,)] * 2 + 2 * spectral(channels, 148, bias=False)
    expected += attention_tensors(192) + [(96,)] * 4 + spectral(3, 96, 3, 3)
    assert shapes(generator) == Counter(expected)
    expected = spectral(1, 1536) + spectral(1000, 1536, bias=False) + attention_tensors(96)
    channels = [3, 96, 192, 384, 768, 1536, 1536]
    for c_in, c_out in pairwise(channels):
        expected += spectral(c_out, c_in, 3, 3) + spectral(c_out, c_out, 3, 3)
        expected += spectral(c_out, c_in, 1, 1) if c_in != c_out else []
    assert shapes(critic) == Counter(expected)
    assert sum(p.numel() for p in generator.parameters()) == 70_433_988
    assert sum(p.numel() for p in critic.parameters()) == 87_982_370


def test_pair_of_128_px_makes_and_scores_images():
    with FakeTensorMode():
        x = BigGANGenerator().eval()(torch.empty(2, 120), torch.zeros(2, dtype=torch.long))
        assert x.shape == (2, 3, 128, 128)
        assert BigGANCritic(num_classes=0).eval()(x).shape == (2,)


def test_64_px_pair_has_the_authors_plan():
    generator, critic = pair()
    assert [b.conv2.out_channels for b in generator.body if hasattr(b, "conv2")] == [48, 24, 12, 6]
    assert [b.conv2.out_channels for b in critic.body if hasattr(b, "conv2")] == [3, 6, 12, 24, 48]
    where = [hasattr(block, "gamma") for block in generator.body]
    assert where == [False, False, True, False, True, False]
    where = [hasattr(block, "gamma") for block in critic.body]
    assert where == [False, True, False, True, False, False, False]


@pytest.mark.parametrize("batch", [True, False])
def test_generator_equals_its_plain_statement(batch):
    net, z = pair()[0].train(batch), torch.randn(3, 10, dtype=torch.float64)
    expected = generated(net, z, LABEL, batch)
    torch.testing.assert_close(net(z, LABEL), expected)
    assert expected.shape == (3, 2, 64, 64)


def test_critic_equals_its_plain_statement_with_and_without_projection():
    net, x = pair()[1].eval(), torch.randn(3, 2, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(net(x, LABEL), judged(net, x, LABEL))
    plain = without_labels(net).double().eval()
    torch.testing.assert_close(plain(x), judged(net, x))


def test_128_px_pair_has_one_more_doubling():
    generator, critic = pair(128, (64,))
    x = generator(torch.randn(2, 12, dtype=torch.float64), LABEL[:2])
    assert x.shape == (2, 2, 128, 128)
    torch.testing.assert_close(critic.eval()(x, LABEL[:2]), judged(critic, x, LABEL[:2]))


def test_only_training_moves_singular_vectors():
    torch.manual_seed(0)
    layer, x = SpectralLinear(6, 5).double(), torch.randn(2, 6, dtype=torch.float64)
    before = layer.u.clone()
    torch.testing.assert_close(layer.eval()(x), layer(x), rtol=0, atol=0)
    assert torch.equal(layer.u, before)
    for _ in range(200):
        layer.train()(x)
    largest = torch.linalg.svdvals(layer.weight)[0]
    torch.testing.assert_close(layer.sv[0], largest.detach())
    assert not torch.equal(layer.u, before)


def test_spectral_norm_passes_its_gradient_through_the_singular_value():
    layer = SpectralLinear(4, 3).double().eval()
    u = layer.u.clone()

    def normalised(matrix):
        # The singular vectors are constants of the derivative.
        return matrix / (u_next @ matrix @ v)

    v = F.normalize(u @ layer.weight.detach())[0]
    u_next = F.normalize(layer.weight.detach() @ v, dim=0)
    grad = torch.randn(3, 4, dtype=torch.float64)
    (ours,) = torch.autograd.grad(spectral_weight(layer), layer.weight, grad)
    (expected,) = torch.autograd.grad(normalised(layer.weight), layer.weight, grad)
    torch.testing.assert_close(ours, expected)


def test_a_class_vector_stands_for_its_label():
    generator, z = pair()[0].eval(), torch.randn(3, 10, dtype=torch.float64)
    vectors = generator.class_vectors()
    assert torch.equal(generator(z, vectors[LABEL]), generator(z, LABEL))


def test_weights_start_orthogonal():
    torch.manual_seed(0)
    critic = BigGANCritic(64, 1, 4, 3)
    for layer in critic.modules():
        if hasattr(layer, "sv"):
            singular = torch.linalg.svdvals(layer.weight.flatten(1))
            torch.testing.assert_close(singular, torch.ones_like(singular))
    assert not critic.score.bias.any()


def test_a_penalty_on_the_critic_has_its_slope():
    torch.manual_seed(0)
    critic = without_labels(pair()[1]).double()
    for layer in critic.modules():
        if hasattr(layer, "sv"):  # where the singular value is the largest, its vectors are still
            layer.u.copy_(torch.linalg.svd(layer.weight.detach().flatten(1))[0][:, :1].T)
    gan_checks.check_penalty(critic, torch.randn(4, 2, 64, 64, dtype=torch.float64))


def test_pair_is_finite_in_bfloat16():
    torch.manual_seed(0)
    generator = BigGANGenerator(64, 3, 10, 8, 5, 6, (32,)).eval()
    critic = BigGANCritic(64, 3, 8, 0, (32,))
    gan_checks.check_bfloat16(generator, critic, torch.randn(3, 10), LABEL)


def test_impossible_settings_are_refused():
    with pytest.raises(InputError, match="expected a multiple of 6"):
        BigGANGenerator(latent_dim=128)
    with pytest.raises(InputError, match="64, 128 pixels"):
        BigGANGenerator(256)
    generator, critic = pair()
    with pytest.raises(InputError, match="got no labels"):
        generator(torch.randn(3, 10, dtype=torch.float64))
    with pytest.raises(InputError, match="got no labels"):
        critic(torch.randn(3, 2, 64, 64, dtype=torch.float64))
