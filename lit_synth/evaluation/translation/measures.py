"""All that is measured of methods that translate: each translation, styles, bias, other runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lit_synth.contracts.data import HasIdentities, HasJudges, TranslationData
from lit_synth.contracts.translator import HasAttention, HasStyles, Translator
from lit_synth.errors import InputError
from lit_synth.evaluation.translation.bias import BiasJudges
from lit_synth.evaluation.translation.oracles import Oracles, Oracle
from lit_synth.evaluation.translation.reverse import ReverseJudge
from lit_synth.evaluation.translation.scenes import TranslationJudge
from lit_synth.evaluation.translation.styles import MEAN, TRUE, StyleJudge, over_translations
from lit_synth.features.choice import load_extractor
from lit_synth.features.identity import IdentityEmbedding, VGGFace, learned_identity
from lit_synth.features.perceptual import load_perceptual
from lit_synth.inference.loading import load_method
from lit_synth.method import Method
from lit_synth.metrics.card import Card
from lit_synth.releases.cache import cache_folder

BESIDE = "beside"  # group of values of other runs
STYLES = 8  # as in the released code of UDIT


@dataclass(frozen=True)
class Asked:
    """What `Evaluate` was asked to measure of translations; its arguments of the same names."""

    n_fake: int
    batch_size: int
    metrics: Sequence[str]
    extractor: str | None
    seed: int
    batch_statistics: bool
    oracles: list[Oracle]
    styles: int | None
    perceptual: str | None
    identity: str | None
    beside: Mapping[str, str]
    reverse: int | None
    judge_iterations: int


class TranslationMeasures:
    """Measures a method's translations with judges that are made once.

    Args:
        data: Where the scenes come from.
        method: What is measured.
        asked: What of it.
    """

    def __init__(self, data: TranslationData, method: Method, asked: Asked) -> None:
        assert isinstance(method, Translator), "asked by the caller"
        self.data, self.method, self.asked = data, method, asked
        self.others = {name: self._other(name, folder) for name, folder in asked.beside.items()}
        self.styles = self._style_judge()
        extractor = None
        if asked.metrics or asked.extractor is not None:
            extractor = load_extractor(asked.extractor or "auto").to(method.device)
        self.translations = TranslationJudge(
            data,
            asked.metrics,
            extractor,
            most=asked.n_fake,
            batch_size=asked.batch_size,
            batch_statistics=asked.batch_statistics,
            seed=asked.seed,
            oracles=Oracles(data, asked.oracles, cache_folder()),
            otherwise=self.styles is not None,
        )

    def prepare(self, split: str) -> None:
        """Do what needs no translation, so that what cannot be measured is known early."""
        for judge in (self.translations, self.styles):
            if judge is not None:
                judge.prepare(self.method, split)

    def measure(self, split: str, testing: bool) -> dict[str, float]:
        """Return the values of the method, in the mode and with the weights that it has.

        Args:
            split: `val` or `test`.
            testing: Also measure time, and by `reverse` if that was asked for?
        """
        values = self._measured(self.method, split, testing)
        asked = self.asked
        if testing and asked.reverse is not None:
            reverse = ReverseJudge(
                self.data,
                asked.reverse,
                asked.batch_size,
                asked.seed,
                cache_folder(),
                asked.judge_iterations,
            )
            values |= reverse.measure(self.method, self.method.device)
        return values

    def measure_others(self, split: str) -> dict[str, float]:
        """Return `beside/<name>/<translation>/<metric>` of the other runs."""
        found: dict[str, float] = {}
        for name, other in self.others.items():
            groups = {MEAN, *(each.name for each in other.translations())}
            for key, value in self._measured(other, split, testing=False).items():
                if key.split("/")[0] in groups and not key.endswith(TRUE):
                    found[f"{BESIDE}/{name}/{key}"] = value
        return found

    def card(self, split: str, origin: str) -> Card:
        """Return the card of what is measured on a split, `origin` being the weights'."""
        notes = [] if self.styles is None else self.styles.notes
        return self.translations.card(split, " ".join([origin, *notes]))

    def _measured(self, method: Translator, split: str, testing: bool) -> dict[str, float]:
        self.translations.prepare(method, split)
        values = self.translations.measure(method, split, testing)
        if self.styles is not None:
            values |= self.styles.measure(method, split)
            values |= over_translations(values, method.translations())
        return values

    def _other(self, name: str, release: str) -> Translator:
        other = load_method(release)
        if not isinstance(other, Translator):
            raise InputError(
                f"evaluate.beside.{name} is a {type(other).__name__}, which translates "
                "nothing: give the release of a method that does."
            )
        return other.to(self.method.device)

    def _style_judge(self) -> StyleJudge | None:
        """Return the judge of styles, unless nothing of this kind is to be measured."""
        asked, n_styles = self.asked, self.asked.styles
        if n_styles is None:
            biased = isinstance(self.data, HasJudges) and len(self.data.unwanted) > 0
            has_any = isinstance(self.method, HasStyles | HasAttention)
            n_styles = STYLES if biased or has_any else 0
        if n_styles == 0:
            return None
        bias = None
        if isinstance(self.data, HasJudges):
            bias = BiasJudges(self.data, cache_folder(), asked.judge_iterations)
        return StyleJudge(
            self.data,
            n_styles,
            most=asked.n_fake,
            batch_size=asked.batch_size,
            seed=asked.seed,
            perceptual=load_perceptual(asked.perceptual),
            bias=bias,
            device=self.method.device,
            identity=self._identity(),
        )

    def _identity(self) -> IdentityEmbedding | None:
        if self.asked.identity is not None:
            return VGGFace(self.asked.identity)
        if isinstance(self.data, HasIdentities) and (photos := self.data.identity_set()):
            return learned_identity(*photos, cache_folder())
        return None
