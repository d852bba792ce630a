"""TransferGAN: a GAN for few images from a pretrained one (Wang et al. 2018, arXiv:1805.01677)."""

from typing import Any

import torch
from torch import Tensor, nn

from lit_synth.augment.base import Augment
from lit_synth.augment.diffaugment import as_augment
from lit_synth.contracts.generator import as_generator
from lit_synth.errors import InputError
from lit_synth.losses.games import Game
from lit_synth.losses.lecam import LeCam
from lit_synth.losses.total import total
from lit_synth.method import Method
from lit_synth.networks.parts.initialising import freeze_lowest, initialise_from
from lit_synth.networks.parts.minibatch import score_apart
from lit_synth.networks.parts.norms import uncoupled
from lit_synth.networks.parts.rebuilding import another, spec_of
from lit_synth.releases.format import Release, load_release
from lit_synth.releases.games import game_of, played
from lit_synth.stages import Stage


class TransferGAN(Method):
    """Train a GAN on target images from a source's generator, critic, both or neither.

    Only weights are transferred: the optimizers start afresh, and nothing is frozen unless asked.
    Follows the thesis, chapter 2, whose game is WGAN-GP. Other games, augmentation, LeCam and
    FreezeD (arXiv:2002.10964) are later and off by default.

    Args:
        generator: Maps z (N, latent_dim) to images (N, C, H, W); None: built like the source's.
        critic: Maps images to scores (N,); None: built like the source's. Of a source that brings
            none it has to be given, and starts from scratch.
        stages: Usually one.
        source: Release with a `generator` and a `critic`: a folder or a bundled name.
        init_g: Initialise the generator from the source?
        init_d: Initialise the critic from the source?
        game: What both play for; None: the game that trained the source, else WGAN-GP.
        augment: What is done to everything the critic sees: `ADA`, or a DiffAugment policy, any of
            `color`, `translation`, `cutout`, joined by commas; empty for nothing.
        lecam: Keeps the critic's scores near their running means, if given.
        freeze_d: Critic layers, counted from the image, that keep the source's weights.
        lambda_gp: Weight of WGAN-GP's gradient penalty, where no game is given.
        n_critic: Critic minibatches per generator step.
        lr: Adam learning rate of both (thesis: 1e-4, or 1e-5 below some 1,000 images).
        betas: Adam's decay rates.
    """

    def __init__(
        self,
        generator: nn.Module | None,
        critic: nn.Module | None,
        stages: list[Stage],
        source: str | None = None,
        init_g: bool = True,
        init_d: bool = True,
        augment: str | Augment = "",
        freeze_d: int = 0,
        lambda_gp: float = 10.0,
        n_critic: int = 5,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.0, 0.9),
        game: Game | None = None,
        lecam: LeCam | None = None,
    ) -> None:
        super().__init__(stages)
        release = None if source is None else load_release(source)
        generator = built_like(release, "generator") if generator is None else generator
        critic = built_like(release, "critic") if critic is None else critic
        if release is not None:
            if init_g:
                initialise_from(generator, release.network("generator"))
            if init_d and "critic" in release.networks:
                initialise_from(critic, release.network("critic"))
        self.generator, self.critic = as_generator(generator), uncoupled(critic)
        freeze_lowest(critic, freeze_d)
        self.game = game_of(game, release, lambda_gp, n_critic)
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

        # Critic: tell real from fake (eq. 2.3).
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

        # Generator: pass for real (eq. 2.4).
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

    def released_settings(self) -> dict[str, Any]:
        networks = {"generator": spec_of(self.generator), "critic": spec_of(self.critic)}
        return {**networks, "source": None, "game": spec_of(self.game)}

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return generator and critic, and the game that trained them."""
        networks: dict[str, nn.Module] = {"generator": self.generator, "critic": self.critic}
        return networks, played(self.game, self.n_critic)


def built_like(release: Release | None, name: str) -> nn.Module:
    """Return a new network, built like the source's; InputError if there is no source."""
    if release is None:
        raise InputError(f"neither a {name} nor a source to build it like is given: give one.")
    if name == "critic" and name not in release.networks:
        raise InputError(
            f"the source {release.folder} brings no critic: give a new one as critic, which starts "
            "from scratch."
        )
    return another(release.network(name))
