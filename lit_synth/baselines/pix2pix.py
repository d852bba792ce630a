"""pix2pix: translation learned from pairs (Isola et al. 2017, arXiv:1611.07004)."""

import torch
from torch import Tensor, nn

from lit_synth.batches.coding import Coding
from lit_synth.batches.sets import Nested, pairs
from lit_synth.contracts.translator import Translation
from lit_synth.losses.adversarial import logistic_discriminator_loss, logistic_generator_loss
from lit_synth.method import Method
from lit_synth.stages import Stage


class Pix2Pix(Method):
    """Train G(x) to be the y that belongs to x, and D(x, y) to tell y from G(x).

    Follows https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix at its defaults: the logistic
    GAN loss, the discriminator's halved, L1 x 100, Adam with betas (.5, .999), batch 1.

    Deviations: the reconstruction is the target modality's own, so that depth takes berHu and
    labels cross-entropy. What the discriminator sees of labels are their probabilities. Learning
    rates fall with every iteration, not once an epoch.

    Args:
        generator: Maps codes of the source (N, c, H, W) to (N, c', H, W) of the target.
        discriminator: Maps both, joined to (N, c + c', H, W), to realness, of any shape.
        source_coding: How the source enters the networks.
        target_coding: How the target leaves the generator, and its reconstruction; the paper's is
            `loss: l1`.
        stages: Usually one at a constant learning rate and one with `decay: linear`.
        source: Name of the modality that is given.
        target: Name of the modality that is made.
        lambda_rec: Weight of the reconstruction (eq. 4).
        lr: Adam learning rate of both networks.
        betas: Adam's decay rates.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        source_coding: Coding,
        target_coding: Coding,
        stages: list[Stage],
        source: str = "a",
        target: str = "b",
        lambda_rec: float = 100.0,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__(stages)
        self.generator = generator
        self.discriminator = discriminator.to(memory_format=torch.channels_last)
        self.source_coding, self.target_coding = source_coding, target_coding
        self.source, self.target = source, target
        self.lambda_rec, self.lr, self.betas = lambda_rec, lr, betas

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(net.parameters(), self.lr, betas=self.betas, fused=True)
            for net in (self.generator, self.discriminator)
        ]

    def training_step(self, batch: Nested) -> None:
        x_data, y_data = pairs(batch, self.source, self.target)
        x, y = self.source_coding.encode(x_data), self.target_coding.encode(y_data)
        opt_g, opt_d = self.optimizers()
        y_made = self.generator(x)
        true, fake = torch.cat([x, y], 1), torch.cat([x, self.target_coding.soften(y_made)], 1)

        # Discriminator: tell true pairs from made ones (eq. 1; halved, section 3.3). It gets them
        # apart, as the generator's step asks about made ones alone: a norm may couple images.
        with self.toggled_optimizer(opt_d):
            d_real, d_fake = self.discriminator(true), self.discriminator(fake.detach())
            d_adv = logistic_discriminator_loss(d_real, d_fake) / 2
            self.minimize(d_adv, opt_d)

        # Generator: pass for true (eq. 1, not saturating), and stay near the target (eq. 3).
        with self.toggled_optimizer(opt_g):
            g_adv = logistic_generator_loss(self.discriminator(fake))
            g_rec = self.target_coding.reconstruction(y_made, y_data)
            self.minimize(g_adv + self.lambda_rec * g_rec, opt_g)
        self.track(d_adv=d_adv, g_adv=g_adv, g_rec=g_rec)

    def translations(self) -> list[Translation]:
        return [Translation((self.source,), (self.target,))]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:  # noqa: ARG002 - the only one
        code = self.source_coding.encode(x[self.source])
        return self.target_coding.decode(self.generator(code))
