"""Measuring translations on scenes of which every modality is known."""

import time
from collections.abc import Iterator, Sequence

from torch import Tensor

from lit_synth.contracts.data import Batch, Scenes, TranslationData
from lit_synth.contracts.translator import (
    HasLatents,
    HasSideInformation,
    HasStyles,
    Translation,
    Translator,
)
from lit_synth.errors import InputError
from lit_synth.evaluation.extractors import features_of
from lit_synth.evaluation.settings import EvaluationSettings
from lit_synth.evaluation.translation.batch_norm import batch_statistics, device_of
from lit_synth.evaluation.translation.latents import Latents
from lit_synth.evaluation.translation.oracles import Oracles
from lit_synth.evaluation.translation.prior import CHUNK, SCENES, priors
from lit_synth.evaluation.translation.tally import Tally, compare, meter_of
from lit_synth.features.base import Extractor, Features
from lit_synth.inference.ask import latents, swap, translate
from lit_synth.inference.styles import STYLE, fixed_styles, styles_of
from lit_synth.metrics.by_kind import Meter
from lit_synth.metrics.card import Card, caution
from lit_synth.metrics.suite import OF_TWO_SETS, measure


class SceneMeasures:
    """Measures all translations of a method.

    Args:
        data: Data module of the scenes.
        settings: What is measured; its `metrics` are names of `OF_TWO_SETS`.
        extractor: Extractor whose features these compare; a classifier also judges the class of
            images. None if there is nothing of this kind to measure.
        oracles: Networks that are measured beside them.
        nothing_else: Is nothing else measured of them, so that nothing here is an error?
    """

    def __init__(
        self,
        data: TranslationData,
        settings: EvaluationSettings,
        extractor: Extractor | None,
        oracles: Oracles,
        nothing_else: bool,
    ) -> None:
        self.data, self.settings = data, settings
        self.extractor, self.oracles = extractor, oracles
        self._real: dict[tuple[str, str], Features] = {}
        self._constants: dict[str, Tensor] | None = None
        self._of_prior: dict[str, dict[str, float]] = {}
        self._of_oracles: dict[str, dict[str, float]] = {}
        if unknown := [name for name in settings.metrics if name not in OF_TWO_SETS]:
            raise InputError(
                f"evaluate.metrics names '{unknown[0]}', which is not measured of translations: "
                f"choose among {', '.join(OF_TWO_SETS)}, or [] for none of them."
            )
        if not data.aligned and extractor is None and nothing_else:
            raise InputError(
                "there is nothing to measure: the data's modalities do not show the same scenes, "
                "and evaluate.metrics names nothing; name fid or kid there, or set "
                "evaluate.every_n_iterations to null."
            )

    def prepare(self, method: Translator, split: str) -> None:
        """Read and look at what needs no translation, so that what is missing is known early."""
        for translation in method.translations():
            for name in (*translation.sources, *translation.route):
                if name not in self.data.modalities:
                    raise InputError(
                        f"the method translates '{name}', but the data has "
                        f"{', '.join(self.data.modalities)}: give both the same modalities."
                    )
            if self.settings.metrics and self.data.modalities[translation.target].kind == "image":
                self._features_of(split, translation)
        self.oracles.train(split, device_of(method))

    def card(self, split: str, origin: str) -> Card:
        """Return the card of what is measured on a split, `origin` being the weights'."""
        scenes, n = self.data.split(split), self._count(split)
        at_once = min(self.settings.batch_size, n)
        notes = [origin, f"Scenes in order, translated {at_once} at a time."]
        if self.settings.batch_statistics:
            notes.append("@batch: with batch norm's statistics of each of these batches.")
        if self.data.aligned:
            notes.append(
                "prior: the most frequent class or the median depth at each pixel of up to "
                f"{SCENES} scenes of every training set."
            )
        notes += [*caution(n), *self.oracles.notes]
        note, facts = " ".join(notes), (n, n, split, self.settings.seed, scenes.sha256)
        if self.extractor is None:
            return Card("none", "no weights", "none", *facts, note=note)
        return Card.of(self.extractor, *facts, note=note)

    def measure(self, method: Translator, split: str, timed: bool) -> dict[str, float]:
        """Return all values: `<translation>/<metric>`, `alignment/...`, `oracle/...`, `prior/...`.

        Args:
            method: Translates, in the mode and with the weights that it has.
            split: `val` or `test`.
            timed: Return `<translation>/ms_per_image` too?
        """
        tallies, with_batches = self._tallies(method), self._tallies(method)
        swapped, found = self._swapped(method), Latents()
        for x, kept in self._batches(method, split):
            _translate_all(method, x, kept, tallies)
            if self.settings.batch_statistics:
                with batch_statistics(method):
                    _translate_all(method, x, kept, with_batches)
            if isinstance(method, HasSideInformation):
                for translation, its_meter in swapped.items():
                    compare(its_meter, translation, swap(method, x, translation), x, kept)
            if isinstance(method, HasLatents) and self.data.aligned:
                found.add(latents(method, x), kept)
        values: dict[str, float] = {}
        for name, tally in tallies.items():
            values |= _named(name, self._values(tally, split))
            if timed:
                values[f"{name}/ms_per_image"] = tally.ms_per_image
        if self.settings.batch_statistics:
            for name, tally in with_batches.items():
                values |= _named(f"{name}@batch", self._values(tally, split))
        for translation, its_meter in swapped.items():
            values |= _named(f"swap/{translation.name}", its_meter.values())
        return values | found.values() | self._oracle(method, split) | self._prior(split)

    # What is noted.

    def _tallies(self, method: Translator) -> dict[str, Tally]:
        kinds = self.data.modalities
        return {
            way.name: Tally(way, kinds[way.target], self.data.aligned, self.extractor)
            for way in method.translations()
        }

    def _swapped(self, method: Translator) -> dict[Translation, Meter]:
        """Return a meter for each direct translation that side information could spoil."""
        if not (isinstance(method, HasSideInformation) and self.data.aligned):
            return {}
        targets = {way: self.data.modalities[way.target] for way in method.translations()}
        return {
            way: meter_of(target)
            for way, target in targets.items()
            if len(way.route) == len(way.sources) == 1 and target.kind != "image"
        }

    def _values(self, tally: Tally, split: str) -> dict[str, float]:
        values = tally.values()
        if self.settings.metrics and tally.extractor is not None:
            real = self._features_of(split, tally.translation)
            values |= measure(real, tally.features, self.settings.metrics, seed=self.settings.seed)
        return values

    # What it is compared with.

    def _features_of(self, split: str, translation: Translation) -> Features:
        """Return the features of a split's images in the target: computed once.

        Where items do not show it, as photographs with an attribute changed, those in the source.
        """
        shown = translation.target in self.data.split(split).fetch([0])
        name = translation.target if shown else translation.sources[0]
        if (split, name) not in self._real:
            assert self.extractor is not None, "made for the metrics that ask"
            images = _OneModality(self.data.split(split), name, self._count(split))
            self._real[split, name] = features_of(self.extractor, images, unseen=True)
        return self._real[split, name]

    def _oracle(self, method: Translator, split: str) -> dict[str, float]:
        """Measure the oracles as the translations: once for each split."""
        if split not in self._of_oracles:
            self._of_oracles[split] = {}
            for tally in self.oracles.tallies(
                split,
                self._count(split),
                self.settings.batch_size,
                device_of(method),
                self.extractor,
            ):
                name = f"oracle/{tally.translation.name}"
                self._of_oracles[split] |= _named(name, self._values(tally, split))
        return self._of_oracles[split]

    def _prior(self, split: str) -> dict[str, float]:
        """Measure what says the same of every scene: once for each split."""
        if not self.data.aligned:
            return {}
        if self._constants is None:
            self._constants = priors(self.data)
        if split not in self._of_prior:
            self._of_prior[split] = self._measure_constants(self._constants, split)
        return self._of_prior[split]

    def _measure_constants(self, constants: dict[str, Tensor], split: str) -> dict[str, float]:
        scenes, n = self.data.split(split), self._count(split)
        meters = {name: meter_of(self.data.modalities[name]) for name in constants}
        for start in range(0, n, CHUNK):
            x = scenes.fetch(range(start, min(start + CHUNK, n)))
            for name, constant in constants.items():
                meters[name].update(constant.expand_as(x[name]), x[name])
        kinds = [self.data.modalities[name].kind for name in constants]
        values: dict[str, float] = {}
        for name, kind in zip(constants, kinds, strict=True):
            group = "prior" if kinds.count(kind) == 1 else f"prior_{name}"
            values |= _named(group, meters[name].values())
        return values

    # Scenes.

    def _count(self, split: str) -> int:
        return min(len(self.data.split(split)), self.settings.n_fake)

    def _batches(self, method: Translator, split: str) -> Iterator[tuple[Batch, int]]:
        """Yield batches of one size in order, and how many scenes of each count.

        The last one is filled with the first scenes, so that statistics of batches compare.
        """
        scenes, n = self.data.split(split), self._count(split)
        device = device_of(method)
        size = min(self.settings.batch_size, n)
        for start in range(0, n, size):
            positions = [(start + i) % n for i in range(size)]
            x = {name: value.to(device) for name, value in scenes.fetch(positions).items()}
            if isinstance(method, HasStyles):
                # One for each scene, all different, and the same in every evaluation.
                noise = fixed_styles(n, method.style_dim, self.settings.seed)
                x[STYLE] = styles_of(method, noise[positions]).to(device)
            yield x, min(size, n - start)


class _OneModality:
    """The first scenes of a split in one modality, as images."""

    def __init__(self, scenes: Scenes, name: str, n: int) -> None:
        self.scenes, self.name, self.n = scenes, name, n

    @property
    def sha256(self) -> str:
        return self.scenes.sha256

    def __len__(self) -> int:
        return self.n

    def fetch(self, positions: Sequence[int]) -> Batch:
        return {"image": self.scenes.fetch(positions)[self.name]}


def _translate_all(method: Translator, x: Batch, kept: int, tallies: dict[str, Tally]) -> None:
    for tally in tallies.values():
        began = time.perf_counter()
        made = translate(method, x, tally.translation)  # ends with a look at it: waits
        tally.add(made, x, kept, began)


def _named(group: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{group}/{name}": value for name, value in values.items()}
