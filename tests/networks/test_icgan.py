"""IcGAN's networks."""

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from lit_synth.errors import InputError
from lit_synth.networks import IcGANDiscriminator, IcGANEncoder, IcGANGenerator

LABELS = torch.tensor([[-1.0, 1], [1, -1], [1, 1]], dtype=torch.float64)


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def normed(norm, x):
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    var = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    return norm.weight[:, None, None] * (x - mean) / (var + 1e-5).sqrt() + norm.bias[:, None, None]


def shaken(network):
    """Draw all parameters, so that no norm's shift is 0."""
    torch.manual_seed(0)
    for parameter in network.double().parameters():
        parameter.data = torch.randn_like(parameter) / 3
    return network


def images(size=16):
    torch.manual_seed(1)
    return torch.randn(3, 1, size, size, dtype=torch.float64)


@pytest.mark.parametrize("size", [16, 32, 64])
def test_shapes_follow_the_size(size):
    with FakeTensorMode():
        z, y = torch.empty(4, 100), torch.empty(4, 18)
        x = IcGANGenerator(size)(z, y)
        score, code = IcGANDiscriminator(size)(x, y), IcGANEncoder(size)(x)
    assert (x.shape, score.shape, code.shape) == ((4, 3, size, size), (4,), (4, 100))


def test_sizes_are_the_published_ones_without_the_biases_that_norms_cancel():
    # Counted from the layers of https://github.com/Guim3/IcGAN at 0c73cf8, 64 px, 18 attributes.
    hidden = sum(16 * 2 * c * c for c in (64, 128, 256))
    norms = 2 * (128 + 256 + 512)
    generator = 16 * 118 * 512 + hidden + norms + 2 * 64 + 16 * 64 * 3 + 3
    assert parameters(IcGANGenerator()) == generator
    discriminator = 16 * 3 * 64 + 64 + 16 * 18 * 128 + hidden + norms + 16 * 512 + 1
    assert parameters(IcGANDiscriminator()) == discriminator
    convs = 25 * (3 * 32 + 32 * 64 + 64 * 128 + 128 * 256) + 2 * (32 + 64 + 128 + 256)
    assert parameters(IcGANEncoder()) == convs + 4096 * 4096 + 2 * 4096 + 4096 * 100 + 100
    reader = IcGANEncoder(out_dim=18, hidden=512)
    assert parameters(reader) == convs + 4096 * 512 + 2 * 512 + 512 * 18 + 18


def test_image_equals_its_plain_statement():
    generator = shaken(IcGANGenerator(16, 1, n_labels=2, latent_dim=4, width=3))
    conv1, norm1, _, conv2, norm2, _ = generator.body
    z = torch.randn(3, 4, dtype=torch.float64)
    zy = torch.cat([z, LABELS], dim=1)
    h = torch.einsum("ni,iohw->nohw", zy, conv1.weight)
    h = F.conv_transpose2d(normed(norm1, h).relu(), conv2.weight, stride=2, padding=1)
    h = normed(norm2, h).relu()
    last = generator.last
    expected = F.conv_transpose2d(h, last.weight, last.bias, stride=2, padding=1).tanh()
    torch.testing.assert_close(generator(z, LABELS), expected)


def test_score_equals_its_plain_statement():
    judge, x = shaken(IcGANDiscriminator(16, 1, n_labels=2, width=3)), images()
    conv, norm, _ = judge.body
    h = F.leaky_relu(F.conv2d(x, judge.first.weight, judge.first.bias, stride=2, padding=1), 0.2)
    planes = LABELS[:, :, None, None] * torch.ones(1, 1, 8, 8, dtype=torch.float64)
    h = F.conv2d(torch.cat([h, planes], dim=1), conv.weight, stride=2, padding=1)
    h = F.leaky_relu(normed(norm, h), 0.2)
    expected = (h[:, None] * judge.score.weight).sum(dim=(1, 2, 3, 4)) + judge.score.bias
    torch.testing.assert_close(judge(x, LABELS), expected)


def test_code_equals_its_plain_statement():
    encoder, x = shaken(IcGANEncoder(16, 1, out_dim=5, width=3, hidden=4)), images()
    conv1, norm1, _, conv2, norm2, _, fc, norm, _, _ = encoder.body
    h = normed(norm1, F.conv2d(x, conv1.weight, stride=2, padding=2)).relu()
    h = normed(norm2, F.conv2d(h, conv2.weight, stride=2, padding=2)).relu()
    h = h.flatten(1) @ fc.weight.flatten(1).T
    h = normed(norm, h[:, :, None, None]).relu()[:, :, 0, 0]
    torch.testing.assert_close(encoder(x), h @ encoder.out.weight.T + encoder.out.bias)


def test_an_image_does_not_depend_on_its_batch_in_eval_mode():
    generator = IcGANGenerator(16, 1, n_labels=2, latent_dim=4, width=3)
    encoder = IcGANEncoder(16, 1, out_dim=5, width=3)
    z, y = torch.randn(3, 4), LABELS.float()
    encoder(generator(z, y))  # moves the running statistics
    generator.eval(), encoder.eval()
    x = generator(z, y)
    torch.testing.assert_close(generator(z[:1], y[:1]), x[:1])
    torch.testing.assert_close(encoder(x[:1]), encoder(x)[:1])


def test_other_sizes_are_refused():
    for network in (IcGANGenerator, IcGANDiscriminator, IcGANEncoder):
        with pytest.raises(InputError, match="image_size is 48"):
            network(48)
