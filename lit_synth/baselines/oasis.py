"""OASIS: images from label maps against a segmenter (Sushko et al. 2021, arXiv:2012.04781)."""

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from lit_synth.batches.label_maps import check_classes, checked_ids
from lit_synth.batches.sets import Nested, pairs
from lit_synth.contracts.translator import Translation
from lit_synth.losses.semantic import class_weights, fake_loss, labelmix_loss, segmentation_loss
from lit_synth.method import Method
from lit_synth.stages import Stage


class OASIS(Method):
    """Train G(m, z) to be segmented as m, and D to segment real images and to find made pixels.

    D gives each pixel one of N + 1 classes, the first being fake; rare classes weigh more (eq. 1,
    2). It is to be consistent on images mixed of real and made ones along their labels (eq. 3).

    Follows https://github.com/boschresearch/OASIS at 307c852 without its optional VGG loss.

    Deviations: the discriminator learns from the images that the generator has learned from (there
    they are made again), and sees all of its images in one batch. LabelMix draws for each class of
    an image where it comes from, there for each class of a batch. Labels travel as ids.

    Args:
        generator: Maps labels and noise (N, noise_dim) to images in [-1, 1].
        discriminator: Maps images to logits of fake and the classes, (N, 1 + K, H, W).
        stages: Usually one at a constant learning rate.
        source: Name of the labels.
        target: Name of the images.
        lambda_labelmix: Weight of the consistency (eq. 4); the paper's is 5 on Cityscapes.
        lr: Adam learning rate, of which the generator has half and the discriminator twice.
        betas: Adam's decay rates.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        stages: list[Stage],
        source: str = "segmentation",
        target: str = "rgb",
        lambda_labelmix: float = 10.0,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.0, 0.999),
    ) -> None:
        super().__init__(stages)
        self.generator, self.discriminator = generator, discriminator
        if generator.noise_dim:
            self.style_dim = cast("int", generator.noise_dim)
        self.num_classes = cast("int", generator.num_classes)
        self.source, self.target = source, target
        self.lambda_labelmix, self.lr, self.betas = lambda_labelmix, lr, betas
        self.to(memory_format=torch.channels_last)

    def setup(self, stage: str) -> None:
        if stage == "fit":
            data = getattr(self.trainer, "datamodule", None)
            check_classes(data, self.source, self.num_classes)

    def configure_optimizers(self) -> list[Optimizer]:
        adam = partial(Adam, betas=self.betas, fused=True)
        return [
            adam(self.generator.parameters(), lr=self.lr / 2),
            adam(self.discriminator.parameters(), lr=self.lr * 2),
        ]

    def training_step(self, batch: Nested) -> None:
        ids, x = pairs(batch, self.source, self.target)
        weights = class_weights(ids, self.num_classes)
        opt_g, opt_d = self.optimizers()

        # Generator: be taken for the classes of the labels (eq. 2).
        with self.toggled_optimizer(opt_g):
            noise = self.randn(len(ids), self.style_dim) if self.generator.noise_dim else None
            x_fake = self.generator(ids, noise)
            g_adv = segmentation_loss(self.discriminator(x_fake), ids, weights)
            self.minimize(g_adv, opt_g)

        # Discriminator: segment the real, find the made (eq. 1), agree on mixtures (eq. 3).
        with self.toggled_optimizer(opt_d):
            x_fake = x_fake.detach()
            mask = self.mask(ids)
            joined = torch.cat([x_fake, x, torch.where(mask, x, x_fake)])
            fake, real, mixed = self.discriminator(joined).chunk(3)
            d_fake, d_real = fake_loss(fake), segmentation_loss(real, ids, weights)
            d_mix = labelmix_loss(mixed, real, fake, mask)
            self.minimize(d_fake + d_real + self.lambda_labelmix * d_mix, opt_d)
        self.track(g_adv=g_adv, d_fake=d_fake, d_real=d_real, d_mix=d_mix)

    def mask(self, ids: Tensor) -> Tensor:
        """Draw (N, 1, H, W): where a pixel is real, the same for all of a class in an image."""
        coins = self.rand(len(ids), self.num_classes + 1) < 0.5
        classes = ids.clamp(max=self.num_classes).flatten(1)
        return coins.gather(1, classes).view_as(ids)[:, None]

    def translations(self) -> list[Translation]:
        return [Translation((self.source,), (self.target,))]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:  # noqa: ARG002 - the only one
        ids = checked_ids(x[self.source], self.num_classes, self.source)
        noise = None
        if self.generator.noise_dim:
            noise = x.get("style", torch.zeros(len(ids), self.style_dim, device=ids.device))
        return self.generator(ids, noise).float().clamp(-1, 1)
