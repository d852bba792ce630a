"""MUNIT: many translations of one image, learned without pairs (Huang et al. 2018, 1804.04732)."""

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from lit_synth.batches.sets import Nested, examples
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.losses.adversarial import lsgan_discriminator_loss, lsgan_generator_loss
from lit_synth.losses.reconstruction import masked_l1
from lit_synth.losses.total import total
from lit_synth.method import Method
from lit_synth.networks.parts.norms import uncoupled
from lit_synth.networks.parts.rebuilding import another
from lit_synth.stages import Stage


class MUNIT(Method):
    """Train for each domain an autoencoder of content and style; content fits any domain's decoder.

    An image x_i has content c_i = E^c_i(x_i) and style s_i = E^s_i(x_i); its translations are
    x_ij = G_j(c_i, s'), s' ~ N(0, I). The thesis' equations 5.4 to 5.8 without lambda_U.

    Follows https://github.com/NVlabs/MUNIT at its configuration of edges: LSGAN without its 1/2,
    summed over scales; L1; Adam with betas (.5, .999) and weight decay 1e-4. Nothing is detached in
    the codes' reconstruction. With networks that pool, translations are enlarged with the indices
    of their own content.

    Deviation: both players of an iteration see the same translations (there, styles are drawn for
    each), so that these are made once; discriminators move first, as there.

    Args:
        content_encoder: Maps images (N, C, H, W) to a code; each domain gets one built alike.
        style_encoder: Maps images to styles (N, style_dim); likewise.
        decoder: Maps a code and styles to images in [-1, 1]; knows its `style_dim`; likewise.
        discriminator: Maps images to scores of any shape, a list of scales; likewise.
        stages: Usually several, each with half the `lr_scale` of the one before.
        a: Name of the first domain.
        b: Name of the second.
        lambda_gan: Weight of passing for the real (eq. 5.4).
        lambda_x: Weight of recovering images from their own codes (eq. 5.5).
        lambda_c: Weight of recovering content from translations (eq. 5.6).
        lambda_s: Weight of recovering styles from translations (eq. 5.7).
        lr: Adam learning rate of all networks.
        betas: Adam's decay rates.
        weight_decay: Adam's, of all networks.
    """

    def __init__(
        self,
        content_encoder: nn.Module,
        style_encoder: nn.Module,
        decoder: nn.Module,
        discriminator: nn.Module,
        stages: list[Stage],
        a: str = "a",
        b: str = "b",
        lambda_gan: float = 1.0,
        lambda_x: float = 10.0,
        lambda_c: float = 1.0,
        lambda_s: float = 1.0,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-4,
    ) -> None:
        super().__init__(stages)
        if a == b:
            raise InputError(f"both domains are called '{a}': give a and b different names.")
        self.a, self.b, self.other = a, b, {a: b, b: a}
        self.content_encoders = nn.ModuleDict({i: another(content_encoder) for i in self.other})
        self.style_encoders = nn.ModuleDict({i: another(style_encoder) for i in self.other})
        self.decoders = nn.ModuleDict({i: another(decoder) for i in self.other})
        self.discriminators = nn.ModuleDict(
            {i: another(uncoupled(discriminator)) for i in self.other}
        )
        self.style_dim = cast("int", decoder.style_dim)
        self.to(memory_format=torch.channels_last)
        self.lambda_gan, self.lambda_x = lambda_gan, lambda_x
        self.lambda_c, self.lambda_s = lambda_c, lambda_s
        self.lr, self.betas, self.weight_decay = lr, betas, weight_decay

    def configure_optimizers(self) -> list[Optimizer]:
        generators = nn.ModuleList([self.content_encoders, self.style_encoders, self.decoders])
        adam = partial(
            Adam, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay, fused=True
        )
        return [adam(generators.parameters()), adam(self.discriminators.parameters())]

    def training_step(self, batch: Nested) -> None:
        x = {i: examples(batch, i) for i in self.other}
        s_new = {j: self.randn(len(x[i]), self.style_dim) for j, i in self.other.items()}
        opt_g, opt_d = self.optimizers()

        # Content, style and translations, once for all that follows.
        with self.toggled_optimizer(opt_g):
            c = {i: self.content_encoders[i](x[i]) for i in x}
            s = {i: self.style_encoders[i](x[i]) for i in x}
            x_fake = {j: self.decoders[j](c[i], s_new[j]) for j, i in self.other.items()}

        # Discriminators: score the real 1 and translations 0, at every scale (eq. 5.4).
        with self.toggled_optimizer(opt_d):
            d_adv = total(self.d_adversarial(j, x[j], x_fake[j].detach()) for j in x)
            self.minimize(self.lambda_gan * d_adv, opt_d)

        with self.toggled_optimizer(opt_g):
            # Encoders and decoders: pass for the real (eq. 5.4),
            g_adv = total(self.g_adversarial(j, x_fake[j]) for j in x)
            # recover images from their own codes (eq. 5.5),
            g_rec = total(masked_l1(self.decoders[i](c[i], s[i]), x[i]) for i in x)
            # and content (eq. 5.6) and style (eq. 5.7) from translations.
            c_rec = {i: self.content_encoders[j](x_fake[j]) for j, i in self.other.items()}
            s_rec = {j: self.style_encoders[j](x_fake[j]) for j in x}
            g_content = total(masked_l1(c_rec[i].h, c[i].h) for i in x)
            g_style = total(masked_l1(s_rec[j], s_new[j]) for j in x)
            codes = self.lambda_c * g_content + self.lambda_s * g_style
            self.minimize(self.lambda_gan * g_adv + self.lambda_x * g_rec + codes, opt_g)
        self.track(d_adv=d_adv, g_adv=g_adv, g_rec=g_rec, g_content=g_content, g_style=g_style)

    def d_adversarial(self, domain: str, x: Tensor, x_fake: Tensor) -> Tensor:
        """Return the discriminator's loss on real and translated images, summed over scales."""
        scores = self.discriminators[domain](torch.cat([x, x_fake]))
        return total(lsgan_discriminator_loss(t[: len(x)], t[len(x) :]) for t in scores)

    def g_adversarial(self, domain: str, x_fake: Tensor) -> Tensor:
        """Return the generators' loss on translated images, summed over scales."""
        return total(lsgan_generator_loss(t) for t in self.discriminators[domain](x_fake))

    def translations(self) -> list[Translation]:
        return [Translation((self.a,), (self.b,)), Translation((self.b,), (self.a,))]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        (i,), j = translation.sources, translation.target
        style = x.get("style", torch.zeros(len(x[i]), self.style_dim, device=x[i].device))
        return self.decoders[j](self.content_encoders[i](x[i]), style).float().clamp(-1, 1)

    @torch.no_grad()
    def read_styles(self, images: Tensor, domain: str) -> Tensor:
        return self.style_encoders[domain](images)

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return encoders and decoders as `<network>_<domain>`, and the number of parameters."""
        kinds = {
            "content_encoder": self.content_encoders,
            "style_encoder": self.style_encoders,
            "decoder": self.decoders,
        }
        networks = {f"{kind}_{i}": net for kind, nets in kinds.items() for i, net in nets.items()}
        counts = [p.numel() for network in networks.values() for p in network.parameters()]
        return networks, {"parameters": sum(counts)}
