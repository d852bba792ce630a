"""WGAN-GP against its published losses."""

import tiny
import torch

from lit_synth.baselines.wgan_gp import WGANGP
from lit_synth.networks.small import SmallCritic, SmallGenerator
from lit_synth.stages import Stage


def test_losses_and_gradients_equal_the_published_formulas():
    torch.manual_seed(0)
    networks = SmallGenerator(16, 1, 8, 4), SmallCritic(16, 1, 4)
    method, x = WGANGP(*networks, [Stage("train", 1)], lambda_gp=3.0, n_critic=1), tiny.images(6)
    before, rng, record = tiny.iterate(method, {"image": x})

    z = torch.randn(6, 8, generator=rng, dtype=torch.float64)
    alpha = torch.rand(6, 1, 1, 1, generator=rng, dtype=torch.float64)
    x_fake = before.generator(z).detach()
    loss = before.critic(x_fake).mean() - before.critic(x).mean()
    loss = loss + 3 * tiny.slow_gradient_penalty(before.critic, x, x_fake, alpha)
    torch.testing.assert_close(record.losses[0], loss.detach())
    torch.testing.assert_close(record.of(0, "critic"), list(tiny.gradients(loss, before.critic)))

    z = torch.randn(6, 8, generator=rng, dtype=torch.float64)
    loss = -method.critic(before.generator(z)).mean()
    torch.testing.assert_close(record.losses[1], loss.detach())
    torch.testing.assert_close(
        record.of(1, "generator"), list(tiny.gradients(loss, before.generator))
    )
