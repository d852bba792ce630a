"""INADE: many images of one label map, each instance its own (Tan et al. 2021, 2103.06878)."""

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from lit_synth.batches.label_maps import check_classes, checked_ids
from lit_synth.batches.sets import Nested, examples, pairs
from lit_synth.contracts.translator import Translation
from lit_synth.features.perceptual_loss import PerceptualLoss
from lit_synth.losses.adversarial import hinge_critic_loss, wasserstein_generator_loss
from lit_synth.losses.semantic import feature_matching
from lit_synth.losses.total import total
from lit_synth.method import Method
from lit_synth.networks.parts.label_maps import LabelMap, edges_of
from lit_synth.stages import Stage

FIRST_LAYER = 3  # of the discriminator whose features are matched
PERCEPTUAL_LAYERS = 2  # the deepest, of which alone the perceptual loss is


class INADE(Method):
    """Train G(m, s), s the noise of an image and of its instances, as SPADE's is trained.

    Follows https://github.com/tzt101/INADE at 25bb8a9 without its encoder of instances: hinge loss,
    feature matching of the last hidden layer and the perceptual loss of the two deepest layers
    alone, so that images of one label map may differ.

    Deviations: as of SPADE here. Without maps of instances a class is an instance.

    Args:
        generator: Maps labels, styles (N, style_dim) and maps of instances to images in [-1, 1].
        discriminator: Maps images and labels to features of scales, the scores last.
        stages: Usually one at a constant learning rate and one with `decay: linear`.
        source: Name of the labels.
        target: Name of the images.
        instances: Name of the maps of instances; the discriminator sees their edges. None: none.
        perceptual: Path of torchvision's VGG19 (.pth); None: the bundled classifier.
        lambda_features: Weight of feature matching.
        lambda_perceptual: Weight of the perceptual loss; 0: none, and no network for it.
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
        instances: str | None = None,
        perceptual: str | None = None,
        lambda_features: float = 10.0,
        lambda_perceptual: float = 10.0,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.0, 0.9),
    ) -> None:
        super().__init__(stages)
        self.generator, self.discriminator = generator, discriminator
        self.style_dim = cast("int", generator.style_dim)
        self.num_classes = cast("int", generator.num_classes)
        self.source, self.target, self.instances = source, target, instances
        self.perceptual_path = perceptual
        self.lambda_features, self.lambda_perceptual = lambda_features, lambda_perceptual
        self.lr, self.betas = lr, betas
        self.to(memory_format=torch.channels_last)

    def setup(self, stage: str) -> None:
        if stage == "fit":
            data = getattr(self.trainer, "datamodule", None)
            check_classes(data, self.source, self.num_classes)
            given = self.perceptual_path, PERCEPTUAL_LAYERS
            self.perceptual = PerceptualLoss(*given) if self.lambda_perceptual else None

    def configure_optimizers(self) -> list[Optimizer]:
        adam = partial(Adam, betas=self.betas, fused=True)
        return [
            adam(self.generator.parameters(), lr=self.lr / 2),
            adam(self.discriminator.parameters(), lr=self.lr * 2),
        ]

    def training_step(self, batch: Nested) -> None:
        ids, x = pairs(batch, self.source, self.target)
        instances = examples(batch, self.instances) if self.instances else None
        labels = LabelMap(ids, None if instances is None else edges_of(instances))
        opt_g, opt_d = self.optimizers()
        with self.toggled_optimizer(opt_g):
            x_fake = self.generator(ids, self.randn(len(ids), self.style_dim), instances)

        # What the discriminator sees of both, for both players: hinge loss over scales.
        with self.toggled_optimizer(opt_d):
            seen = self.discriminator(torch.cat([x_fake.detach(), x]), labels)
            fake, real = ([[h.chunk(2)[i] for h in scale] for scale in seen] for i in (0, 1))
            scores = zip(real, fake, strict=True)
            d_adv = total(hinge_critic_loss(r[-1], f[-1]) for r, f in scores) / len(seen)

        # Generator: raise the scores, match deep features of the real image.
        with self.toggled_optimizer(opt_g):
            made = self.discriminator(x_fake, labels)
            g_adv = total(wasserstein_generator_loss(scale[-1]) for scale in made) / len(made)
            first = min(FIRST_LAYER, len(made[0]) - 2)
            g_features = feature_matching(made, real, first)
            g_perceptual = self.perceptual(x_fake, x) if self.perceptual else g_adv.new_zeros(())
            look = self.lambda_features * g_features + self.lambda_perceptual * g_perceptual
            self.minimize(g_adv + look, opt_g)

        with self.toggled_optimizer(opt_d):
            self.minimize(d_adv, opt_d)
        self.track(d_adv=d_adv, g_adv=g_adv, g_features=g_features, g_perceptual=g_perceptual)

    def translations(self) -> list[Translation]:
        sources = (self.source, self.instances) if self.instances else (self.source,)
        return [Translation(sources, (self.target,))]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:  # noqa: ARG002 - the only one
        ids = checked_ids(x[self.source], self.num_classes, self.source)
        style = x.get("style", torch.zeros(len(ids), self.style_dim, device=ids.device))
        instances = x[self.instances] if self.instances else None
        return self.generator(ids, style, instances).float().clamp(-1, 1)
