"""Seg2Eye: an eye of this person, with this mask (Buehler et al. 2019)."""

from collections.abc import Callable
from functools import partial
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Adam, Optimizer

from lit_synth.batches.label_maps import check_classes, checked_ids
from lit_synth.batches.references import references_of
from lit_synth.batches.sets import Nested, examples, pairs
from lit_synth.contracts.translator import Translation
from lit_synth.losses.adversarial import hinge_critic_loss, wasserstein_generator_loss
from lit_synth.losses.gram import gram_loss
from lit_synth.losses.reconstruction import masked_l1, masked_l2
from lit_synth.losses.semantic import feature_matching
from lit_synth.losses.total import total
from lit_synth.method import Method
from lit_synth.networks.parts.label_maps import LabelMap
from lit_synth.networks.parts.norms import uncoupled
from lit_synth.stages import Stage

Aggregate = Literal["max", "mean"]
AGGREGATES: dict[Aggregate, Callable[[Tensor], Tensor]] = {
    "max": lambda x: x.amax(1),
    "mean": lambda x: x.mean(1),
}
PIXEL_LOSSES = {"l2": masked_l2, "l1": masked_l1}


class Seg2Eye(Method):
    """Train G(m, w) to be the image of a mask m and of a person, whose images E reads w from.

    w is the maximum or mean of E's codes of a few images of the person, and so is each layer of
    their features. D(x, m) at several scales tells the real images; the made one is to match the
    person's image, its features in D, and w, features and Gram matrices of the person in E.

    Follows https://github.com/mcbuehler/Seg2Eye, whose scripts have the weights of the losses, and
    the supplement for what differs: rates of both players, normalised AdaIN.

    Deviations: style, feature and Gram losses train G alone, through E as it is; in the code they
    train E too, which can then lower them by saying less of a person (`teach_encoder`). No
    gradient passes to the person's side of them in either case. The discriminator learns from the
    images that the generator has learned from. Gram matrices are of each image, there of a batch,
    which has one.

    Args:
        generator: Maps labels and styles to images in [-1, 1].
        encoder: Maps images to styles and to features of layers.
        discriminator: Maps images and labels to features of scales, the scores last.
        stages: The paper has 14 epochs at a constant learning rate and 7 with `decay: linear`.
        source: Name of the masks, of kind labels.
        target: Name of the images.
        aggregate: How codes and features of several images become those of a person.
        pixels: What compares pixels, `l2` or `l1`.
        lambda_features: Weight of feature matching.
        lambda_pixels: Weight of comparing pixels.
        lambda_style: Weight of the squared difference of codes.
        lambda_encoder: Weight of that of features in E, summed over layers.
        lambda_gram: Weight of that of their Gram matrices; the paper has 1e4 and 1e5.
        teach_encoder: Do the last three losses train E too?
        lr: Adam learning rate.
        lr_discriminator: That of the discriminator; None: `lr`.
        betas: Adam's decay rates.
    """

    def __init__(
        self,
        generator: nn.Module,
        encoder: nn.Module,
        discriminator: nn.Module,
        stages: list[Stage],
        source: str = "mask",
        target: str = "image",
        aggregate: Aggregate = "max",
        pixels: Literal["l2", "l1"] = "l2",
        lambda_features: float = 10.0,
        lambda_pixels: float = 15.0,
        lambda_style: float = 0.5,
        lambda_encoder: float = 0.001,
        lambda_gram: float = 1e4,
        teach_encoder: bool = False,
        lr: float = 2e-4,
        lr_discriminator: float | None = None,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__(stages)
        self.generator, self.encoder = generator, encoder
        self.discriminator = uncoupled(discriminator)
        self.num_classes = cast("int", generator.num_classes)
        self.source, self.target, self.references = source, target, "references"
        self.aggregated, self.compared = AGGREGATES[aggregate], PIXEL_LOSSES[pixels]
        self.lambda_features, self.lambda_pixels = lambda_features, lambda_pixels
        self.lambda_style, self.lambda_encoder = lambda_style, lambda_encoder
        self.lambda_gram, self.teach_encoder = lambda_gram, teach_encoder
        self.lr, self.lr_discriminator, self.betas = lr, lr_discriminator or lr, betas
        self.to(memory_format=torch.channels_last)

    def setup(self, stage: str) -> None:
        if stage == "fit":
            data = getattr(self.trainer, "datamodule", None)
            check_classes(data, self.source, self.num_classes)

    def configure_optimizers(self) -> list[Optimizer]:
        makers = [*self.generator.parameters(), *self.encoder.parameters()]
        adam = partial(Adam, betas=self.betas, fused=True)
        judge = self.discriminator.parameters()
        return [adam(makers, lr=self.lr), adam(judge, lr=self.lr_discriminator)]

    def training_step(self, batch: Nested) -> None:
        ids, x = pairs(batch, self.source, self.target)
        labels, shown = LabelMap(ids), examples(batch, self.references)
        opt_g, opt_d = self.optimizers()

        # Of each image of the person code and features, once; then the person's.
        with self.toggled_optimizer(opt_g):
            w, features = self._read(shown)
            x_fake = self.generator(labels, w)

        # What the discriminator sees of both, for both players: hinge loss over scales.
        with self.toggled_optimizer(opt_d):
            seen = self.discriminator(torch.cat([x_fake.detach(), x]), labels)
            fake, real = ([[h.chunk(2)[i] for h in scale] for scale in seen] for i in (0, 1))
            scores = zip(real, fake, strict=True)
            d_adv = total(hinge_critic_loss(r[-1], f[-1]) for r, f in scores) / len(seen)

        with self.toggled_optimizer(opt_g):
            # Generator: raise the scores, match the real image and its features,
            made = self.discriminator(x_fake, labels)
            g_adv = total(wasserstein_generator_loss(scale[-1]) for scale in made) / len(made)
            g_features = feature_matching(made, real)
            g_pixels = self.compared(x_fake, x)
            # and what the encoder reads from the person's images.
            w_fake, own = self._encoded(x_fake)
            g_style = masked_l2(w_fake, w.detach())
            g_encoder = total(masked_l2(y, h.detach()) for y, h in zip(own, features, strict=True))
            g_gram = gram_loss(own, features)
            look = self.lambda_features * g_features + self.lambda_pixels * g_pixels
            person = self.lambda_style * g_style + self.lambda_encoder * g_encoder
            self.minimize(g_adv + look + person + self.lambda_gram * g_gram, opt_g)

        with self.toggled_optimizer(opt_d):
            self.minimize(d_adv, opt_d)
        self.track(d_adv=d_adv, g_adv=g_adv, g_features=g_features, g_pixels=g_pixels)
        self.track(g_style=g_style, g_encoder=g_encoder, g_gram=g_gram, style_std=w.std())

    def translations(self) -> list[Translation]:
        return [Translation((self.source,), (self.target,))]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:  # noqa: ARG002 - the only one
        labels = LabelMap(checked_ids(x[self.source], self.num_classes, self.source))
        if "style" in x:
            w = x["style"]
        else:
            w = self.read_people(references_of(x, self.references, "Seg2Eye"))
        return self.generator(labels, w).float().clamp(-1, 1)

    @torch.no_grad()
    def read_people(self, references: Tensor) -> Tensor:
        return self._read(references)[0]

    def _read(self, shown: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return codes (N, style_dim) and features of people, of images (N, R, C, H, W) of them."""
        codes, features = self.encoder(shown.flatten(0, 1))
        each = [h.unflatten(0, shown.shape[:2]) for h in (codes, *features)]
        w, *aggregated = [self.aggregated(h) for h in each]
        return w, aggregated

    def _encoded(self, x_fake: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return what E reads from made images; without `teach_encoder`, E learns nothing of it."""
        if self.teach_encoder:
            return self.encoder(x_fake)
        weights = {name: weight.detach() for name, weight in self.encoder.named_parameters()}
        return functional_call(self.encoder, weights, (x_fake,))
