"""Conditional TransferGAN: an AC-GAN from a pretrained GAN (Wang et al. 2018, arXiv:1805.01677)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.contracts.generator import as_generator
from lit_synth.losses.adversarial import wasserstein_critic_loss, wasserstein_generator_loss
from lit_synth.losses.penalties import gradient_penalty
from lit_synth.method import Method
from lit_synth.networks.parts.initialising import initialise_from
from lit_synth.networks.parts.norms import uncoupled
from lit_synth.releases.format import load_release
from lit_synth.stages import Stage


class TransferACGAN(Method):
    """Train G(z, y) against D(x) = (score, class logits) with WGAN-GP and an auxiliary classifier.

    Follows the thesis, section 2.5. A class-conditional network takes what it shares with an
    unconditional source: class-wise batch norm copies the source's affine to every class, label
    inputs and the classifier head start random. The critic learns classes from real images only.
    Without a source it is an AC-GAN from scratch.

    Args:
        generator: Maps z (N, latent_dim) and labels (N,) to images (N, C, H, W).
        critic: Maps images to scores (N,) and class logits (N, K).
        stages: Usually one.
        source: Release with a `generator` and a `critic`: a folder or a bundled name.
        alpha_g: Weight of the classifier in the generator's loss (eq. 2.7).
        alpha_d: Weight of the classifier in the critic's loss (eq. 2.8).
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
        source: str | None = None,
        alpha_g: float = 1.0,
        alpha_d: float = 1.0,
        lambda_gp: float = 10.0,
        n_critic: int = 5,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.0, 0.9),
    ) -> None:
        super().__init__(stages)
        self.generator, self.critic = as_generator(generator), uncoupled(critic)
        if source is not None:
            release = load_release(source)
            initialise_from(generator, release.network("generator"))
            initialise_from(critic, release.network("critic"))
        self.alpha_g, self.alpha_d = alpha_g, alpha_d
        self.lambda_gp, self.n_critic, self.lr, self.betas = lambda_gp, n_critic, lr, betas

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        nets = (self.generator, self.critic)
        return [
            torch.optim.Adam(net.parameters(), self.lr, betas=self.betas, fused=True)
            for net in nets
        ]

    def training_step(self, batch: dict[str, Tensor]) -> None:
        x, y = batch["image"], batch["label"]
        n = len(x)
        opt_g, opt_d = self.optimizers()

        # Critic: score real above fake, name the class of real (eq. 2.8).
        with self.toggled_optimizer(opt_d):
            with torch.no_grad():
                x_fake = self.generator(*self.latents_and_labels(n))
            scores, logits = self.critic(torch.cat([x, x_fake]))
            d_real, d_fake = scores.chunk(2)
            d_adv = wasserstein_critic_loss(d_real, d_fake)
            d_cls = F.cross_entropy(logits[:n], y)
            d_gp = gradient_penalty(
                lambda image: self.critic(image)[0], x, x_fake, self.rand(n, 1, 1, 1)
            )
            self.minimize(d_adv + self.alpha_d * d_cls + self.lambda_gp * d_gp, opt_d)
        self.track(d_adv=d_adv, d_cls=d_cls, d_gp=d_gp)

        # Generator: raise the critic's score, be the class that was asked for (eq. 2.7).
        if (self.iteration + 1) % self.n_critic == 0:
            with self.toggled_optimizer(opt_g):
                z, y_fake = self.latents_and_labels(n)
                scores, logits = self.critic(self.generator(z, y_fake))
                g_adv = wasserstein_generator_loss(scores)
                g_cls = F.cross_entropy(logits, y_fake)
                self.minimize(g_adv + self.alpha_g * g_cls, opt_g)
            self.track(g_adv=g_adv, g_cls=g_cls)

    def latents_and_labels(self, n: int) -> tuple[Tensor, Tensor]:
        """Draw z (n, latent_dim) from a standard normal and y (n,) uniform over classes."""
        z = self.randn(n, self.generator.latent_dim)
        return z, self.randint(self.generator.num_classes, n)

    def prior(self, n: int, rng: torch.Generator) -> dict[str, Tensor]:
        """Draw z (n, latent_dim) from a standard normal; labels (n,) take turns."""
        return {
            "z": torch.randn(n, self.generator.latent_dim, generator=rng),
            "label": torch.arange(n) % self.generator.num_classes,
        }

    @torch.no_grad()
    def generate(self, batch: dict[str, Tensor]) -> Tensor:
        return self.generator(batch["z"], batch["label"])

    def released_settings(self) -> dict[str, Any]:
        return {"source": None}
