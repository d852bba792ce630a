"""WGAN-GP: a GAN from scratch, as sources are trained (Gulrajani 2017, arXiv:1704.00028)."""

from typing import Any

import torch
from torch import Tensor, nn

from lit_synth.augment.base import Augment
from lit_synth.augment.diffaugment import as_augment
from lit_synth.contracts.generator import as_generator
from lit_synth.losses.games import Game
from lit_synth.losses.lecam import LeCam
from lit_synth.losses.total import total
from lit_synth.method import Method
from lit_synth.networks.parts.minibatch import score_apart
from lit_synth.networks.parts.norms import uncoupled
from lit_synth.releases.games import game_of, played
from lit_synth.stages import Stage


class WGANGP(Method):
    """Train a generator against a critic that estimates the Wasserstein distance.

    With another `game` it trains the GAN of that game from scratch.

    Args:
        generator: Maps z (N, latent_dim) to images (N, C, H, W).
        critic: Maps images to scores (N,).
        stages: Usually one.
        lambda_gp: Weight of WGAN-GP's gradient penalty, where no game is given.
        n_critic: Critic minibatches per generator step.
        lr: Adam learning rate of both.
        betas: Adam's decay rates.
        game: What both play for; None: WGAN-GP.
        augment: What is done to everything the critic sees: `ADA`, or a DiffAugment policy.
        lecam: Keeps the critic's scores near their running means, if given.
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
        game: Game | None = None,
        augment: str | Augment = "",
        lecam: LeCam | None = None,
    ) -> None:
        super().__init__(stages)
        self.generator, self.critic = as_generator(generator), uncoupled(critic)
        self.game = game_of(game, None, lambda_gp, n_critic)
        self.augment, self.lecam = as_augment(augment), lecam
        self.n_critic, self.lr, self.betas = n_critic, lr, betas

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

        # Critic: tell real from fake; in WGAN-GP with slope 1 between them (eq. 3).
        with self.toggled_optimizer(opt_d):
            with torch.no_grad():
                x_fake = self.generator(self.randn(n, self.generator.latent_dim))
            x, x_fake = self.augment(x, self.rand), self.augment(x_fake, self.rand)
            d_real, d_fake = score_apart(self.critic, x, x_fake)
            d_adv = self.game.critic_loss(d_real, d_fake)
            slope = self.game.penalty(self.critic, x, x_fake, self.rand, self.iteration)
            d_lecam = {} if self.lecam is None else {"d_lecam": self.lecam(d_real, d_fake)}
            self.minimize(total([d_adv, slope.loss, *d_lecam.values()]), opt_d)
        r_t = self.game.r_t(d_real, d_fake)
        steered = self.augment.steer(r_t, n * self.trainer.world_size)
        self.track(d_adv=d_adv, **slope.terms, **d_lecam, r_t=r_t, **steered)

        # Generator: pass for real.
        if (self.iteration + 1) % self.n_critic == 0:
            with self.toggled_optimizer(opt_g):
                z = self.randn(n, self.generator.latent_dim)
                g_fake = self.critic(self.augment(self.generator(z), self.rand))
                g_adv = self.game.generator_loss(g_fake, lambda: self.critic(x))
                step = self.iteration // self.n_critic
                path = self.game.path_penalty(self.generator, z, self.randn, step)
                self.minimize(g_adv + path.loss, opt_g)
            self.track(g_adv=g_adv, **path.terms)

    def prior(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Draw z (n, latent_dim) from a standard normal."""
        return {"z": torch.randn(n, self.generator.latent_dim, generator=rng)}

    @torch.no_grad()
    def generate(self, batch: dict[str, Tensor]) -> Tensor:
        return self.generator(batch["z"])

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return generator and critic, and the game that trained them."""
        networks: dict[str, nn.Module] = {"generator": self.generator, "critic": self.critic}
        return networks, played(self.game, self.n_critic)
