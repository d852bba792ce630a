"""Mix-and-Match Networks: translate what was never paired (Wang et al. 2018, arXiv:1804.02199)."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.batches.coding import Coding
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.losses.adversarial import lsgan_discriminator_loss, lsgan_generator_loss
from lit_synth.method import Method
from lit_synth.networks.parts.codes import Code, join_codes, split_code
from lit_synth.releases.format import load_release
from lit_synth.stages import Stage, check_weights

Of = tuple[str, str]  # a training set, and one of its modalities
Data = dict[Of, Tensor]
Codes = dict[Of, Code]
Outputs = dict[tuple[Of, Of], Tensor]  # by source and target
TERMS = ("adversarial", "autoencoder", "latent", "noise", "pseudo_pairs")


@dataclass
class Modality:
    """A modality and its networks.

    Attributes:
        coding: How its data enters and leaves networks, and the loss of its reconstruction.
        encoder: Maps network inputs (N, channels, H, W) to a `Code`.
        decoder: Maps a `Code` of any encoder to (N, channels, H, W); whether it takes pooling
            indices, skip connections or neither is its own setting.
        discriminator: Maps data of this modality, an image, to realness; None: not adversarial.
    """

    coding: Coding
    encoder: nn.Module
    decoder: nn.Module
    discriminator: nn.Module | None = None


class MMNets(Method):
    """Train an encoder f_m and a decoder g_m for each modality m so that any two of them fit.

    The training sets pair an anchor modality (RGB) with others, on disjoint scenes. g_b o f_a is
    trained where a set has a and b (seen translations), and used for all a and b. What makes the
    unseen ones work: autoencoders, latents of a pair drawn together, and noise on the latents that
    decoders get. Pseudo-pairs then train unseen translations on what the seen ones say of the
    anchor's image in the same scene.

    Weights of a stage: each modality's name (of the reconstructions of that modality),
    `adversarial`, `autoencoder` (a factor on reconstructions of a modality from itself), `latent`,
    `noise` (its standard deviation), `pseudo_pairs`. A term without a weight is not computed.

    Follows the thesis, chapter 4, with its pseudo-pairs (section 4.5.2). Deviations: norms written
    ||.||_2 are mean squares, as in the released code; noise is Gaussian on every latent that is
    decoded; discriminators end in one channel and step as often as the rest, their loss not halved;
    a decoder's batch norm sees the latents of all sources at once; pseudo-labels come from decoders
    in eval mode and without noise, with the anchor's own side information, and get no gradient.

    Args:
        modalities: Name -> its coding and networks.
        anchor: The modality that is in every training set.
        stages: Usually `translations`; `alignment`, which freezes the anchor's encoder; and
            `pseudo_pairs` at a tenth of the learning rate.
        align_levels: Deepest pools whose outputs are drawn together: 1 is the bottleneck alone
            (thesis), 3 the released code's choice for five pools.
        soft_labels: Are pseudo-labels of classes probabilities instead of the likeliest class?
        fusion: Modality -> weight of its latent where several are given (thesis: .8 and .2); None:
            .8 for the anchor, the rest in equal parts. The anchor's side information is used.
        also: Names of translations shown and measured besides all pairs: cascades such as
            `depth_to_rgb_to_segmentation`, fusions such as `rgb+depth_to_segmentation`.
        start: A release of this method whose encoders and decoders are taken over; None: none.
        lr: Adam learning rate of all networks.
        betas: Adam's decay rates.
    """

    def __init__(
        self,
        modalities: dict[str, Modality],
        anchor: str,
        stages: list[Stage],
        align_levels: int = 1,
        soft_labels: bool = False,
        fusion: dict[str, float] | None = None,
        also: list[str] = [],  # noqa: B006  never mutated; jsonargparse shows it in the help
        start: str | None = None,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__(stages)
        check_modalities(modalities, anchor, stages)
        self.codings = {name: each.coding for name, each in modalities.items()}
        self.encoders = nn.ModuleDict({name: m.encoder for name, m in modalities.items()})
        self.decoders = nn.ModuleDict({name: m.decoder for name, m in modalities.items()})
        self.discriminators = nn.ModuleDict(
            {name: m.discriminator for name, m in modalities.items() if m.discriminator}
        )
        self.to(memory_format=torch.channels_last)
        self.anchor, self.align_levels, self.soft_labels = anchor, align_levels, soft_labels
        others = [name for name in modalities if name != anchor]
        self.fusion = fusion or {anchor: 0.8, **{name: 0.2 / len(others) for name in others}}
        self.also = [self.checked(Translation.parse(name)) for name in also]
        self.lr, self.betas = lr, betas
        if start is not None:
            self.start_from(start)

    @classmethod
    def players_at(cls, iteration: int, stage: Stage, settings: Mapping[str, Any]) -> list[str]:  # noqa: ARG003 - at any iteration
        return ["critic", "generator"] if "adversarial" in stage.weights else ["generator"]

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        translators = nn.ModuleList([self.encoders, self.decoders])
        players = [translators, self.discriminators] if self.discriminators else [translators]
        return [
            torch.optim.Adam(player.parameters(), self.lr, betas=self.betas, fused=True)
            for player in players
        ]

    def on_fit_start(self) -> None:
        data = self.trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it elsewhere
        if data is not None:
            check_sets(data.sets, self.codings, self.anchor)

    def training_step(self, batch: dict[str, dict[str, Tensor]]) -> None:
        x = {(s, m): batch[s][m] for s in batch for m in batch[s] if m in self.codings}
        opt_g, *opt_d = self.optimizers()

        # Encode every modality of every set, and decode its code into the set's modalities.
        codes = self.encode(x)
        y = self.decode(self.noisy(codes), self.seen(x))

        # Discriminators: tell real images from translations to images (LSGAN, section 4.4.3).
        if self.is_adversarial:
            with self.toggled_optimizer(opt_d[0]):
                d_adv = self.d_adversarial(x, y)
                self.minimize(d_adv, opt_d[0])
            self.track(d_adv=d_adv)

        # Encoders and decoders: everything at once (section 4.4.3).
        with self.toggled_optimizer(opt_g):
            self.minimize(self.objective(x, codes, y), opt_g)

    def objective(self, x: Data, codes: Codes, y: Outputs) -> Tensor:
        """Return what encoders and decoders minimise (section 4.4.3), by the stage's weights.

        Args:
            x: Data by (set, modality).
            codes: Of the data, without noise.
            y: Outputs for seen translations of the noisy codes.
        """
        w = self.stage.weights
        terms = self.reconstructions(x, y)

        # Draw the latents of one scene together (eq. 4.9 to 4.11).
        if "latent" in w:
            terms["latent"] = w["latent"], self.latent_distance(codes)

        # Fool the discriminators (section 4.4.3).
        if self.is_adversarial:
            terms["g_adv"] = w["adversarial"], self.g_adversarial(y)

        # Unseen translations: agree with the anchor's image of the scene (eq. 4.12, 4.13).
        if "pseudo_pairs" in w:
            terms["pseudo_pairs"] = w["pseudo_pairs"], self.pseudo_pairs(codes)

        self.track(**{name: term for name, (_, term) in terms.items()})
        return torch.stack([weight * term for weight, term in terms.values()]).sum()

    def reconstructions(self, x: Data, y: Outputs) -> dict[str, tuple[float, Tensor]]:
        """Return weight and loss of b made from a, for all a and b of which there are outputs.

        L2 for images (eq. 4.1 to 4.3), berHu for depth (4.4 to 4.6), cross-entropy for labels (4.7,
        4.8), each a mean over all sets that have both.
        """
        w = self.stage.weights
        terms = {}
        for (a, b), (made, true) in by_modality(y, x).items():
            weight = w.get(b, 0.0) * (w["autoencoder"] if a == b else 1.0)
            terms[f"rec_{a}_{b}"] = weight, self.codings[b].reconstruction(made, true)
        return terms

    def seen(self, x: Data) -> list[tuple[Of, Of]]:
        """Return source and target of all translations within sets, autoencoders if they train."""
        autoencode = "autoencoder" in self.stage.weights
        return [(a, b) for a in x for b in x if a[0] == b[0] and (a != b or autoencode)]

    @property
    def is_adversarial(self) -> bool:
        """Do discriminators play in this stage?"""
        return len(self.discriminators) > 0 and "adversarial" in self.stage.weights

    # Encoding and decoding: each network once over all that it is wanted for.

    def encode(self, x: Data) -> Codes:
        """Return the code of every modality of every set."""
        codes: Codes = {}
        for name, coding in self.codings.items():
            keys = [key for key in x if key[1] == name]
            if keys:
                code = self.encoders[name](coding.encode(torch.cat([x[key] for key in keys])))
                parts = split_code(code, [len(x[key]) for key in keys])
                codes |= dict(zip(keys, parts, strict=True))
        return codes

    def decode(self, codes: Codes, wanted: list[tuple[Of, Of]]) -> Outputs:
        """Return network outputs for pairs of a code's key and a target (set, modality)."""
        made: Outputs = {}
        for name in self.codings:
            pairs = [pair for pair in wanted if pair[1][1] == name]
            if pairs:
                some = [codes[source] for source, _ in pairs]
                y = self.decoders[name](join_codes(some)).split([len(code.h) for code in some])
                made |= dict(zip(pairs, y, strict=True))
        return made

    def noisy(self, codes: Codes) -> Codes:
        """Return the codes with the stage's Gaussian noise on their latents."""
        std = self.stage.weights.get("noise", 0.0)
        if not std:
            return codes
        return {
            key: code._replace(h=code.h + std * self.randn(*code.h.shape))
            for key, code in codes.items()
        }

    # Losses.

    def d_adversarial(self, x: Data, y: Outputs) -> Tensor:
        """Return the discriminators' loss of real images and of made ones (section 4.4.3).

        They are judged apart: a norm may couple images, and `g_adversarial` asks about made ones.
        """
        losses = []
        for name, discriminator in self.discriminators.items():
            real = torch.cat([each for (_, modality), each in x.items() if modality == name])
            fake = made_of(name, y).detach()
            losses.append(lsgan_discriminator_loss(discriminator(real), discriminator(fake)))
        return torch.stack(losses).sum()

    def g_adversarial(self, y: Outputs) -> Tensor:
        """Return the loss of made images that are to look real (section 4.4.3)."""
        losses = [
            lsgan_generator_loss(discriminator(made_of(name, y)))
            for name, discriminator in self.discriminators.items()
        ]
        return torch.stack(losses).sum()

    def latent_distance(self, codes: Codes) -> Tensor:
        """Return the mean squared distance of latents to the anchor's, summed over modalities."""
        distances = [
            F.mse_loss(ours.float(), anchors.float())
            for (s, m), code in codes.items()
            if m != self.anchor
            for ours, anchors in zip(
                self.pooled(code), self.pooled(codes[s, self.anchor]), strict=True
            )
        ]
        return torch.stack(distances).sum()

    def pooled(self, code: Code) -> list[Tensor]:
        """Return the outputs of the deepest pools, the bottleneck last."""
        inner = code.skips[len(code.skips) - self.align_levels : -1]
        return [*(F.max_pool2d(features, 2) for features in inner), code.h]

    def pseudo_pairs(self, codes: Codes) -> Tensor:
        """Return the loss of unseen translations, with pseudo-labels from the anchor's codes."""
        sets = {s: [m for t, m in codes if t == s] for s, _ in codes}
        missing = {s: [m for m in self.codings if m not in has] for s, has in sets.items()}
        labels = self.labels({s: codes[s, self.anchor] for s in sets}, missing)
        wanted = [
            ((s, m), (s, unseen)) for s, m in codes if m != self.anchor for unseen in missing[s]
        ]
        made = self.decode(codes, wanted)
        losses = [self.agreement(made[pair], labels[pair[1]], pair[1][1]) for pair in wanted]
        return torch.stack(losses).sum()

    @torch.no_grad()
    def labels(self, anchors: dict[str, Code], wanted: dict[str, list[str]]) -> Data:
        """Return what the anchor's codes say of the modalities that their sets lack."""
        was_training = {name: net.training for name, net in self.decoders.items()}
        self.decoders.eval()
        made = {
            (s, name): self.decoders[name](code)
            for s, code in anchors.items()
            for name in wanted[s]
        }
        for name, training in was_training.items():
            self.decoders[name].train(training)
        return made

    def agreement(self, y: Tensor, label: Tensor, name: str) -> Tensor:
        """Return the loss of outputs `y` against pseudo-labels, both (N, channels, H, W)."""
        coding = self.codings[name]
        if coding.kind == "labels" and self.soft_labels:
            return F.cross_entropy(y.float(), label.float().softmax(dim=1))
        return coding.reconstruction(y, coding.decode(label))

    # What it is for.

    def translations(self) -> list[Translation]:
        pairs = [Translation((a,), (b,)) for a, b in permutations(self.codings, 2)]
        return [*pairs, *self.also]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        self.checked(translation)
        code = self.fuse(
            {m: self.encoders[m](self.codings[m].encode(x[m])) for m in translation.sources}
        )
        for name in translation.route[:-1]:
            made = self.codings[name].decode(self.decoders[name](code))
            code = self.encoders[name](self.codings[name].encode(made))
        return self.codings[translation.target].decode(self.decoders[translation.target](code))

    def fuse(self, codes: dict[str, Code]) -> Code:
        """Return one code: the weighted mean of the latents, the anchor's side information."""
        first = codes[self.anchor] if self.anchor in codes else next(iter(codes.values()))
        total = sum(self.fusion[name] for name in codes)
        h = torch.stack([self.fusion[name] / total * code.h for name, code in codes.items()])
        return first._replace(h=h.sum(dim=0))

    @torch.no_grad()
    def swap(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        """Return a direct translation made with the side information of the batch's next scene."""
        (source,) = translation.sources
        code = self.encoders[source](self.codings[source].encode(x[source]))
        others = Code(
            code.h,
            [indices.roll(1, dims=0) for indices in code.indices],
            [skip.roll(1, dims=0) for skip in code.skips],
        )
        return self.codings[translation.target].decode(self.decoders[translation.target](others))

    @torch.no_grad()
    def latents(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: self.encoders[name](coding.encode(x[name])).h
            for name, coding in self.codings.items()
            if name in x
        }

    def checked(self, translation: Translation) -> Translation:
        """Return the translation, or raise InputError if a modality of it is not known here."""
        for name in (*translation.sources, *translation.route):
            if name not in self.codings:
                raise InputError(
                    f"there is no modality '{name}' to translate: the method has "
                    f"{', '.join(self.codings)}."
                )
        return translation

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return `encoder_<modality>`, `decoder_<modality>`, and the number of their parameters."""
        networks: dict[str, nn.Module] = {f"encoder_{m}": e for m, e in self.encoders.items()}
        networks |= {f"decoder_{m}": d for m, d in self.decoders.items()}
        counts = [p.numel() for network in networks.values() for p in network.parameters()]
        return networks, {"parameters": sum(counts)}

    def released_settings(self) -> dict[str, Any]:
        return {"start": None}

    def start_from(self, source: str) -> None:
        """Take the weights of encoders and decoders over from a release of this method."""
        release = load_release(source)
        for kind, networks in (("encoder", self.encoders), ("decoder", self.decoders)):
            for name, network in networks.items():
                network.load_state_dict(release.network(f"{kind}_{name}").state_dict())


def by_modality(y: Outputs, x: Data) -> dict[tuple[str, str], tuple[Tensor, Tensor]]:
    """Return outputs and the data that they are for, by source and target, over all sets."""
    keys: dict[tuple[str, str], list[tuple[Of, Of]]] = {}
    for source, target in y:
        keys.setdefault((source[1], target[1]), []).append((source, target))
    return {
        pair: (torch.cat([y[k] for k in ks]), torch.cat([x[target] for _, target in ks]))
        for pair, ks in keys.items()
    }


def made_of(name: str, y: Outputs) -> Tensor:
    """Return all outputs of one modality."""
    return torch.cat([made for (_, target), made in y.items() if target[1] == name])


def check_modalities(modalities: dict[str, Modality], anchor: str, stages: list[Stage]) -> None:
    """Raise InputError unless names, anchor and the stages' weights fit together."""
    if anchor not in modalities:
        raise InputError(
            f"the anchor is '{anchor}', which is not among the modalities {', '.join(modalities)}."
        )
    if taken := sorted(set(modalities) & set(TERMS)):
        raise InputError(f"a modality is called '{taken[0]}', which is a loss term: rename it.")
    for name, modality in modalities.items():
        if modality.discriminator is not None and modality.coding.kind != "image":
            raise InputError(f"'{name}' has a discriminator, but only images can be judged.")
    check_weights(stages, [*modalities, *TERMS])


def check_sets(sets: dict[str, list[str]], codings: dict[str, Coding], anchor: str) -> None:
    """Raise InputError unless every modality can be trained on the sets of the data."""
    for name, members in sets.items():
        if anchor not in members:
            raise InputError(
                f"the training set '{name}' ({', '.join(members)}) lacks the anchor '{anchor}': "
                "every set needs it."
            )
        if unknown := [m for m in members if m not in codings]:
            raise InputError(
                f"the training set '{name}' has the modality '{unknown[0]}', for which the method "
                "has no encoder and decoder: declare it in modalities, or leave it out of sets."
            )
    for name in codings:
        if not any(name in members for members in sets.values()):
            raise InputError(
                f"the modality '{name}' is in no training set, so nothing would train its encoder "
                "and decoder: add it to a set, or remove it from modalities."
            )
