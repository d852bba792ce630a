"""BicycleGAN against its published losses, and who learns from which of them."""

import pytest
import tiny
import torch

from lit_synth.baselines.bicyclegan import BicycleGAN
from lit_synth.contracts.translator import HasStyles, ReadsStyles, Translator
from lit_synth.errors import InputError
from lit_synth.networks import (
    BicycleGANDiscriminator,
    BicycleGANEncoder,
    BicycleGANGenerator,
)
from lit_synth.stages import Stage

WEIGHTS = {
    "lambda_gan": 2.0,
    "lambda_gan_random": 1.5,
    "lambda_rec": 3.0,
    "lambda_latent": 0.7,
    "lambda_kl": 0.2,
}


def bicyclegan(conditional=False, **settings):
    torch.manual_seed(0)
    networks = (
        BicycleGANGenerator(1, 1, 16, 2, 3),
        BicycleGANEncoder(1, [2, 4], 3),
        BicycleGANDiscriminator(1 + conditional, [4, 4], 2),
    )
    return BicycleGAN(*networks, [Stage("train", 1)], conditional=conditional, **settings)


def batch(n=4):
    return {"pairs": {"a": tiny.images(n, seed=5).float(), "b": tiny.images(n, seed=6).float()}}


def square(scores, label):
    return sum((score - label).square().mean() for score in scores)


@pytest.mark.parametrize("conditional", [False, True])
def test_losses_and_gradients_equal_the_published_formulas(conditional):
    method, x = bicyclegan(conditional, **WEIGHTS), batch()
    before, rng, record = tiny.iterate(method, x)
    noise, z_random = (torch.randn(2, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    a, b = (x["pairs"][name].double() for name in "ab")
    g, e = before.generator, before.encoder
    judges = before.discriminators

    def seen(a, b):
        return torch.cat([a, b], 1) if conditional else b

    mu, logvar = e(b[::2])
    encoded = g(a[::2], mu + logvar.exp().sqrt() * noise)
    random = g(a[::2], z_random)

    # Both learn from the image in an encoded style, and from the one in a random style ...
    kl = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum() / 2  # per image
    loss = 2 * square(judges["encoded"](seen(a[::2], encoded)), 1)
    loss = loss + 1.5 * square(judges["random"](seen(a[::2], random)), 1)
    both = loss + 3 * (encoded - b[::2]).abs().mean() + 0.2 * kl
    # ... but of how well the random style is recovered, the generator alone.
    latent = 0.7 * (e(random)[0] - z_random).abs().mean()
    torch.testing.assert_close(record.losses[0], (both + latent).detach())
    torch.testing.assert_close(record.of(0, "encoder"), list(tiny.gradients(both, e)))
    torch.testing.assert_close(record.of(0, "generator"), list(tiny.gradients(both + latent, g)))

    # Discriminators see what was made before that, and the reals of one half each.
    loss = square(judges["encoded"](seen(a[::2], b[::2])), 1)
    loss = loss + square(judges["encoded"](seen(a[::2], encoded.detach())), 0)
    loss = loss + square(judges["random"](seen(a[1::2], b[1::2])), 1)
    loss = loss + square(judges["random"](seen(a[::2], random.detach())), 0)
    torch.testing.assert_close(record.losses[1], loss.detach())
    slow = tiny.gradients(loss, judges)
    torch.testing.assert_close(record.of(1, "discriminators"), list(slow))


def test_styles_are_read_from_images_and_made_visible():
    method, x = bicyclegan().eval(), tiny.images(2).float()
    (there,) = method.translations()
    for contract in (Translator, HasStyles, ReadsStyles):
        assert isinstance(method, contract)
    style = method.read_styles(x, "b")
    assert torch.equal(style, method.encoder(x)[0])
    mean = method.translate({"a": x}, there)
    assert torch.equal(method.translate({"a": x, "style": torch.zeros(2, 3)}, there), mean)
    assert not torch.equal(method.translate({"a": x, "style": torch.ones(2, 3)}, there), mean)


def test_discriminators_differ_from_the_start():
    first, second = (next(judge.parameters()) for judge in bicyclegan().discriminators.values())
    assert not torch.equal(first, second)


def test_halves_of_unequal_size_are_refused():
    with pytest.raises(InputError, match="a batch of 3 pairs has no halves of one size"):
        tiny.iterate(bicyclegan(), batch(3))
