"""Measuring translations on scenes of which every modality is known."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations

import torch
from torch import Tensor, nn

from lit_synth.callbacks.context import Batch, Modality, Scenes, TranslationData
from lit_synth.callbacks.drawing import swap, translate
from lit_synth.callbacks.judging import features_of
from lit_synth.errors import InputError
from lit_synth.features.base import Extractor, Features, extract
from lit_synth.metrics.alignment import alignment
from lit_synth.metrics.card import Card
from lit_synth.metrics.classification import accuracy
from lit_synth.metrics.suite import OF_FEATURES, measure
from lit_synth.metrics.translation import Meter, majority, median_depth, meter
from lit_synth.networks.norms import BatchNorm
from lit_synth.translation import HasLatents, HasSideInformation, Translation, Translator

METRICS = (*OF_FEATURES, "kid", "kmmd")  # that compare images with the target's
FLOOR_SCENES = 1000  # of each set that a floor is computed from, evenly spaced
CHUNK = 100  # scenes that a floor reads at once


class TranslationJudge:
    """Measures all translations of a method.

    Args:
        data: Where the scenes come from.
        metrics: Names of `METRICS`, measured of targets that are images.
        extractor: Whose features they compare; a classifier also judges the class of images. None
            if there is nothing of this kind to measure.
        most: Scenes of a split that are used, the first of them.
        batch_size: Scenes translated at once.
        batch_statistics: Measure everything again with batch norm in batch statistics?
        seed: Of every subsample.
    """

    def __init__(
        self,
        data: TranslationData,
        metrics: Sequence[str],
        extractor: Extractor | None,
        most: int,
        batch_size: int,
        batch_statistics: bool,
        seed: int,
    ) -> None:
        self.data, self.metrics, self.extractor = data, metrics, extractor
        self.most, self.batch_size, self.seed = most, batch_size, seed
        self.batch_statistics = batch_statistics
        self._real: dict[tuple[str, str], Features] = {}
        self._floors: dict[str, Tensor] | None = None
        self._below: dict[str, dict[str, float]] = {}
        self._check()

    def count(self, split: str) -> int:
        """Return the number of scenes of a split that are used."""
        return min(len(self.data.split(split)), self.most)

    def real(self, split: str, name: str) -> Features:
        """Return the features of a split's images in one modality: computed once."""
        if (split, name) not in self._real:
            assert self.extractor is not None, "asked for by what has one"
            images = _OneModality(self.data.split(split), name, self.count(split))
            self._real[split, name] = features_of(self.extractor, images, unseen=True)
        return self._real[split, name]

    def prepare(self, method: Translator, split: str) -> None:
        """Read and look at what needs no translation, so that what is missing is known early."""
        for translation in method.translations():
            for name in (*translation.sources, *translation.route):
                if name not in self.data.modalities:
                    raise InputError(
                        f"the method translates '{name}', but the data has "
                        f"{', '.join(self.data.modalities)}: give both the same modalities."
                    )
            if self.metrics and self.data.modalities[translation.target].kind == "image":
                self.real(split, translation.target)

    def card(self, split: str, origin: str) -> Card:
        """Return the card of what is measured on a split, `origin` being the weights'."""
        scenes, n = self.data.split(split), self.count(split)
        size = min(self.batch_size, n)
        notes = [origin, f"Scenes in order, translated {size} at a time."]
        if self.batch_statistics:
            notes.append("@batch: with batch norm's statistics of each of these batches.")
        if self.data.aligned:
            notes.append(
                "prior: the most frequent class or the median depth at each pixel of up to "
                f"{FLOOR_SCENES} scenes of every training set."
            )
        if self.extractor is None:
            return Card(
                "none",
                "no weights",
                "none",
                n,
                n,
                split,
                self.seed,
                scenes.sha256,
                note=" ".join(notes),
            )
        return Card.of(self.extractor, n, n, split, self.seed, scenes.sha256, note=" ".join(notes))

    def measure(self, method: Translator, split: str, timed: bool) -> dict[str, float]:
        """Return all values by name: `<translation>/<metric>`, `alignment/...`, `prior/...`.

        Args:
            method: Translates, in the mode and with the weights that it has.
            split: `val` or `test`.
            timed: Return `<translation>/ms_per_image` too?
        """
        values = self._translations(method, split, "", timed)
        if self.batch_statistics:
            assert isinstance(method, nn.Module), "a method is a module"
            with batch_statistics(method):
                values |= self._translations(method, split, "@batch", timed=False)
        if self.data.aligned:
            values |= self._of_side_information(method, split)
            values |= self._alignment(method, split)
            values |= self._floor(split)
        return values

    # The translations.

    def _translations(
        self, method: Translator, split: str, suffix: str, timed: bool
    ) -> dict[str, float]:
        tallies = {each: self._tally(each) for each in method.translations()}
        for x, kept in self._batches(method, split):
            for translation, tally in tallies.items():
                began = time.perf_counter()
                made = translate(method, x, translation)  # ends with a look at it: waits
                tally.seconds.append(time.perf_counter() - began)
                tally.add(made, x, kept)
        values: dict[str, float] = {}
        for translation, tally in tallies.items():
            found = tally.values()
            if tally.features and self.metrics:
                real = self.real(split, translation.target)
                found |= measure(real, _joined(tally.features), self.metrics, seed=self.seed)
            if timed:
                found["ms_per_image"] = tally.ms_per_image
            values |= _named(f"{translation.name}{suffix}", found)
        return values

    def _tally(self, translation: Translation) -> "_Tally":
        target = self.data.modalities[translation.target]
        return _Tally(
            translation,
            target.label,
            _meter(target) if self.data.aligned else None,
            self.extractor if target.kind == "image" else None,
        )

    def _of_side_information(self, method: Translator, split: str) -> dict[str, float]:
        """Measure direct translations that are told another scene's side information."""
        if not isinstance(method, HasSideInformation):
            return {}
        kinds = {name: each.kind for name, each in self.data.modalities.items()}
        meters = {
            each: _meter(self.data.modalities[each.target])
            for each in method.translations()
            if len(each.route) == len(each.sources) == 1 and kinds[each.target] != "image"
        }
        for x, kept in self._batches(method, split):
            for translation, each in meters.items():
                _add(each, translation, swap(method, x, translation), x, kept)
        values: dict[str, float] = {}
        for translation, each in meters.items():
            values |= _named(f"swap/{translation.name}", each.values())
        return values

    # What they are compared with.

    def _alignment(self, method: Translator, split: str) -> dict[str, float]:
        if not isinstance(method, HasLatents):
            return {}
        parts: dict[str, list[Tensor]] = {}
        for x, kept in self._batches(method, split):
            with torch.no_grad():
                for name, latents in method.latents(x).items():
                    parts.setdefault(name, []).append(latents[:kept].float().cpu())
        latents_of = {name: torch.cat(each) for name, each in parts.items()}
        values = {}
        for first, second in combinations(latents_of, 2):
            found = alignment(latents_of[first], latents_of[second])
            values[f"alignment/{first}-{second}"] = found.pop("centred")
            values |= {f"alignment/{first}-{second}_{name}": v for name, v in found.items()}
        return values

    def _floor(self, split: str) -> dict[str, float]:
        """Measure what says the same of every scene: computed once for each split."""
        if split not in self._below:
            if self._floors is None:
                self._floors = floors(self.data)
            self._below[split] = self._measure_floors(self._floors, split)
        return self._below[split]

    def _measure_floors(self, constants: dict[str, Tensor], split: str) -> dict[str, float]:
        scenes, n = self.data.split(split), self.count(split)
        meters = {name: _meter(self.data.modalities[name]) for name in constants}
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

    def _batches(self, method: Translator, split: str) -> Iterator[tuple[Batch, int]]:
        """Yield batches of one size in order, and how many scenes of each count.

        The last one is filled with the first scenes, so that statistics of batches compare.
        """
        scenes, n = self.data.split(split), self.count(split)
        assert isinstance(method, nn.Module), "a method is a module"
        device = next(method.parameters()).device
        size = min(self.batch_size, n)
        for start in range(0, n, size):
            x = scenes.fetch([(start + i) % n for i in range(size)])
            yield {name: each.to(device) for name, each in x.items()}, min(size, n - start)

    def _check(self) -> None:
        if unknown := [name for name in self.metrics if name not in METRICS]:
            raise InputError(
                f"evaluate.metrics names '{unknown[0]}', which is not measured of translations: "
                f"choose among {', '.join(METRICS)}, or [] for none of them."
            )
        if not self.data.aligned and self.extractor is None:
            raise InputError(
                "there is nothing to measure: the data's modalities do not show the same scenes, "
                "and evaluate.metrics names nothing; name fid or kid there, or set "
                "evaluate.every_n_iterations to null."
            )


