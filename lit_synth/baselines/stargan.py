"""StarGAN: one generator for every pair of domains (Choi et al. 2018, arXiv:1711.09020)."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from lit_synth.batches.labels import (
    ATTRIBUTES,
    label_translations,
    labelled,
    rivals,
    target_labels,
)
from lit_synth.batches.sets import Nested
from lit_synth.contracts.translator import Translation
from lit_synth.losses.adversarial import wasserstein_critic_loss, wasserstein_generator_loss
from lit_synth.losses.penalties import SlopeOf, gradient_penalty, map_score
from lit_synth.method import Method
from lit_synth.networks.stargan import StarGANDiscriminator, StarGANGenerator, check_n_labels
from lit_synth.stages import Stage, check_weights


class StarGAN(Method):
    """Train G(x, c) against D(y) = (realness, logits of labels) with WGAN-GP.

    Follows https://github.com/yunjey/stargan at 94dd002. An image's score is the mean over D's map,
    so that a weight means the same on a map of any size. There the penalty holds the slope of the
    sum: `slope_of: sum`. A weight of the adversarial terms is ours, and a warm-up: in a stage with
    `weights: {identity: w}`, G alone learns G(x, c) = x, an L1 of weight w, c being the image's own
    label. So SDIT's settings at small sizes can be its too.

    Args:
        generator: Maps images and labels to images.
        discriminator: Of as many labels.
        domains: Names of the labels, in their order: domains, or attributes.
        stages: Usually one at a constant learning rate and one with `decay: linear`.
        exclusive: Has an image one label, its domain, so that D is asked for the cross-entropy?
            Otherwise it has any number of attributes, and D is asked for the binary ones, summed.
        exclusive_groups: Groups of attributes of which an image has at most one, such as the
            colours of its hair, as the data has them: one that is turned on turns the others off.
        lambda_adv: Weight of the adversarial terms.
        lambda_gp: Weight of the gradient penalty (eq. 8).
        slope_of: Each image has a map of scores: the penalty holds the slope of their `mean` to 1,
            or, as published, that of their `sum`.
        lambda_cls: Weight of reading the labels (eq. 5, 6).
        lambda_rec: Weight of the way back (eq. 6).
        n_critic: Discriminator steps per generator step.
        lr: Adam learning rate of both networks.
        betas: Adam's decay rates.
    """

    rivals: Tensor

    def __init__(
        self,
        generator: StarGANGenerator,
        discriminator: StarGANDiscriminator,
        domains: list[str],
        stages: list[Stage],
        exclusive: bool = True,
        exclusive_groups: list[list[str]] | None = None,
        lambda_adv: float = 1.0,
        lambda_gp: float = 10.0,
        slope_of: SlopeOf = "mean",
        lambda_cls: float = 1.0,
        lambda_rec: float = 10.0,
        n_critic: int = 5,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__(stages)
        check_weights(stages, ["identity"])
        n_labels = {"generator": generator.n_labels, "discriminator": discriminator.n_labels}
        check_n_labels(domains, **n_labels)
        # Not the discriminator: on a CPU its last layers would be half as fast.
        self.generator = generator.to(memory_format=torch.channels_last)
        self.discriminator = discriminator
        self.domains, self.exclusive = domains, exclusive
        self.exclusive_groups = exclusive_groups or []
        self.register_buffer("rivals", rivals(domains, self.exclusive_groups), persistent=False)
        self.lambda_adv, self.lambda_gp, self.slope_of = lambda_adv, lambda_gp, slope_of
        self.lambda_cls, self.lambda_rec = lambda_cls, lambda_rec
        self.n_critic, self.lr, self.betas = n_critic, lr, betas

    @classmethod
    def players_at(cls, iteration: int, stage: Stage, settings: Mapping[str, Any]) -> list[str]:
        if "identity" in stage.weights:
            return ["generator"]
        return super().players_at(iteration, stage, settings)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        nets = (self.generator, self.discriminator)
        return [Adam(net.parameters(), self.lr, self.betas, fused=True) for net in nets]

    def training_step(self, batch: Nested) -> None:
        x, c = labelled(batch, self.domains)
        if "identity" in self.stage.weights:
            self.warm_up(x, c)
        else:
            self.play(x, c)

    def warm_up(self, x: Tensor, c: Tensor) -> None:
        """Have the generator learn to leave images (N, C, H, W) of labels (N, K) as they are."""
        opt_g, _ = self.optimizers()
        with self.toggled_optimizer(opt_g):
            g_identity = F.l1_loss(self.generator(x, c), x)
            self.minimize(self.stage.weights["identity"] * g_identity, opt_g)
        self.track(g_identity=g_identity)

    def play(self, x: Tensor, c: Tensor) -> None:
        """Take a step of the game with images (N, C, H, W) of labels (N, K)."""
        n, c_trg = len(x), self.shuffled(c)
        opt_g, opt_d = self.optimizers()
        g_moves = (self.iteration + 1) % self.n_critic == 0

        # Both players look at the same fakes: D's step leaves the generator as it is.
        with self.toggled_optimizer(opt_g), torch.set_grad_enabled(g_moves):
            x_fake = self.generator(x, c_trg)

        # Discriminator: score real above fake, read the labels of the real (eq. 5, 8).
        with self.toggled_optimizer(opt_d):
            realness, logits = self.discriminator(torch.cat([x, x_fake.detach()]))
            d_adv = wasserstein_critic_loss(*realness.chunk(2))
            d_gp = gradient_penalty(self.penalised, x, x_fake.detach(), self.rand(n, 1, 1, 1))
            d_cls = self.label_loss(logits[:n], c)
            d_game = self.lambda_adv * d_adv + self.lambda_gp * d_gp
            self.minimize(d_game + self.lambda_cls * d_cls, opt_d)
        self.track(d_adv=d_adv, d_gp=d_gp, d_cls=d_cls)

        # Generator: raise the score, be read as the target, find the way back (eq. 6).
        if g_moves:
            with self.toggled_optimizer(opt_g):
                realness, logits = self.discriminator(x_fake)
                g_adv = wasserstein_generator_loss(realness)
                g_cls = self.label_loss(logits, c_trg)
                g_rec = F.l1_loss(self.generator(x_fake, c), x)
                g_game = self.lambda_adv * g_adv + self.lambda_cls * g_cls
                self.minimize(g_game + self.lambda_rec * g_rec, opt_g)
            self.track(g_adv=g_adv, g_cls=g_cls, g_rec=g_rec)

    def penalised(self, x: Tensor) -> Tensor:
        """Return the scores (N,) of images (N, C, H, W) whose slopes the penalty holds to 1."""
        return map_score(self.discriminator(x)[0], self.slope_of)

    def label_loss(self, logits: Tensor, c: Tensor) -> Tensor:
        """Return the cross-entropy of labels (N, K), mean over images; binary ones are summed."""
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if self.exclusive:
            return F.cross_entropy(logits, c.to(logits))
        return F.binary_cross_entropy_with_logits(logits, c.to(logits), reduction="sum") / len(c)

    def translations(self) -> list[Translation]:
        return label_translations(self.domains, self.exclusive)

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        image, c = self.asked(x, translation)
        return self.generator(image, c).to(image.dtype)

    def asked(self, x: dict[str, Tensor], translation: Translation) -> tuple[Tensor, Tensor]:
        """Return the images (N, C, H, W) to translate and their target labels (N, K).

        An attribute is the reverse of what `x["attributes"]` says of it; where nothing does, it is
        1 and the others are 0.
        """
        image, k = x[translation.sources[0]], self.domains.index(translation.target)
        known = None if self.exclusive else x.get(ATTRIBUTES)
        c = image.new_zeros(len(image), len(self.domains)) if known is None else known.to(image)
        return image, target_labels(c, k, self.rivals[k])

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return both networks, the order of the labels, and the number of G's parameters."""
        count = sum(p.numel() for p in self.generator.parameters())
        return dict(self.named_children()), {"domains": self.domains, "parameters": count}
