"""All that is measured of methods that translate: each translation, styles, bias, other runs."""

from lit_synth.contracts.data import HasIdentities, HasJudges, HasPools, TranslationData
from lit_synth.contracts.translator import (
    HasAttention,
    HasStyles,
    Translator,
)
from lit_synth.errors import InputError
from lit_synth.evaluation.settings import EvaluationSettings
from lit_synth.evaluation.translation.bias import BiasJudges
from lit_synth.evaluation.translation.codes import measure_codes
from lit_synth.evaluation.translation.oracles import Oracles
from lit_synth.evaluation.translation.people import PeopleMeasures
from lit_synth.evaluation.translation.reverse import ReverseClassification
from lit_synth.evaluation.translation.scenes import SceneMeasures
from lit_synth.evaluation.translation.styles import MEAN, TRUE, StyleMeasures, over_translations
from lit_synth.features.choice import load_extractor
from lit_synth.features.identity import IdentityEmbedding, VGGFace, learned_identity
from lit_synth.features.perceptual import load_perceptual
from lit_synth.inference.loading import load_method
from lit_synth.method import Method
from lit_synth.metrics.card import Card
from lit_synth.runs.user_cache import cache_folder

BESIDE = "beside"  # group of values of other runs
STYLES = 8  # as in the released code of UDIT


class TranslationEvaluation:
    """Measures a method's translations, on scenes of a split of which all modalities are known.

    Each is measured by the kind of its target, `<translation>/<metric>`; beside it the alignment of
    the latents, the use of side information, `prior/<metric>`, what may be had without looking at
    the scene, and `oracle/<translation>/<metric>`, what a network reaches that is trained on pairs.
    Of translations between images in several styles, also how these differ, where they change an
    image, and what they should not have changed; beside it `identity/<translation>/<metric>` of
    leaving images alone, and `mean/<metric>` over all direct translations.

    Args:
        method: Translates.
        data: Data module of the scenes.
        settings: What is measured.
    """

    def __init__(self, method: Method, data: TranslationData, settings: EvaluationSettings) -> None:
        assert isinstance(method, Translator), "asked by the caller"
        self.data, self.method, self.settings = data, method, settings
        beside = settings.beside or {}
        self.others = {name: self._other(name, folder) for name, folder in beside.items()}
        self.styles = self._style_measures()
        self.people = PeopleMeasures(data, settings.segmenter)
        extractor = None
        if settings.metrics or settings.extractor is not None:
            extractor = load_extractor(settings.extractor or "auto").to(method.device)
        oracles = Oracles(data, settings.oracles, cache_folder())
        nothing_else = self.styles is None
        self.scenes = SceneMeasures(data, settings, extractor, oracles, nothing_else)

    def prepare(self, split: str) -> None:
        """Do what needs no translation, so that what cannot be measured is known early."""
        self.scenes.prepare(self.method, split)
        if self.styles is not None:
            self.styles.prepare(self.method, split)

    def measure(self, split: str, testing: bool, last: bool) -> dict[str, float]:
        """Return the values of the method, in the mode and with the weights that it has.

        Args:
            split: `val` or `test`.
            testing: Measure the time of a translation and, if that was asked for, `reverse/...`?
            last: Measure the other runs too?
        """
        values = self._measured(self.method, split, testing)
        if testing and self.settings.reverse is not None:
            reverse = ReverseClassification(
                self.data, self.settings.reverse, self.settings, cache_folder()
            )
            values |= reverse.measure(self.method, self.method.device)
        return values | self._of_others(split) if last else values

    def card(self, split: str, origin: str) -> Card:
        """Return the card of what was measured on a split, `origin` being the weights'."""
        notes = [] if self.styles is None else self.styles.notes
        return self.scenes.card(split, " ".join([origin, *notes]))

    def _measured(self, method: Translator, split: str, testing: bool) -> dict[str, float]:
        self.scenes.prepare(method, split)
        values = self.scenes.measure(method, split, testing)
        if _scored(method, self.data):
            values |= self.people.measure(method, split)
        values |= measure_codes(method, self.data, split, self.settings)
        if self.styles is not None:
            values |= self.styles.measure(method, split)
            values |= over_translations(values, method.translations())
        return values

    def _of_others(self, split: str) -> dict[str, float]:
        """Return `beside/<name>/<translation>/<metric>` of the other runs."""
        found: dict[str, float] = {}
        for name, other in self.others.items():
            groups = {MEAN, *(translation.name for translation in other.translations())}
            for key, value in self._measured(other, split, testing=False).items():
                if key.split("/")[0] in groups and not key.endswith(TRUE):
                    found[f"{BESIDE}/{name}/{key}"] = value
        return found

    def _other(self, name: str, release: str) -> Translator:
        other = load_method(release)
        if not isinstance(other, Translator):
            raise InputError(
                f"evaluate.beside.{name} is a {type(other).__name__}, which translates "
                "nothing: give the release of a method that does."
            )
        return other.to(self.method.device)

    def _style_measures(self) -> StyleMeasures | None:
        """Return what measures styles, unless nothing of this kind is to be measured."""
        settings, n_styles = self.settings, self.settings.styles
        if n_styles is None:
            biased = isinstance(self.data, HasJudges) and len(self.data.unwanted) > 0
            has_any = isinstance(self.method, HasStyles | HasAttention)
            n_styles = STYLES if biased or has_any else 0
        if n_styles == 0:
            return None
        bias = None
        if isinstance(self.data, HasJudges):
            bias = BiasJudges(self.data, cache_folder(), settings.judge_iterations)
        return StyleMeasures(
            self.data,
            n_styles,
            settings,
            load_perceptual(settings.perceptual),
            bias,
            self.method.device,
            self._identity(),
        )

    def _identity(self) -> IdentityEmbedding | None:
        if self.settings.identity is not None:
            return VGGFace(self.settings.identity)
        if isinstance(self.data, HasIdentities) and (photos := self.data.identity_set()):
            return learned_identity(*photos, cache_folder())
        return None


def _scored(method: Translator, data: TranslationData) -> bool:
    """Tell whether a method makes grey images of people, which OpenEDS scores, of masks."""
    ways = method.translations()
    if not isinstance(data, HasPools) or len(ways) != 1 or len(ways[0].sources) != 1:
        return False
    source, target = data.modalities[ways[0].sources[0]], data.modalities[ways[0].target]
    return source.kind == "labels" and (target.kind, target.channels) == ("image", 1)
