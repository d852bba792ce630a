"""Reverse classification: how well real images are read by who has seen translations alone."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lit_synth.batches.labels import ATTRIBUTES
from lit_synth.contracts.data import Batch, Scenes, TranslationData
from lit_synth.contracts.translator import HasStyles, Translation, Translator
from lit_synth.errors import InputError
from lit_synth.evaluation.settings import EvaluationSettings
from lit_synth.evaluation.translation.styles import direct
from lit_synth.features.classifier import Recipe, fit_classifier, trained_classifier
from lit_synth.inference.ask import translate
from lit_synth.inference.styles import STYLE, styles_of
from lit_synth.metrics.classification import accuracy

RECIPE = Recipe(seed=103)
CHUNK = 256  # test images that are read at once


class _Way(NamedTuple):
    """Images of a class: training images, translated or, without a translation, as they are."""

    scenes: Scenes
    positions: list[int]
    source: str
    translation: Translation | None = None


class _Task(NamedTuple):
    """Classes to tell apart: each as made by translations and as real, and real test images."""

    made: list[list[_Way]]
    real: list[_Way]
    test: tuple[Tensor, Tensor]


class ReverseClassification:
    """Trains classifiers on translations of training images, and tests them on real test images.

    The measure of the thesis' sections 5.5 and 7. Where translations lead to domains, there is one
    classifier of domains; where they flip attributes, one of each attribute, and the mean counts.

    Args:
        data: Data module of images.
        n: Number of translations to each domain, or to each value of an attribute; equally many of
            each translation that leads there.
        settings: How many images are translated at once; the seed of the styles, one for each
            image; the iterations that train a classifier.
        folder: Cache of classifiers of real images.
    """

    def __init__(
        self, data: TranslationData, n: int, settings: EvaluationSettings, folder: Path
    ) -> None:
        self.data, self.n, self.settings, self.folder = data, n, settings, folder
        self.recipe = replace(RECIPE, iterations=settings.judge_iterations)

    def measure(self, method: Translator, device: torch.device) -> dict[str, float]:
        """Return `reverse/accuracy`, and `reverse/ceiling` of an oracle: as many real images."""
        rng = torch.Generator().manual_seed(self.settings.seed)
        found: list[float] = []
        of_real: list[float] = []
        for task in self._tasks(method):
            parts = [
                torch.cat([self._images(way, method, device, rng) for way in ways])
                for ways in task.made
            ]
            images, truth = task.test
            made = fit_classifier(torch.cat(parts), _numbered(parts), self.recipe)
            logits = torch.cat([made(chunk) for chunk in torch.split(images, CHUNK)])
            found.append(accuracy(logits, truth))
            parts = [self._images(way, method, device, rng) for way in task.real]
            real = trained_classifier(torch.cat(parts), _numbered(parts), self.folder, self.recipe)
            real.refuse_seen(images)
            logits = torch.cat([real.network(chunk) for chunk in torch.split(images, CHUNK)])
            of_real.append(accuracy(logits, truth))
        return {
            "reverse/accuracy": sum(found) / len(found),
            "reverse/ceiling": sum(of_real) / len(of_real),
        }

    def _tasks(self, method: Translator) -> Iterator[_Task]:
        ways = direct(method.translations())
        test = self.data.split("test")
        x = test.fetch(range(len(test)))
        if ATTRIBUTES in x:
            for way in ways:
                yield self._of_attribute(way, x)
        else:
            yield self._of_domains(ways, x)

    def _of_domains(self, ways: list[Translation], x: Batch) -> _Task:
        """Return the task to tell the targets of translations apart."""
        targets = list(dict.fromkeys(way.target for way in ways))
        made = []
        for target in targets:
            into = [way for way in ways if way.target == target]
            counts = [(self.n + k) // len(into) for k in range(len(into))]
            made.append(
                [self._first(w.sources[0], n, w) for w, n in zip(into, counts, strict=True)]
            )
        images = [x[target] for target in targets]
        return _Task(
            made,
            [self._first(target, self.n) for target in targets],
            (torch.cat(images), _numbered(images)),
        )

    def _of_attribute(self, way: Translation, x: Batch) -> _Task:
        """Return the task to tell whether images have the attribute that a translation flips."""
        (source,) = way.sources
        column = [name for name in self.data.modalities if name != source].index(way.target)
        scenes = self._set_of(source)
        labels = scenes.fetch(range(len(scenes)))[ATTRIBUTES][:, column]
        having = [torch.nonzero(labels == label).flatten().tolist() for label in (0, 1)]
        return _Task(
            [[self._way(scenes, having[1 - label], source, self.n, way)] for label in (0, 1)],
            [self._way(scenes, having[label], source, self.n) for label in (0, 1)],
            (x[source], x[ATTRIBUTES][:, column].long()),
        )

    def _first(self, modality: str, n: int, translation: Translation | None = None) -> _Way:
        scenes = self._set_of(modality)
        return self._way(scenes, list(range(len(scenes))), modality, n, translation)

    def _way(
        self,
        scenes: Scenes,
        positions: Sequence[int],
        source: str,
        n: int,
        translation: Translation | None = None,
    ) -> _Way:
        if len(positions) < n:
            raise InputError(
                f"evaluate.reverse is {self.n}, which takes {n} training images of one kind of "
                f"'{source}', but there are {len(positions)}: give less."
            )
        return _Way(scenes, list(positions[:n]), source, translation)

    def _set_of(self, modality: str) -> Scenes:
        name = next((name for name, names in self.data.sets.items() if modality in names), None)
        if name is None:
            raise InputError(f"evaluate.reverse needs training images of '{modality}': set null.")
        return self.data.training_set(name)

    def _images(
        self, way: _Way, method: Translator, device: torch.device, rng: torch.Generator
    ) -> Tensor:
        """Return the images (N, C, H, W) of a way, on the CPU."""
        parts, size = [], self.settings.batch_size
        for start in range(0, len(way.positions), size):
            fetched = way.scenes.fetch(way.positions[start : start + size])
            x = {n: fetched[n].to(device) for n in (way.source, ATTRIBUTES) if n in fetched}
            if way.translation is None:
                parts.append(x[way.source].cpu())
                continue
            if isinstance(method, HasStyles):
                noise = torch.randn(len(x[way.source]), method.style_dim, generator=rng)
                x[STYLE] = styles_of(method, noise).to(device)
            parts.append(translate(method, x, way.translation).cpu())
        return torch.cat(parts)


def _numbered(parts: Sequence[Tensor]) -> Tensor:
    """Return for each row of some tensors the number of its tensor, int64 (N,)."""
    return torch.cat([torch.full((len(part),), number) for number, part in enumerate(parts)])