class _Tally:
    """What is noted of one translation, batch by batch."""

    def __init__(
        self,
        translation: Translation,
        label: int | None,
        judge: Meter | None,
        extractor: Extractor | None,
    ) -> None:
        self.translation, self.label = translation, label
        self.judge, self.extractor = judge, extractor
        self.features: list[Features] = []
        self.intended: list[Tensor] = []
        self.seconds: list[float] = []
        self.batch_size = 0

    def add(self, made: Tensor, x: Batch, kept: int) -> None:
        """Note what was made of scenes `x`, of which the first `kept` count."""
        self.batch_size = len(made)
        if self.judge is not None:
            _add(self.judge, self.translation, made, x, kept)
        if self.extractor is not None:
            self.features.append(extract(self.extractor, made[:kept]))
            if self.label is not None:
                self.intended.append(torch.full((kept,), self.label))
            elif "label" in x:
                self.intended.append(x["label"][:kept].cpu())

    def values(self) -> dict[str, float]:
        """Return the target's metrics and, if a classifier saw the images, their class accuracy."""
        values = self.judge.values() if self.judge is not None else {}
        if self.intended:
            logits, intended = _joined(self.features).logits, torch.cat(self.intended)
            if logits is not None and int(intended.max()) < logits.shape[1]:
                values["class_accuracy"] = accuracy(logits, intended)
        return values

    @property
    def ms_per_image(self) -> float:
        """Time per image in the fastest of the batches."""
        return 1000 * min(self.seconds) / self.batch_size


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


