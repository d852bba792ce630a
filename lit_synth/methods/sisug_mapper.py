"""SISUG's mapper: images of label maps from a generator that never saw one (Chae et al. 2023)."""

import copy
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.batches.coding import IGNORE
from lit_synth.batches.label_maps import check_classes, checked_ids
from lit_synth.batches.sets import Nested, pairs
from lit_synth.contracts.data import TranslationData, translation_data
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.features.perceptual_loss import PerceptualLoss
from lit_synth.losses.games import Game, Logistic
from lit_synth.method import Method
from lit_synth.networks.parts.inverting import inverted
from lit_synth.networks.parts.minibatch import score_apart
from lit_synth.networks.parts.split import AT_ONCE, Samples, open_many, opened, splittable
from lit_synth.networks.proxy_masks import ProxyMasks
from lit_synth.networks.rearranger import Rearranger
from lit_synth.releases.format import SELF, load_release
from lit_synth.releases.games import played
from lit_synth.runs.telling import warn
from lit_synth.stages import Stage, check_weights

WEIGHTS = {"recon": 10.0, "adv": 0.0}
AHEAD = 4  # annotated images in a batch of the part segmenter
CANDIDATES = 512  # samples, the nearest of which an inversion starts from


class SISUGMapper(Method):
    """Train M to tell the proxy mask from a label map, so that R lays features out as labels say.

    The image of labels y in the style of z is G2(R(G1(z), M(y))), and of all networks M alone knows
    labels. Its pairs are made by the generator: z gives features, their proxy mask m and, by a part
    segmenter S on the features, labels y. S learns from a few annotated images: one is the paper's
    case, and such an S is of Tritrong et al. 2021 (arXiv:2103.04379).

        L = recon CE(M(y), m) + adv L_adv

    A stage that freezes the mapper trains S. Of the others the paper's are one with `weights`
    {recon: 10}, and one with {recon: 100, adv: 1}, in which R takes M's probabilities, for their
    gradients, and the rearranger's critic plays on. R takes the most probable clusters afterwards.

    Reconstructed, as the supplement gives names alone: cross-entropy, where it says reconstruction;
    logits of a mapper at the labels' size are averaged to the proxy mask's, so that parts thinner
    than its cells count. There annotated images are the generator's own; here they are any, and
    what the generator has of them is found by inversion, which the paper shows for edits.

    Args:
        rearranger: Release of a SISUGRearranger.
        mapper: Maps labels to logits of the proxy mask, (N, K, H, W): an OASISGenerator without
            noise and tanh.
        stages: One that trains S, the mapper's two.
        segmenter: S, a PartSegmenter; None: `reader` tells the labels.
        reader: Release of a Segmenter, trained on a full set of annotated images, in place of S.
        annotated: Images of the training set, its first ones, that S learns from.
        inversion_steps: Of the inversion of these images, and of those whose styles are read.
        pool: Samples that are made once and drawn from.
        source: Name of the labels.
        target: Name of the images.
        game: What critic and mapper play for; None: logistic with R1 of 10, lazily.
        lr: Adam learning rate of all networks.
        betas: Adam's decay rates.
    """

    seed: Tensor
    annotated_w: Tensor

    def __init__(
        self,
        rearranger: str,
        mapper: nn.Module,
        stages: list[Stage],
        segmenter: nn.Module | None = None,
        reader: str | None = None,
        annotated: int = 1,
        inversion_steps: int = 300,
        pool: int = 2048,
        source: str = "parts",
        target: str = "image",
        game: Game | None = None,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.0, 0.99),
    ) -> None:
        super().__init__(stages)
        check_weights(stages, list(WEIGHTS))
        if (segmenter is None) == (reader is None):
            raise InputError(
                f"of segmenter and reader {'none' if reader is None else 'both'} are given: give "
                "one, to tell the labels of generated images."
            )
        if annotated < 1 or pool < 1 or inversion_steps < 1:
            raise InputError(
                f"annotated is {annotated}, pool {pool} and inversion_steps {inversion_steps}: "
                "expected at least 1 of each."
            )
        release = load_release(rearranger)
        self.size = int(release.extra.get("size", 0))
        self.generator = splittable(release.network("generator"), self.size)
        self.proxy = cast("ProxyMasks", release.network("proxy"))
        self.rearranger = cast("Rearranger", release.network("rearranger"))
        for network in (self.generator, self.proxy, self.rearranger):
            network.requires_grad_(False).eval()
        self.critic = copy.deepcopy(release.network("critic")).train()
        self.mapper, self.segmenter = mapper, segmenter
        self.reader = None
        if reader is not None:
            self.reader = load_release(reader).network("network").requires_grad_(False).eval()
        self.num_classes = cast("int", mapper.num_classes)
        if segmenter is not None and segmenter.num_classes != self.num_classes:
            raise InputError(
                f"the segmenter has {segmenter.num_classes} classes and the mapper "
                f"{self.num_classes}: give both those of the labels."
            )
        self.style_dim = self.generator.latent_dim
        self.annotated, self.inversion_steps, self.pool_size = annotated, inversion_steps, pool
        self.source, self.target = source, target
        self.game = Logistic(gamma=10.0) if game is None else game
        self.lr, self.betas = lr, betas
        layers, w_dim = self.generator.synthesis.layers, self.generator.w_dim
        self.register_buffer("seed", torch.tensor(-1))  # of the samples; below 0: none drawn yet
        self.register_buffer("annotated_w", torch.zeros(annotated, layers, w_dim))
        self.labels: Tensor | None = None  # of the annotated images
        self.pool: tuple[Samples, Tensor] | None = None

    def setup(self, stage: str) -> None:  # noqa: ARG002 - of all verbs
        data = getattr(self.trainer, "datamodule", None)
        known = isinstance(data, TranslationData) and data.modalities.get(self.source)
        if known and known.kind == "labels" and known.channels != self.num_classes:
            raise InputError(
                f"the labels '{self.source}' have {known.channels} classes, and this mapper knows "
                f"{self.num_classes}: train a new mapper for them, on the same rearranger."
            )
        check_classes(data, self.source, self.num_classes)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        players = [self.mapper, self.critic, *([self.segmenter] if self.segmenter else [])]
        return [
            torch.optim.Adam(net.parameters(), self.lr, betas=self.betas, fused=True)
            for net in players
        ]

    def on_train_start(self) -> None:
        super().on_train_start()
        begins = bool(self.seed < 0)
        if begins:
            self.seed.copy_(torch.randint(2**31, (), generator=self.draws.rng))
        if self.segmenter is None:
            return
        images, self.labels = self._annotated_images()
        if begins:
            self.annotated_w.copy_(self.inverted(images))

    def training_step(self, batch: Nested) -> None:
        if "mapper" in self.stage.freeze:
            self.train_segmenter()
            return
        _, x = pairs(batch, self.source, self.target)
        i, ids = self.drawn(len(x))
        weights = {**WEIGHTS, **self.stage.weights}
        opt_m, opt_d, *_ = self.optimizers()

        # Mapper: find the proxy mask, and have the image of another style pass for real.
        with self.toggled_optimizer(opt_m):
            logits = self.logits(ids)
            m_recon = F.cross_entropy(logits, i.mask)
            loss = weights["recon"] * m_recon
            if weights["adv"]:
                style, _ = self.drawn(len(x))
                x_hat = self.laid_out(style, logits.softmax(1))
                m_adv = self.game.generator_loss(self.critic(x_hat), lambda: self.critic(x))
                loss = loss + weights["adv"] * m_adv
                self.track(m_adv=m_adv)
            self.minimize(loss, opt_m)
        self.track(m_recon=m_recon, m_accuracy=(logits.argmax(1) == i.mask).float().mean())

        # Critic: tell real images from those that labels were laid out for.
        if weights["adv"]:
            with self.toggled_optimizer(opt_d):
                x_hat = x_hat.detach()
                d_real, d_fake = score_apart(self.critic, x, x_hat)
                d_adv = self.game.critic_loss(d_real, d_fake)
                slope = self.game.penalty(self.critic, x, x_hat, self.rand, self.iteration)
                self.minimize(d_adv + slope.loss, opt_d)
            self.track(d_adv=d_adv, **slope.terms)

    def train_segmenter(self) -> None:
        """Let S learn the labels of annotated images, mirrored or not, from their features."""
        if self.segmenter is None or self.labels is None:
            raise InputError(
                f"the stage '{self.stage.name}' freezes the mapper, so it is to train the part "
                "segmenter, but a reader stands in its place: leave the stage out."
            )
        opt_s = self.optimizers()[2]
        with self.toggled_optimizer(opt_s):
            index = self.randint(self.annotated, AHEAD)
            coin = self.rand(AHEAD) < 0.5
            pyramid = self.generator.synthesis.pyramid(self.annotated_w[index])
            ids = torch.where(coin[:, None, None], self.labels[index].flip(2), self.labels[index])
            turn = coin[:, None, None, None]
            logits = self.segmenter([torch.where(turn, f.flip(3), f) for f in pyramid])
            s_ce = F.cross_entropy(logits, ids, ignore_index=IGNORE)
            self.minimize(s_ce, opt_s)
        self.track(s_ce=s_ce)

    def logits(self, ids: Tensor) -> Tensor:
        """Return M(y), logits of the proxy mask (N, K, h, w), of labels (N, H, W)."""
        logits = F.adaptive_avg_pool2d(self.mapper(ids), self.size)
        if logits.shape[1] != self.proxy.num_clusters:
            raise InputError(
                f"the mapper makes {logits.shape[1]} channels, and proxy masks have "
                f"{self.proxy.num_clusters} clusters: give it so many out_channels."
            )
        return logits

    def laid_out(self, style: Samples, mask: Tensor) -> Tensor:
        """Return images (N, C, H, W) in the style of samples, laid out as a proxy mask."""
        f_hat, skip_hat = self.rearranger(style.f, style.skip, mask)
        return self.generator.synthesis.images(f_hat, skip_hat, style.w)

    def drawn(self, n: int) -> tuple[Samples, Tensor]:
        """Draw n samples and their labels, int64 (n, H, W)."""
        if self.pool is None:
            rng = torch.Generator().manual_seed(int(self.seed) + 1)
            samples = open_many(self.generator, self.proxy, self.size, self.pool_size, rng)
            self.pool = samples, self.labels_of(samples)
        index = self.randint(self.pool_size, n)
        return self.pool[0].at(index), self.pool[1][index]

    @torch.no_grad()
    def labels_of(self, samples: Samples) -> Tensor:
        """Return the labels, int64 (N, H, W), of samples, by S or the reader."""
        found = []
        for start in range(0, len(samples.w), AT_ONCE):
            if self.segmenter is not None:
                w = samples.w[start : start + AT_ONCE]
                logits = self.segmenter(self.generator.synthesis.pyramid(w))
            else:
                assert self.reader is not None, "one of both was given"
                logits = self.reader(samples.image[start : start + AT_ONCE])
            found.append(logits.argmax(1))
        return torch.cat(found)

    def inverted(self, images: Tensor) -> Tensor:
        """Return w of every layer (N, layers, w_dim) from which the generator makes images."""
        rng = torch.Generator().manual_seed(0)
        z = torch.randn(CANDIDATES, self.generator.latent_dim, generator=rng)
        candidates = self.generator.to_w(z.to(self.generator.w_avg))
        steps, synthesis = self.inversion_steps, self.generator.synthesis
        return inverted(synthesis, images, candidates, steps, perceptual=PerceptualLoss())

    def translations(self) -> list[Translation]:
        return [Translation((self.source,), (self.target,))]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:  # noqa: ARG002 - the only one
        """Return images of labels; `x["style"]` is z, or w as `read_styles` gives it."""
        ids = checked_ids(x[self.source], self.num_classes, self.source)
        style = x.get("style", self.generator.w_avg.new_zeros(len(ids), self.style_dim))
        if style.shape[1] == self.style_dim:
            w = self.generator.to_w(style)
        else:
            w = style.view(-1, *self.annotated_w.shape[1:])
        i = opened(self.generator, self.proxy, self.size, w)
        return self.laid_out(i, self.logits(ids).argmax(1)).float().clamp(-1, 1)

    @torch.no_grad()
    def read_styles(self, images: Tensor, domain: str) -> Tensor:  # noqa: ARG002 - all images have one kind
        """Return w of every layer, flattened (N, layers w_dim), from which images are made."""
        return self.inverted(images).flatten(1)

    def train(self, mode: bool = True) -> "SISUGMapper":
        """Switch all networks but those that are frozen."""
        super().train(mode)
        for network in (self.generator, self.proxy, self.rearranger, self.reader):
            if network is not None:
                network.eval()
        return self

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return all networks, those of the rearranger's release too; the split and the game."""
        networks = dict(self.named_children())
        networks.pop("game")
        if self.reader is not None:
            networks["network"] = networks.pop("reader")
        return networks, {"size": self.size, **played(self.game, 1)}

    def released_settings(self) -> dict[str, Any]:
        reader = {} if self.reader is None else {"reader": SELF}
        return {"rearranger": SELF, **reader}

    def _annotated_images(self) -> tuple[Tensor, Tensor]:
        """Return the first images of the training set (n, C, H, W), and their labels (n, H, W)."""
        data = translation_data(getattr(self.trainer, "datamodule", None))
        wanted = {self.source, self.target}
        name = next((name for name, given in data.sets.items() if wanted <= set(given)), None)
        if name is None:
            raise InputError(
                f"no training set holds pairs of '{self.source}' and '{self.target}': name the "
                "method's modalities as the data does."
            )
        scenes = data.training_set(name)
        if len(scenes) < self.annotated:
            raise InputError(
                f"annotated is {self.annotated}, but the training set has {len(scenes)} pairs: "
                "give more pairs, or a smaller number."
            )
        x = scenes.fetch(range(self.annotated))
        images, ids = x[self.target], checked_ids(x[self.source], self.num_classes, self.source)
        side = self.generator.image_size
        if images.shape[2:] != (side, side):
            raise InputError(
                f"images have {images.shape[2]}x{images.shape[3]} pixels, and the source makes "
                f"{side}x{side}: give the data an image_size of {side}."
            )
        self._warn_of_missing(data, ids)
        return images.to(self.generator.w_avg), ids.to(self.device)

    def _warn_of_missing(self, data: TranslationData, ids: Tensor) -> None:
        """Say which classes no annotated image has: nothing is learned of them."""
        names = data.modalities[self.source].class_names or range(self.num_classes)
        missing = [str(name) for k, name in enumerate(names) if not (ids == k).any()]
        if missing:
            warn(
                f"none of the {self.annotated} annotated images has {', '.join(missing)}: the "
                "images of labels with them will not show them; annotate an image that does."
            )
