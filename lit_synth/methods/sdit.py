"""SDIT: one generator for many domains and many styles (thesis chapter 6)."""

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
from lit_synth.errors import InputError
from lit_synth.losses.adversarial import wasserstein_critic_loss, wasserstein_generator_loss
from lit_synth.losses.penalties import SlopeOf, gradient_penalty, map_score
from lit_synth.method import Method
from lit_synth.networks.sdit import SDITDiscriminator, SDITGenerator
from lit_synth.networks.stargan import check_n_labels
from lit_synth.stages import Stage, check_weights


class SDIT(Method):
    """Train G(E(x, l), M(z)) against D(y) = (realness, logits of labels, guess of z).

    Follows the section where it and https://github.com/yaxingwang/SDIT differ: attention mixes
    (eq. 6.9), z is that of the way there on the way back too, and D learns to guess it. As in the
    code, the adversarial game (eq. 6.1 is the log loss) is WGAN-GP with five discriminator steps to
    one, and the target labels are those of other images of the batch. The section prints lambda_lat
    10 and lambda_rec 800; the authors have since said that it is the other way round. At 32 pixels
    lambda_lat 800 leaves the other terms no say.

    An image's score is the mean over D's map, so that a weight means the same on a map of any size.
    In the code the penalty holds the slope of the sum: `slope_of: sum`.

    A stage with `weights: {identity: w}` warms up: G alone learns G(x, c, z) = x, an L1 of weight
    w, c being the image's own label.

    Args:
        generator: Maps images, labels and codes to images.
        discriminator: Of as many labels, and codes of the same length.
        domains: Names of the labels, in their order: domains, or attributes.
        stages: Usually one at a constant learning rate and one with `decay: linear`.
        exclusive: Has an image one label, its domain, so that D is asked for the cross-entropy?
            Otherwise it has any number of attributes, and D is asked for the binary ones, summed.
        exclusive_groups: Groups of attributes of which an image has at most one, such as the
            colours of its hair, as the data has them: one that is turned on turns the others off.
        lambda_adv: Weight of the adversarial terms.
        lambda_gp: Weight of the gradient penalty.
        slope_of: Each image has a map of scores: the penalty holds the slope of their `mean` to 1,
            or, as published, that of their `sum`.
        lambda_cls: Weight of reading the labels (eq. 6.3, 6.4).
        lambda_rec: Weight of the way back (eq. 6.7).
        lambda_lat: Weight of guessing z (eq. 6.6); 0: no such term.
        lambda_identity: Weight of leaving an image of its own label as it is; 0: no such term, as
            published. The way back alone lets the generator repaint what has nothing to do with
            the label, if it can undo that.
        fresh_style: Draw z anew on the way back, as in the released code?
        train_code_head: Does D learn to guess z, too? In the released code it does not, and G aims
            at an untrained guess.
        n_critic: Discriminator steps per generator step.
        lr: Adam learning rate of both networks.
        betas: Adam's decay rates.
    """

    rivals: Tensor

    def __init__(
        self,
        generator: SDITGenerator,
        discriminator: SDITDiscriminator,
        domains: list[str],
        stages: list[Stage],
        exclusive: bool = True,
        exclusive_groups: list[list[str]] | None = None,
        lambda_adv: float = 1.0,
        lambda_gp: float = 10.0,
        slope_of: SlopeOf = "mean",
        lambda_cls: float = 1.0,
        lambda_rec: float = 10.0,
        lambda_lat: float = 800.0,
        lambda_identity: float = 0.0,
        fresh_style: bool = False,
        train_code_head: bool = True,
        n_critic: int = 5,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__(stages)
        check_weights(stages, ["identity"])
        n_labels = {"generator": generator.n_labels, "discriminator": discriminator.n_labels}
        check_n_labels(domains, **n_labels)
        if generator.style_dim != discriminator.style_dim:
            raise InputError(
                f"style_dim is {generator.style_dim} in the generator and "
                f"{discriminator.style_dim} in the discriminator: give both the same."
            )
        # Not the discriminator: on a CPU its last layers would be half as fast.
        self.generator = generator.to(memory_format=torch.channels_last)
        self.discriminator = discriminator
        self.domains, self.exclusive = domains, exclusive
        self.exclusive_groups = exclusive_groups or []
        self.register_buffer("rivals", rivals(domains, self.exclusive_groups), persistent=False)
        self.lambda_adv, self.lambda_gp, self.lambda_cls = lambda_adv, lambda_gp, lambda_cls
        self.slope_of = slope_of
        self.lambda_rec, self.lambda_lat = lambda_rec, lambda_lat
        self.lambda_identity = lambda_identity
        self.d_lambda_lat = lambda_lat if train_code_head else 0.0
        self.fresh_style, self.n_critic, self.lr, self.betas = fresh_style, n_critic, lr, betas

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
            g_identity = self.identity_loss(x, c, self.style(len(x)))
            self.minimize(self.stage.weights["identity"] * g_identity, opt_g)
        self.track(g_identity=g_identity)

    def play(self, x: Tensor, c: Tensor) -> None:
        """Take a step of the game with images (N, C, H, W) of labels (N, K)."""
        n, c_trg, z = len(x), self.shuffled(c), self.style(len(x))
        opt_g, opt_d = self.optimizers()
        g_moves = (self.iteration + 1) % self.n_critic == 0

        # Both players look at the same y: the discriminator's step leaves the generator as it is.
        with self.toggled_optimizer(opt_g), torch.set_grad_enabled(g_moves):
            y = self.generator(x, c_trg, z)

        # Discriminator: score real above fake (eq. 6.1, as WGAN-GP), read the labels of the real
        # (eq. 6.4), guess the codes of the fake (eq. 6.6).
        with self.toggled_optimizer(opt_d):
            realness, logits, code = self.discriminator(
                torch.cat([x, y.detach()]), torch.cat([x, x])
            )
            d_adv = wasserstein_critic_loss(*realness.chunk(2))
            d_gp = gradient_penalty(self.penalised, x, y.detach(), self.rand(n, 1, 1, 1))
            d_cls = self.label_loss(logits[:n], c)
            d_lat = F.l1_loss(code[n:], z)
            d_game = self.lambda_adv * d_adv + self.lambda_gp * d_gp
            self.minimize(d_game + self.lambda_cls * d_cls + self.d_lambda_lat * d_lat, opt_d)
        self.track(d_adv=d_adv, d_gp=d_gp, d_cls=d_cls, d_lat=d_lat)

        # Generator: raise the score (eq. 6.1), be read as the target (eq. 6.3), show the code
        # (eq. 6.6), find the way back (eq. 6.7).
        if g_moves:
            with self.toggled_optimizer(opt_g):
                realness, logits, code = self.discriminator(y, x)
                g_adv = wasserstein_generator_loss(realness)
                g_cls = self.label_loss(logits, c_trg)
                g_lat = F.l1_loss(code, z)
                g_rec = F.l1_loss(self.generator(y, c, self.style_back(z)), x)
                g_game = self.lambda_adv * g_adv + self.lambda_cls * g_cls
                g_loss = g_game + self.lambda_lat * g_lat + self.lambda_rec * g_rec
                if self.lambda_identity:
                    g_identity = self.identity_loss(x, c, z)
                    g_loss = g_loss + self.lambda_identity * g_identity
                    self.track(g_identity=g_identity)
                self.minimize(g_loss, opt_g)
            self.track(g_adv=g_adv, g_cls=g_cls, g_lat=g_lat, g_rec=g_rec)

    def identity_loss(self, x: Tensor, c: Tensor, z: Tensor) -> Tensor:
        """Return the L1 of images (N, C, H, W) translated to their own labels (N, K)."""
        return F.l1_loss(self.generator(x, c, z), x)

    def style(self, n: int) -> Tensor:
        """Draw codes (n, style_dim)."""
        return self.randn(n, self.style_dim)

    def style_back(self, z: Tensor) -> Tensor:
        """Return the codes of the way back from those of the way there, (N, style_dim)."""
        return self.style(len(z)) if self.fresh_style else z

    def penalised(self, x: Tensor) -> Tensor:
        """Return the scores (N,) of images (N, C, H, W) whose slopes the penalty holds to 1."""
        return map_score(self.discriminator(x).realness, self.slope_of)

    def label_loss(self, logits: Tensor, c: Tensor) -> Tensor:
        """Return the cross-entropy of labels (N, K), mean over images; binary ones are summed."""
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if self.exclusive:
            return F.cross_entropy(logits, c.to(logits))
        return F.binary_cross_entropy_with_logits(logits, c.to(logits), reduction="sum") / len(c)

    # What it is asked for afterwards.

    @property
    def style_dim(self) -> int:
        return self.generator.style_dim

    def translations(self) -> list[Translation]:
        return label_translations(self.domains, self.exclusive)

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        image, c = self.asked(x, translation)
        z = x.get("style", image.new_zeros(len(image), self.style_dim))
        return self.generator(image, c, z).to(image.dtype)

    @torch.no_grad()
    def attention(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        """Return the generator's attention (N, 1, H, W) in [0, 1]; 1 where it has none."""
        return self.generator.attention_map(*self.asked(x, translation)).float()

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