@contextmanager
def batch_statistics(module: nn.Module) -> Iterator[None]:
    """Have all batch norms of a module in eval mode use the statistics of their batch.

    Their running statistics are put aside, so that nothing changes them, and put back.
    """
    norms = [
        each
        for each in module.modules()
        if isinstance(each, BatchNorm | nn.modules.batchnorm._BatchNorm)
    ]
    aside = [(each.running_mean, each.running_var) for each in norms]
    try:
        for each in norms:
            each.running_mean = each.running_var = None
        yield
    finally:
        for each, (mean, var) in zip(norms, aside, strict=True):
            each.running_mean, each.running_var = mean, var


def floors(data: TranslationData) -> dict[str, Tensor]:
    """Return what is made without looking at a scene, for each modality but images: (1, ...).

    For labels it is the most frequent class at each pixel, for depth the median there, over the
    first `FLOOR_SCENES` scenes, evenly spaced, of each training set that has the modality.
    """
    found = {}
    for name, modality in data.modalities.items():
        sets = [each for each, names in data.sets.items() if name in names]
        if modality.kind == "image" or not sets:
            continue
        maps = torch.cat([part for each in sets for part in _spread(data.training_set(each), name)])
        labels = modality.kind == "labels"
        found[name] = majority(maps, modality.channels) if labels else median_depth(maps)
    return found


def _spread(scenes: Scenes, name: str) -> Iterator[Tensor]:
    """Yield one modality of scenes that are evenly spaced."""
    n = min(len(scenes), FLOOR_SCENES)
    positions = [index * len(scenes) // n for index in range(n)]
    for start in range(0, n, CHUNK):
        yield scenes.fetch(positions[start : start + CHUNK])[name]


def _meter(modality: Modality) -> Meter:
    return meter(modality.kind, modality.channels, modality.class_names)


def _add(judge: Meter, translation: Translation, made: Tensor, x: Batch, kept: int) -> None:
    truth = x[translation.target]
    if made.shape != truth.shape:
        raise InputError(
            f"{translation.name} makes {translation.target} of shape {tuple(made.shape)}, but the "
            f"data's is {tuple(truth.shape)}: give networks that make what the data holds."
        )
    judge.update(made[:kept], truth[:kept])


def _joined(parts: list[Features]) -> Features:
    logits = [part.logits for part in parts if part.logits is not None]
    return Features(
        torch.cat([part.features for part in parts]), torch.cat(logits) if logits else None
    )


def _named(group: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{group}/{name}": value for name, value in values.items()}
