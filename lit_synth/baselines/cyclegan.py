"""CycleGAN: translation learned without pairs (Zhu et al. 2017, arXiv:1703.10593)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.batches.coding import Coding
from lit_synth.batches.image_pool import ImagePool
from lit_synth.batches.sets import Nested, examples
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.losses.adversarial import lsgan_discriminator_loss, lsgan_generator_loss
from lit_synth.method import Method
from lit_synth.stages import Stage


class CycleGAN(Method):
    """Train G: a -> b and F: b -> a so that each passes for the real and the other undoes it.

    Follows https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix at its defaults: LSGAN, the
    discriminators' losses halved, histories of 50 generated images, Adam with betas (.5, .999),
    batch 1. Deviations: learning rates fall with every iteration, not once an epoch. Between
    modalities, cycles are compared as the networks see them: log depth, and probabilities of
    classes.

    Args:
        generator_ab: Maps codes of a (N, c, H, W) to (N, c', H, W) of b.
        generator_ba: Maps codes of b to those of a.
        discriminator_a: Maps codes of a to realness, of any shape.
        discriminator_b: Maps codes of b to realness, of any shape.
        coding_a: How a enters and leaves the networks.
        coding_b: How b does.
        stages: Usually one at a constant learning rate and one as long with `decay: linear`.
        a: Name of the first modality.
        b: Name of the second.
        lambda_cycle: Weight of the cycles (eq. 2).
        lambda_identity: Weight of leaving alone what is already of the target (section 5.2), by
            default half of lambda_cycle; 0 for modalities of different channels.
        pool_size: Generated images of each modality that its discriminator may see again.
        lr: Adam learning rate of all networks.
        betas: Adam's decay rates.
    """

    def __init__(
        self,
        generator_ab: nn.Module,
        generator_ba: nn.Module,
        discriminator_a: nn.Module,
        discriminator_b: nn.Module,
        coding_a: Coding,
        coding_b: Coding,
        stages: list[Stage],
        a: str = "a",
        b: str = "b",
        lambda_cycle: float = 10.0,
        lambda_identity: float = 5.0,
        pool_size: int = 50,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__(stages)
        if lambda_identity and coding_a.channels != coding_b.channels:
            raise InputError(
                f"lambda_identity is {lambda_identity}, but {a} has {coding_a.channels} channels "
                f"and {b} has {coding_b.channels}, so no generator can take both: set it to 0."
            )
        self.generator_ab, self.generator_ba = generator_ab, generator_ba
        self.discriminator_a, self.discriminator_b = discriminator_a, discriminator_b
        self.to(memory_format=torch.channels_last)
        self.coding_a, self.coding_b, self.a, self.b = coding_a, coding_b, a, b
        self.pool_a, self.pool_b = ImagePool(pool_size), ImagePool(pool_size)
        self.lambda_cycle, self.lambda_identity = lambda_cycle, lambda_identity
        self.lr, self.betas = lr, betas

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        players = (
            [*self.generator_ab.parameters(), *self.generator_ba.parameters()],
            [*self.discriminator_a.parameters(), *self.discriminator_b.parameters()],
        )
        return [torch.optim.Adam(p, self.lr, betas=self.betas, fused=True) for p in players]

    def training_step(self, batch: Nested) -> None:
        a = self.coding_a.encode(examples(batch, self.a))
        b = self.coding_b.encode(examples(batch, self.b))
        opt_g, opt_d = self.optimizers()

        with self.toggled_optimizer(opt_g):
            # Generators: pass for the real (eq. 1, LSGAN),
            a_fake, b_fake = self.to_a(b), self.to_b(a)
            g_adv_a = lsgan_generator_loss(self.discriminator_a(a_fake))
            g_adv_b = lsgan_generator_loss(self.discriminator_b(b_fake))
            # come back to where they started (eq. 2),
            g_cycle = F.l1_loss(self.to_a(b_fake), a) + F.l1_loss(self.to_b(a_fake), b)
            # and leave alone what is already there (section 5.2).
            g_identity = self.identity_loss(a, b)
            g_adv, cycle = g_adv_a + g_adv_b, self.lambda_cycle * g_cycle
            self.minimize(g_adv + cycle + self.lambda_identity * g_identity, opt_g)

        # Discriminators: tell the real from what was made, now or before (eq. 1, LSGAN, halved).
        with self.toggled_optimizer(opt_d):
            a_past = self.pool_a(a_fake, self.rand(len(a_fake), 2))
            b_past = self.pool_b(b_fake, self.rand(len(b_fake), 2))
            d_a = lsgan_discriminator_loss(self.discriminator_a(a), self.discriminator_a(a_past))
            d_b = lsgan_discriminator_loss(self.discriminator_b(b), self.discriminator_b(b_past))
            self.minimize((d_a + d_b) / 2, opt_d)
        self.track(g_adv=g_adv, g_cycle=g_cycle, g_identity=g_identity, d_a=d_a, d_b=d_b)

    def to_b(self, a: Tensor) -> Tensor:
        """Return codes of b made from codes of a, fit to enter a network."""
        return self.coding_b.soften(self.generator_ab(a))

    def to_a(self, b: Tensor) -> Tensor:
        """Return codes of a made from codes of b, fit to enter a network."""
        return self.coding_a.soften(self.generator_ba(b))

    def identity_loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Return |F(a) - a| + |G(b) - b|; 0 where it has no weight, as it may not be defined."""
        if not self.lambda_identity:
            return a.new_zeros(())
        return F.l1_loss(self.to_a(a), a) + F.l1_loss(self.to_b(b), b)

    def translations(self) -> list[Translation]:
        return [Translation((self.a,), (self.b,)), Translation((self.b,), (self.a,))]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        if translation.target == self.b:
            return self.coding_b.decode(self.generator_ab(self.coding_a.encode(x[self.a])))
        return self.coding_a.decode(self.generator_ba(self.coding_b.encode(x[self.b])))

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return generators and discriminators, and the number of the generators' parameters.

        The histories belong to the run.
        """
        generators = {"generator_ab": self.generator_ab, "generator_ba": self.generator_ba}
        judges = {"discriminator_a": self.discriminator_a, "discriminator_b": self.discriminator_b}
        counts = [p.numel() for network in generators.values() for p in network.parameters()]
        return generators | judges, {"parameters": sum(counts)}
