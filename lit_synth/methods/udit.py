"""UDIT: translation that changes what it should and nothing it should not (thesis chapter 5).

Wang, Gonzalez-Garcia, van de Weijer, Herranz 2019, arXiv:1907.09754.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from lit_synth.augment.base import Augment, alike
from lit_synth.batches.sets import Nested, examples
from lit_synth.contracts.data import TranslationData
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.losses.adversarial import lsgan_discriminator_loss, lsgan_generator_loss
from lit_synth.losses.reconstruction import masked_l1
from lit_synth.losses.total import total
from lit_synth.method import Method
from lit_synth.networks.extractor import ExtractorHead, ExtractorNet, Feature
from lit_synth.networks.parts.norms import uncoupled
from lit_synth.networks.parts.rebuilding import another
from lit_synth.releases.format import SELF, load_release
from lit_synth.stages import Stage
from lit_synth.tensors.hashing import image_digests

CHUNK = 256  # images read at once to find those that the extractor knows


class UDIT(Method):
    """Train MUNIT so that translations keep what a semantic extractor h says of an image.

    An image x_i has content c_i = E^c_i(x_i) and style s_i = E^s_i(x_i); its translations are
    x_ij = G_j(c_i, s'), s' ~ N(0, I), and h(x_ij) is to stay near h(x_i). h is frozen, told of the
    property that must not change, and used in training alone.

    Follows the thesis, section 5.5, and where it is silent https://github.com/NVlabs/MUNIT at its
    configuration of edges: LSGAN without its 1/2, summed over scales; L1; Adam with betas
    (.5, .999) and weight decay 1e-4. Nothing is detached in the codes' reconstruction. With
    networks that pool, translations are enlarged with the indices of their own content.

    The thesis gives neither the norm of eq. 5.3 nor its weight, and the released code has the term
    switched off. Ours is the mean absolute difference divided by that of two random images: a
    weight means the same for any extractor. In small runs 1 did little, and 10 cost some sharpness.

    Deviation: both players of an iteration see the same translations (in MUNIT, styles are drawn
    for each), so that these are made once; discriminators move first, as there.

    Args:
        content_encoder: Maps images (N, C, H, W) to a code; each domain gets one built alike.
        style_encoder: Maps images to styles (N, style_dim); likewise.
        decoder: Maps a code and styles to images in [-1, 1]; knows its `style_dim`; likewise.
        discriminator: Maps images to scores of any shape, a list of scales; likewise.
        extractor: Release of a SemanticExtractor, trained on other images: its folder.
        stages: Usually several, each with half the `lr_scale` of the one before.
        a: Name of the first domain.
        b: Name of the second.
        feature: Of the extractor: `reduced` to few channels, or the `naive` map that it reads.
        lambda_gan: Weight of passing for the real (eq. 5.4).
        lambda_x: Weight of recovering images from their own codes (eq. 5.5).
        lambda_c: Weight of recovering content from translations (eq. 5.6).
        lambda_s: Weight of recovering styles from translations (eq. 5.7).
        lambda_semantic: Weight lambda_U of keeping the semantic feature (eq. 5.3); 0 is MUNIT.
        views: What is done to an image and to its translation, alike, before h reads them; None:
            nothing, as published. Without it a pattern of single pixels can pass for what h reads.
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
        extractor: str,
        stages: list[Stage],
        a: str = "a",
        b: str = "b",
        feature: Feature = "reduced",
        lambda_gan: float = 1.0,
        lambda_x: float = 10.0,
        lambda_c: float = 1.0,
        lambda_s: float = 1.0,
        lambda_semantic: float = 10.0,
        views: Augment | None = None,
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
        self.h, facts = read_extractor(extractor)
        self.facts_of_h = {key: facts[key] for key in ("attribute", "scale", "trained_on")}
        self.judged_attribute: str = facts["attribute"]
        self.known_to_h: set[str] = set(facts["trained_on"]["images"])
        self.feature, self.scale = feature, float(facts["scale"][feature])
        self.to(memory_format=torch.channels_last)
        self.lambda_gan, self.lambda_x = lambda_gan, lambda_x
        self.lambda_c, self.lambda_s = lambda_c, lambda_s
        self.lambda_semantic, self.views = lambda_semantic, views
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
            # content (eq. 5.6) and style (eq. 5.7) from translations,
            c_rec = {i: self.content_encoders[j](x_fake[j]) for j, i in self.other.items()}
            s_rec = {j: self.style_encoders[j](x_fake[j]) for j in x}
            g_content = total(masked_l1(c_rec[i].h, c[i].h) for i in x)
            g_style = total(masked_l1(s_rec[j], s_new[j]) for j in x)
            codes = self.lambda_c * g_content + self.lambda_s * g_style
            # and keep what h reads (eq. 5.3); the sum is eq. 5.8.
            g_semantic = total(self.semantic(x_fake[j], x[i]) for j, i in self.other.items())
            munit = self.lambda_gan * g_adv + self.lambda_x * g_rec + codes
            self.minimize(munit + self.lambda_semantic * g_semantic, opt_g)
        self.track(d_adv=d_adv, g_adv=g_adv, g_rec=g_rec, g_content=g_content, g_style=g_style)
        self.track(g_semantic=g_semantic)

    def d_adversarial(self, domain: str, x: Tensor, x_fake: Tensor) -> Tensor:
        """Return the discriminator's loss on real and translated images, summed over scales."""
        scores = self.discriminators[domain](torch.cat([x, x_fake]))
        return total(lsgan_discriminator_loss(t[: len(x)], t[len(x) :]) for t in scores)

    def g_adversarial(self, domain: str, x_fake: Tensor) -> Tensor:
        """Return the generators' loss on translated images, summed over scales."""
        return total(lsgan_generator_loss(t) for t in self.discriminators[domain](x_fake))

    def semantic(self, x_fake: Tensor, x: Tensor) -> Tensor:
        """Return mean |h(x_ij) - h(x_i)|, 1 if they are as different as two random images.

        No gradient passes through h(x_i). 0 where the term has no weight, as it is not computed.
        """
        if not self.lambda_semantic:
            return x.new_zeros(())
        if self.views is not None:
            x, x_fake = alike(self.views, [x, x_fake], self.rand)
        with torch.no_grad():
            u = self.h.feature(x, self.feature)
        return masked_l1(self.h.feature(x_fake, self.feature), u) / self.scale

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

    @torch.no_grad()
    def judge(self, images: Tensor) -> Tensor:
        return self.h(images)

    def train(self, mode: bool = True) -> "UDIT":
        """Switch all networks but h, whose statistics must not follow what it judges."""
        super().train(mode)
        self.h.eval()
        return self

    def setup(self, stage: str) -> None:
        data = getattr(self.trainer, "datamodule", None)
        if not isinstance(data, TranslationData):
            return
        if stage == "fit":
            for name, modalities in data.sets.items():
                self.refuse_known(data.training_set(name), modalities)
        # Held-out images too: what h says of their translations is reported.
        for name in ("val", "test"):
            if data.has_split(name):
                self.refuse_known(data.split(name), data.modalities)

    def refuse_known(self, images: Any, modalities: Iterable[str]) -> None:
        """Raise InputError if the extractor was trained on images that are to be translated."""
        domains = set(self.other) & set(modalities)
        for start in range(0, len(images) if domains else 0, CHUNK):
            x = images.fetch(range(start, min(start + CHUNK, len(images))))
            for domain in domains:
                self._refuse(x[domain], domain)

    def _refuse(self, images: Tensor, domain: str) -> None:
        known = sum(digest in self.known_to_h for digest in image_digests(images))
        if known:
            raise InputError(
                f"the semantic extractor was trained on images of the domain '{domain}' that are "
                f"to be translated ({known} of {len(images)} that were looked at): train one on "
                "other images."
            )

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return encoders and decoders as `<network>_<domain>`, and the number of their parameters.

        Also the extractor, as `backbone` and `head`, with its facts.
        """
        kinds = {
            "content_encoder": self.content_encoders,
            "style_encoder": self.style_encoders,
            "decoder": self.decoders,
        }
        networks = {f"{kind}_{i}": net for kind, nets in kinds.items() for i, net in nets.items()}
        counts = [p.numel() for network in networks.values() for p in network.parameters()]
        networks |= {"backbone": self.h.backbone, "head": self.h.head}
        return networks, {"parameters": sum(counts), **self.facts_of_h}

    def released_settings(self) -> dict[str, Any]:
        return {"extractor": SELF}


def read_extractor(folder: str) -> tuple[ExtractorNet, dict[str, Any]]:
    """Return the frozen extractor of a SemanticExtractor's release, and the release's facts.

    Raises:
        InputError: If the release is another's.
    """
    release = load_release(folder)
    head = release.networks.get("head")
    if not isinstance(head, ExtractorHead):
        raise InputError(
            f"the release {folder} holds {', '.join(release.networks)}, which is no semantic "
            "extractor: train one with SemanticExtractor."
        )
    network = ExtractorNet(release.network("backbone"), head)
    return network.requires_grad_(False).eval(), release.extra
