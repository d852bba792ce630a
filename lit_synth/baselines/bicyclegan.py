"""BicycleGAN: many translations of one image, learned from pairs (Zhu et al. 2017, 1711.11586)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from lit_synth.batches.sets import Nested, pairs
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.losses.adversarial import lsgan_discriminator_loss, lsgan_generator_loss
from lit_synth.losses.latents import kl_to_standard_normal
from lit_synth.losses.reconstruction import masked_l1
from lit_synth.losses.total import total
from lit_synth.method import Method
from lit_synth.networks.parts.norms import uncoupled
from lit_synth.networks.parts.rebuilding import another
from lit_synth.stages import Stage


class BicycleGAN(Method):
    """Train cVAE-GAN and cLR-GAN together: styles come from images, and can be read from them.

    Of one half of a batch, E(y) = N(mu, sigma) is the style of y, and G(x, z), z ~ E(y), is to be y
    (eq. 2 to 4); of the same x, G(x, z') with z' ~ N(0, I) is to show z' (eq. 5). The other half
    gives the real images that the latter is held against.

    Follows https://github.com/junyanz/BicycleGAN at 40b9d52: LSGAN without its 1/2, summed over
    scales, a discriminator each for encoded and for random styles; the error of z' is of E's mean
    and moves G alone; G and E move before the discriminators, which judge what was made before
    that; Adam with betas (.5, .999).

    Deviations: the KL divergence is a mean over images, as the code has one image a half. Learning
    rates fall with every iteration, not once an epoch.

    Args:
        generator: Maps images (N, C, H, W) and styles to images in [-1, 1]; knows its `style_dim`.
        encoder: Maps images to mean and log variance of their styles, (N, style_dim) each.
        discriminator: Maps images to scores of any shape, a list of scales; two are built alike.
        stages: Usually one at a constant learning rate and one with `decay: linear`.
        source: Name of the modality that is given, an image.
        target: Name of the modality that is made, an image.
        conditional: Does a discriminator see what was given too, joined in front of what was made?
        lambda_gan: Weight of passing for real in encoded styles.
        lambda_gan_random: Weight of passing for real in random ones.
        lambda_rec: Weight of the L1 reconstruction.
        lambda_latent: Weight of recovering random styles.
        lambda_kl: Weight of the styles' divergence from N(0, I), summed over coordinates.
        lr: Adam learning rate of all networks.
        betas: Adam's decay rates.
    """

    def __init__(
        self,
        generator: nn.Module,
        encoder: nn.Module,
        discriminator: nn.Module,
        stages: list[Stage],
        source: str = "a",
        target: str = "b",
        conditional: bool = False,
        lambda_gan: float = 1.0,
        lambda_gan_random: float = 1.0,
        lambda_rec: float = 10.0,
        lambda_latent: float = 0.5,
        lambda_kl: float = 0.01,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__(stages)
        self.generator, self.encoder = generator, encoder
        judges = {kind: another(uncoupled(discriminator)) for kind in ("encoded", "random")}
        self.discriminators = nn.ModuleDict(judges)
        self.style_dim = cast("int", generator.style_dim)
        self.source, self.target, self.conditional = source, target, conditional
        self.lambda_gan, self.lambda_gan_random = lambda_gan, lambda_gan_random
        self.lambda_rec, self.lambda_latent, self.lambda_kl = lambda_rec, lambda_latent, lambda_kl
        self.lr, self.betas = lr, betas
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        players = nn.ModuleList([self.generator, self.encoder]), self.discriminators
        return [
            torch.optim.Adam(player.parameters(), self.lr, betas=self.betas, fused=True)
            for player in players
        ]

    def training_step(self, batch: Nested) -> None:
        x, y = pairs(batch, self.source, self.target)
        check_halves(len(x))
        # Every second pair is of the other half, of which the random images' reals are taken.
        (x, x_other), (y, y_other) = (x[::2], x[1::2]), (y[::2], y[1::2])
        noise, z_random = self.randn(len(x), self.style_dim), self.randn(len(x), self.style_dim)
        opt_g, opt_d = self.optimizers()

        with self.toggled_optimizer(opt_g):
            # Both images of each x, in an encoded and in a random style, once for all that follows.
            mu, logvar = self.encoder(y)
            z = torch.cat([mu + (logvar / 2).exp() * noise, z_random])
            y_encoded, y_random = self.generator(torch.cat([x, x]), z).chunk(2)

            # Generator and encoder: pass for real in both (eq. 3, 5),
            g_encoded = self.g_adversarial("encoded", x, y_encoded)
            g_random = self.g_adversarial("random", x, y_random)
            # recover y from its style (eq. 3), which is to be nearly N(0, I) (eq. 4),
            g_rec = masked_l1(y_encoded, y)
            g_kl = kl_to_standard_normal(mu, logvar)
            # and, generator alone, show the random style (eq. 5): else E could hide it.
            with constant(self.encoder):
                g_latent = masked_l1(self.encoder(y_random)[0], z_random)
            loss = self.lambda_gan * g_encoded + self.lambda_gan_random * g_random
            loss = loss + self.lambda_rec * g_rec + self.lambda_kl * g_kl
            self.minimize(loss + self.lambda_latent * g_latent, opt_g)

        # Discriminators: score the real 1, and 0 what was made of encoded or of random styles.
        with self.toggled_optimizer(opt_d):
            d_encoded = self.d_adversarial("encoded", x, y, x, y_encoded.detach())
            d_random = self.d_adversarial("random", x_other, y_other, x, y_random.detach())
            self.minimize(d_encoded + d_random, opt_d)
        self.track(d_encoded=d_encoded, d_random=d_random, g_encoded=g_encoded, g_random=g_random)
        self.track(g_rec=g_rec, g_kl=g_kl, g_latent=g_latent)

    def seen(self, x: Tensor, y: Tensor) -> Tensor:
        """Return what a discriminator is shown of an image y, made of x or belonging to it."""
        return torch.cat([x, y], dim=1) if self.conditional else y

    def g_adversarial(self, kind: str, x: Tensor, y_made: Tensor) -> Tensor:
        """Return the generator's loss on what it made, summed over scales."""
        scores = self.discriminators[kind](self.seen(x, y_made))
        return total(lsgan_generator_loss(t) for t in scores)

    def d_adversarial(
        self, kind: str, x: Tensor, y: Tensor, x_made: Tensor, made: Tensor
    ) -> Tensor:
        """Return a discriminator's loss on real and made images, summed over scales."""
        scores = self.discriminators[kind](torch.cat([self.seen(x, y), self.seen(x_made, made)]))
        return total(lsgan_discriminator_loss(t[: len(x)], t[len(x) :]) for t in scores)

    def translations(self) -> list[Translation]:
        return [Translation((self.source,), (self.target,))]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:  # noqa: ARG002 - the only one
        given = x[self.source]
        style = x.get("style", torch.zeros(len(given), self.style_dim, device=given.device))
        return self.generator(given, style).float().clamp(-1, 1)

    @torch.no_grad()
    def read_styles(self, images: Tensor, domain: str) -> Tensor:  # noqa: ARG002 - of the target
        return self.encoder(images)[0]

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return generator and encoder, and the number of their parameters."""
        networks = {"generator": self.generator, "encoder": self.encoder}
        counts = [p.numel() for network in networks.values() for p in network.parameters()]
        return networks, {"parameters": sum(counts)}


def check_halves(n: int) -> None:
    """Raise InputError unless a batch of `n` pairs has two halves of one size."""
    if n % 2:
        raise InputError(
            f"a batch of {n} pairs has no halves of one size, of which BicycleGAN encodes one and "
            "holds random styles against the other: give an even --data.init_args.batch_size."
        )


@contextmanager
def constant(network: nn.Module) -> Iterator[None]:
    """Have a network pass gradients on without taking any, in what is computed inside."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
