"""VAE against the evidence lower bound."""

import tiny
import torch
from torch.distributions import Normal, kl_divergence

from lit_synth.baselines.vae import VAE
from lit_synth.networks.small import SmallGenerator
from lit_synth.networks.vae import ConvEncoder
from lit_synth.stages import Stage


def vae(**settings):
    torch.manual_seed(0)
    networks = ConvEncoder(16, 1, 8, 4), SmallGenerator(16, 1, 8, 4)
    return VAE(*networks, [Stage("train", 1)], **settings)


def test_loss_and_gradients_equal_minus_the_evidence_lower_bound():
    method, x = vae(beta=0.5), tiny.images(6)
    tiny.randomise(method.encoder, torch.Generator().manual_seed(2))
    before, rng, record = tiny.iterate(method, {"image": x})

    mu, logvar = before.encoder(x)
    q = Normal(mu, (logvar / 2).exp())
    z = mu + q.stddev * torch.randn(6, 8, generator=rng, dtype=torch.float64)
    p = Normal(before.decoder(z), torch.ones((), dtype=torch.float64))
    dropped = 0.5 * torch.log(torch.tensor(2 * torch.pi, dtype=torch.float64))
    log_likelihood = (p.log_prob(x) + dropped).flatten(1).sum(dim=1)
    kl = kl_divergence(q, Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(dim=1)
    loss = (-log_likelihood + 0.5 * kl).mean()
    torch.testing.assert_close(record.losses[0], loss.detach())
    for name in ("encoder", "decoder"):
        slow = list(tiny.gradients(loss, getattr(before, name)))
        torch.testing.assert_close(record.of(0, name), slow)


def test_it_learns_to_reconstruct():
    method, x = vae(lr=3e-3), tiny.images(4).float() / 4
    method.stages = [Stage("train", 60)]
    record = tiny.Minimized(method)
    tiny.fit(method, [{"image": x}])
    assert record.losses[-1] < 0.6 * record.losses[0]


def test_release_holds_a_generator():
    method = vae()
    z = torch.randn(2, 8)
    networks, _ = method.release()
    assert torch.equal(networks["generator"](z), method.generate({"z": z}))
