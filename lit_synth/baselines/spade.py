"""SPADE: images from label maps (Park et al. 2019, arXiv:1903.07291)."""

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from lit_synth.batches.label_maps import check_classes, checked_ids
from lit_synth.batches.sets import Nested, examples, pairs
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.features.perceptual_loss import PerceptualLoss
from lit_synth.losses.adversarial import hinge_critic_loss, wasserstein_generator_loss
from lit_synth.losses.latents import kl_to_standard_normal
from lit_synth.losses.semantic import feature_matching
from lit_synth.losses.total import total
from lit_synth.method import Method
from lit_synth.networks.parts.label_maps import LabelMap, edges_of
from lit_synth.stages import Stage


class SPADE(Method):
    """Train G(m) to be an image of labels m, and D(x, m) at several scales to tell it from real.

    Follows https://github.com/NVlabs/SPADE at 1eb35f1: hinge loss, feature matching, perceptual
    loss, Adam with half the rate for the generator and twice for the discriminator. With an encoder
    it is a VAE: G(m, z) with z from N(mu(x), sigma(x)), and any z of N(0, I) makes an image.

    Deviations: the discriminator learns from the images that the generator has learned from (there
    they are made again), and both meet the same discriminator, whose features of real images are
    computed once. KL is the mean over images, there the sum over those of one GPU.
    Labels travel as ids: what convolves them one-hot there looks columns up here.

    Args:
        generator: Maps labels, and latents if there is an encoder, to images in [-1, 1].
        discriminator: Maps images and labels to features of scales, the scores last.
        stages: Usually one at a constant learning rate and one with `decay: linear`.
        encoder: Maps images to mean and log variance of a latent; None: one image for each m.
        source: Name of the labels.
        target: Name of the images.
        instances: Name of the maps of instances, whose edges the networks see; None: no edges.
        perceptual: Path of torchvision's VGG19 (.pth); None: the bundled classifier.
        lambda_features: Weight of feature matching.
        lambda_perceptual: Weight of the perceptual loss; 0: none, and no network for it.
        lambda_kl: Weight of KL(N(mu, sigma) || N(0, I)).
        lr: Adam learning rate, of which the generator has half and the discriminator twice.
        betas: Adam's decay rates.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        stages: list[Stage],
        encoder: nn.Module | None = None,
        source: str = "segmentation",
        target: str = "rgb",
        instances: str | None = None,
        perceptual: str | None = None,
        lambda_features: float = 10.0,
        lambda_perceptual: float = 10.0,
        lambda_kl: float = 0.05,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.0, 0.9),
    ) -> None:
        super().__init__(stages)
        self.generator, self.discriminator = generator, discriminator
        if encoder is not None:
            self.encoder = encoder
            self.style_dim = cast("int", encoder.latent_dim)
        self.num_classes = cast("int", generator.num_classes)
        self.source, self.target, self.instances = source, target, instances
        self.perceptual_path = perceptual
        self.lambda_features, self.lambda_perceptual = lambda_features, lambda_perceptual
        self.lambda_kl, self.lr, self.betas = lambda_kl, lr, betas
        self.to(memory_format=torch.channels_last)

    def setup(self, stage: str) -> None:
        if stage == "fit":
            data = getattr(self.trainer, "datamodule", None)
            check_classes(data, self.source, self.num_classes)
            self.perceptual = (
                PerceptualLoss(self.perceptual_path) if self.lambda_perceptual else None
            )

    def configure_optimizers(self) -> list[Optimizer]:
        makers = [self.generator, *([self.encoder] if hasattr(self, "encoder") else [])]
        adam = partial(Adam, betas=self.betas, fused=True)
        return [
            adam([p for net in makers for p in net.parameters()], lr=self.lr / 2),
            adam(self.discriminator.parameters(), lr=self.lr * 2),
        ]

    def training_step(self, batch: Nested) -> None:
        ids, x = pairs(batch, self.source, self.target)
        instances = examples(batch, self.instances) if self.instances else None
        labels = LabelMap(ids, None if instances is None else edges_of(instances))
        opt_g, opt_d = self.optimizers()
        kl = x.new_zeros(())
        with self.toggled_optimizer(opt_g):
            z = None
            if hasattr(self, "encoder"):
                mu, log_variance = self.encoder(x)
                z = mu + (log_variance / 2).exp() * self.randn(*mu.shape)
                kl = kl_to_standard_normal(mu, log_variance)
            x_fake = self.generator(labels, z)

        # What the discriminator sees of both, for both players: hinge loss over scales.
        with self.toggled_optimizer(opt_d):
            seen = self.discriminator(torch.cat([x_fake.detach(), x]), labels)
            fake, real = ([[h.chunk(2)[i] for h in scale] for scale in seen] for i in (0, 1))
            scores = zip(real, fake, strict=True)
            d_adv = total(hinge_critic_loss(r[-1], f[-1]) for r, f in scores) / len(seen)

        # Generator: raise the scores, match features of the real image, look like it.
        with self.toggled_optimizer(opt_g):
            made = self.discriminator(x_fake, labels)
            g_adv = total(wasserstein_generator_loss(scale[-1]) for scale in made) / len(made)
            g_features = feature_matching(made, real)
            g_perceptual = self.perceptual(x_fake, x) if self.perceptual else g_adv.new_zeros(())
            look = self.lambda_features * g_features + self.lambda_perceptual * g_perceptual
            self.minimize(g_adv + look + self.lambda_kl * kl, opt_g)

        with self.toggled_optimizer(opt_d):
            self.minimize(d_adv, opt_d)
        self.track(d_adv=d_adv, g_adv=g_adv, g_features=g_features, g_perceptual=g_perceptual)
        self.track(kl=kl)

    def translations(self) -> list[Translation]:
        sources = (self.source, self.instances) if self.instances else (self.source,)
        return [Translation(sources, (self.target,))]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:  # noqa: ARG002 - the only one
        ids = checked_ids(x[self.source], self.num_classes, self.source)
        labels = LabelMap(ids, edges_of(x[self.instances]) if self.instances else None)
        z = None
        if hasattr(self, "encoder"):
            z = x.get("style", torch.zeros(len(ids), self.style_dim, device=ids.device))
        return self.generator(labels, z).float().clamp(-1, 1)

    @torch.no_grad()
    def read_styles(self, images: Tensor, domain: str) -> Tensor:  # noqa: ARG002 - all images have one kind
        if not hasattr(self, "encoder"):
            raise InputError("this SPADE reads no styles: train it with an encoder.")
        return self.encoder(images)[0]
