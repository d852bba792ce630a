"""WGAN-GP: a GAN from scratch, as sources are trained (Gulrajani 2017, arXiv:1704.00028)."""

import torch
from torch import Tensor, nn

from lit_synth.contracts.generator import as_generator
from lit_synth.losses.adversarial import wasserstein_critic_loss, wasserstein_generator_loss
from lit_synth.losses.penalties import gradient_penalty
from lit_synth.method import Method
from lit_synth.networks.parts.minibatch import score_apart
from lit_synth.networks.parts.norms import uncoupled
from lit_synth.stages import Stage


class WGANGP(Method):
    """Train a generator against a critic that estimates the Wasserstein distance.

    Args:
        generator: Maps z (N, latent_dim) to images (N, C, H, W).
        critic: Maps images to scores (N,).
        stages: Usually one.
        lambda_gp: Weight of the gradient penalty.
        n_critic: Critic minibatches per generator step.
        lr: Adam learning rate of both.
        betas: Adam's decay rates.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        stages: list[Stage],
        lambda_gp: float = 10.0,
        n_critic: int = 5,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.0, 0.9),
    ) -> None:
        super().__init__(stages)
        self.generator, self.critic = as_generator(generator), uncoupled(critic)
        self.lambda_gp, self.n_critic, self.lr, self.betas = lambda_gp, n_critic, lr, betas

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        nets = (self.generator, self.critic)
        return [
            torch.optim.Adam(net.parameters(), self.lr, betas=self.betas, fused=True)
            for net in nets
        ]

    def training_step(self, batch: dict[str, Tensor]) -> None:
        x = batch["image"]
        n = len(x)
        opt_g, opt_d = self.optimizers()

        # Critic: score real above fake, with slope 1 between them (eq. 3).
        with self.toggled_optimizer(opt_d):
            with torch.no_grad():
                x_fake = self.generator(self.randn(n, self.generator.latent_dim))
            d_real, d_fake = score_apart(self.critic, x, x_fake)
            d_adv = wasserstein_critic_loss(d_real, d_fake)
            d_gp = gradient_penalty(self.critic, x, x_fake, self.rand(n, 1, 1, 1))
            self.minimize(d_adv + self.lambda_gp * d_gp, opt_d)
        self.track(d_adv=d_adv, d_gp=d_gp)

        # Generator: raise the critic's score of fakes.
        if (self.iteration + 1) % self.n_critic == 0:
            with self.toggled_optimizer(opt_g):
                z = self.randn(n, self.generator.latent_dim)
                g_adv = wasserstein_generator_loss(self.critic(self.generator(z)))
                self.minimize(g_adv, opt_g)
            self.track(g_adv=g_adv)

    def prior(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Draw z (n, latent_dim) from a standard normal."""
        return {"z": torch.randn(n, self.generator.latent_dim, generator=rng)}

    @torch.no_grad()
    def generate(self, batch: dict[str, Tensor]) -> Tensor:
        return self.generator(batch["z"])
