"""Measuring many translations of one input: diversity, where they change it, and bias."""

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_synth.contracts.data import Batch, HasTrueStyles, TranslationData, known_of
from lit_synth.contracts.translator import HasStyles, Translation, Translator
from lit_synth.evaluation.settings import EvaluationSettings
from lit_synth.evaluation.translation.bias import KEPT, Aim, BiasJudges, aim_of, own_verdict
from lit_synth.features.identity import IdentityEmbedding
from lit_synth.features.perceptual import PerceptualDistance
from lit_synth.inference.styled import Styled
from lit_synth.inference.styles import fixed_styles, styles_of
from lit_synth.metrics.diversity import (
    kept_difference,
    masked_mean,
    pairwise_distance,
    pixel_difference,
    shade_std,
)

IDENTITY, MEAN = "identity", "mean"  # groups of values
TRUE = "_true"  # ends the names of what was measured of true translations
_PAIRS = "pairs"  # until it is related to the truth
COPIES = 128  # inputs at most, whose copies tell what a method leaves on every image


class StyleMeasures:
    """Measures direct translations from images to images; see docs/evaluating-translations.md.

    Args:
        data: Data module of the images.
        n_styles: Number of styles of each input; they are the same for all inputs and translations,
            and for all methods whose styles have one length. A method without styles makes one
            translation of each.
        settings: How many items are used, and images translated at once; the seed of the styles.
        perceptual: Compares images.
        bias: Judges of the data's attributes; None: it has none.
        device: Device that the methods are on.
        identity: Tells whose face it is; None: nobody's.
    """

    def __init__(
        self,
        data: TranslationData,
        n_styles: int,
        settings: EvaluationSettings,
        perceptual: PerceptualDistance,
        bias: BiasJudges | None,
        device: torch.device,
        identity: IdentityEmbedding | None = None,
    ) -> None:
        self.data, self.n_styles, self.settings, self.device = data, n_styles, settings, device
        self.perceptual, self.bias = perceptual.to(device), bias
        self.identity = identity and identity.to(device)
        self._untranslated: dict[tuple[str, str], dict[str, float]] = {}
        self._allowed: dict[str, Batch] = {}

    @property
    def notes(self) -> list[str]:
        """Sentences for the card."""
        notes = [
            f"Styles: {self.n_styles} of each input, the same for all.",
            f"Diversity: {self.perceptual.name} ({self.perceptual.sha256[:12]}).",
            self.perceptual.note,
        ]
        if self.identity is not None:
            notes.append(f"Identity: {self.identity.name} ({self.identity.sha256[:12]}).")
        for name, allowed in self._allowed.items():
            limits = ", ".join(f"{limit} {float(value):.3f}" for limit, value in allowed.items())
            notes.append(f"Rule `free`, by {name}'s copies of inputs: {limits}.")
        return notes if self.bias is None else notes + self.bias.notes

    def prepare(self, method: Translator, split: str) -> None:
        """Train the judges, and measure once for each split what needs no translation."""
        ways = self._direct(method)
        new = [way for way in ways if (split, way.name) not in self._untranslated]
        found = {way.name: _Means() for way in new}
        for x, _ in self._batches(split, self.n_styles) if new else ():
            for way in new:
                given, known = x[way.sources[0]], known_of(self.data, x, way.sources[0])
                aim = self._aim(way, known)
                found[way.name].add(way.name, self._true(given, known, way, aim))
                if self.bias is not None and aim is not None:
                    self.bias.refuse_seen(given, aim)
                    left_alone = self.bias.measure(given[:, None], given, known, aim)
                    left_alone.pop(KEPT, None)
                    found[way.name].add(f"{IDENTITY}/{way.name}", left_alone)
        for name, means in found.items():
            self._untranslated[split, name] = means.values()

    def measure(self, method: Translator, split: str) -> dict[str, float]:
        """Return `<translation>/<metric>`, and `identity/<translation>/<metric>` of leaving it be.

        Args:
            method: Translates, in the mode and with the weights that it has.
            split: `val` or `test`.
        """
        self.prepare(method, split)
        styles, means = None, _Means()
        if isinstance(method, HasStyles):
            noise = fixed_styles(self.n_styles, method.style_dim, self.settings.seed)
            styles = styles_of(method, noise)
        allowed = self._calibrate(method, split, styles)
        for x, first in self._batches(split, 1 if styles is None else len(styles)):
            for way in self._direct(method):
                styled = Styled(method, x, way, list(self.data.modalities), styles, first)
                known = known_of(self.data, x, styled.source)
                aim = self._aim(way, known)
                means.add(way.name, self._made(styled, known, aim, allowed))
                if aim is not None:
                    left_alone = own_verdict(method, styled.given[:, None], aim)
                    means.add(f"{IDENTITY}/{way.name}", left_alone)
        values = means.values()
        for way in self._direct(method):
            values |= self._untranslated[split, way.name]
            _relate(values, way.name)
        return values

    def _calibrate(self, method: Translator, split: str, styles: Tensor | None) -> Batch:
        """Return what the data's rules are to allow for: what the method leaves on its copies."""
        if self.bias is None:
            return {}
        copies: list[Tensor] = []
        fields: list[Batch] = []
        ways = {way.sources: way for way in self._direct(method)}
        for x, first in self._batches(split, self.n_styles):
            if first >= COPIES:
                break
            for way in ways.values():
                styled = Styled(method, x, way, list(self.data.modalities), styles, first)
                if (same := styled.stay()) is not None:
                    copies.append(same.cpu())
                    fields.append(known_of(self.data, x, styled.source))
        if not copies:
            return {}
        names = set.intersection(*(set(known) for known in fields))
        together = {name: torch.cat([known[name].cpu() for known in fields]) for name in names}
        allowed = self.bias.data.calibrate(torch.cat(copies), together)
        if allowed:
            self._allowed[type(method).__name__] = allowed
        return allowed

    def _made(self, styled: Styled, known: Batch, aim: Aim | None, allowed: Batch) -> Batch:
        """Measure the translations of some inputs: name -> (N,)."""
        made, given = styled.made(), styled.given
        mask = _mask(known, styled.target, aim)
        values = self._diversity(made, mask)
        if mask is not None and made[:, 0].shape == given.shape:
            values |= _changes(styled, made, mask.to(given))
        if (again := styled.back(made)) is not None:
            values["cycle_l1"] = (again - given).abs().mean((1, 2, 3))
        if self.identity is not None:
            values |= _strangeness(self.identity, made, given, known)
        if self.bias is not None and aim is not None:
            values |= self.bias.measure(made, given, known, aim, allowed)
            values |= own_verdict(styled.method, made, aim)
        kept = values.pop(KEPT, None)
        if mask is not None and kept is not None:
            values[_PAIRS] = kept_difference(made, mask, kept)
        return values

    def _true(
        self, given: Tensor, known: Batch, translation: Translation, aim: Aim | None
    ) -> Batch:
        """Measure the true translations of some inputs, if they are known: name -> (N,)."""
        if not isinstance(self.data, HasTrueStyles):
            return {}
        true = self.data.true_styles(known, translation.target, self.n_styles)
        if true is None:
            return {}
        true, mask = true.to(given), _mask(known, translation.target, aim)
        found = self._diversity(true, mask)
        if mask is not None:
            found[_PAIRS] = kept_difference(true, mask, torch.ones(true.shape[:2]) == 1)
        return {f"{name}{TRUE}": values for name, values in found.items()}

    def _diversity(self, images: Tensor, mask: Tensor | None) -> Batch:
        """Measure how styles differ in images (N, S, C, H, W): name -> (N,)."""
        points = self.perceptual.embed(images.flatten(0, 1)).reshape(*images.shape[:2], -1)
        values = {"diversity": pairwise_distance(points)}
        if mask is not None:
            mask, difference = mask.to(images), pixel_difference(images)
            values["diversity_inside"] = masked_mean(difference, mask)
            values["diversity_outside"] = masked_mean(difference, 1 - mask)
            values["shade_std"] = shade_std(images, mask)
        return values

    def _aim(self, translation: Translation, known: Batch) -> Aim | None:
        return None if self.bias is None else aim_of(self.bias.data, translation, known)

    def _direct(self, method: Translator) -> list[Translation]:
        def is_image(name: str) -> bool:
            return self.data.modalities[name].kind == "image"

        ways = direct(method.translations())
        return [way for way in ways if all(map(is_image, (*way.sources, way.target)))]

    def _batches(self, split: str, n_styles: int) -> Iterator[tuple[Batch, int]]:
        """Yield inputs in order, images on the device, and the position of the first one."""
        scenes = self.data.split(split)
        n = min(len(scenes), self.settings.n_fake)
        size = max(1, self.settings.batch_size // n_styles)
        for start in range(0, n, size):
            x = scenes.fetch(range(start, min(start + size, n)))
            images = {name: x[name].to(self.device) for name in self.data.modalities if name in x}
            yield x | images, start


class _Means:
    """Gathers values of inputs by name."""

    def __init__(self) -> None:
        self.parts: dict[str, list[Tensor]] = {}

    def add(self, group: str, values: Batch) -> None:
        """Note `<group>/<name>`, values (N,) of N inputs each; NaN says that there is none."""
        for name, value in values.items():
            self.parts.setdefault(f"{group}/{name}", []).append(value.double().cpu())

    def values(self) -> dict[str, float]:
        """Return the means over all inputs that have a value, by name."""
        means = {name: float(torch.cat(parts).nanmean()) for name, parts in self.parts.items()}
        return {name: mean for name, mean in means.items() if mean == mean}


def direct(translations: list[Translation]) -> list[Translation]:
    """Return the translations of one modality to another, over no third one."""
    return [way for way in translations if len(way.sources) == len(way.route) == 1]


def over_translations(
    values: Mapping[str, float], translations: list[Translation]
) -> dict[str, float]:
    """Return `mean/<metric>` over all direct translations of which a metric was measured."""
    found: dict[str, list[float]] = {}
    for translation in direct(translations):
        start = f"{translation.name}/"
        for name, value in values.items():
            if name.startswith(start):
                found.setdefault(f"{MEAN}/{name.removeprefix(start)}", []).append(value)
    return {name: sum(parts) / len(parts) for name, parts in found.items()}


def _relate(values: dict[str, float], group: str) -> None:
    """Put the share of the true diversity in place of both diversities of which it is."""
    made, true = (values.pop(f"{group}/{name}", None) for name in (_PAIRS, f"{_PAIRS}{TRUE}"))
    if made is not None and true:
        values[f"{group}/diversity_kept"] = made / true


def _mask(known: Batch, target: str, aim: Aim | None) -> Tensor | None:
    """Return where a translation should change images, (N, 1, H, W) of 0 and 1, if it is known."""
    names = [target, *([] if aim is None else [aim.wanted.partition("=")[0]])]
    return next((known[n] for n in (*(f"mask_{n}" for n in names), "mask") if n in known), None)


def _changes(styled: Styled, made: Tensor, mask: Tensor) -> Batch:
    """Measure where translations (N, S, C, H, W) differ from the inputs: name -> (N,)."""
    change = (made - styled.given[:, None]).abs().mean((1, 2))[:, None]
    values = {"change_inside": masked_mean(change, mask)}
    values["change_outside"] = masked_mean(change, 1 - mask)
    if (same := styled.stay()) is not None:
        copying = (same - styled.given).abs().mean(1, keepdim=True)
        values["floor_outside"] = masked_mean(copying, 1 - mask)
        values["change_net"] = values["change_outside"] - values["floor_outside"]
    if (share := styled.attention()) is not None:
        values["attention_inside"] = masked_mean(share, mask)
        values["attention_outside"] = masked_mean(share, 1 - mask)
    return values


def _strangeness(identity: IdentityEmbedding, made: Tensor, given: Tensor, known: Batch) -> Batch:
    """Measure how far from the inputs' people translations are, and the next input's: (N,)."""
    points = identity.embed(given)
    others = identity.embed(made.flatten(0, 1)).reshape(*made.shape[:2], -1)
    values = {"identity_distance": 1 - F.cosine_similarity(others, points[:, None], dim=2).mean(1)}
    apart = 1 - F.cosine_similarity(points, points.roll(-1, 0))
    if "identity" in known:  # the next input may show the same person
        same = known["identity"] == known["identity"].roll(-1)
        apart = apart.masked_fill(same.to(apart.device), torch.nan)
    if len(given) > 1:
        values["identity_distance_others"] = apart
    return values
