"""The OpenEDS score of what is made in a person's style, and of that person's images themselves."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lit_synth.contracts.data import Batch, HasPools, TranslationData
from lit_synth.contracts.translator import TakesReferences, Translation, Translator
from lit_synth.evaluation.translation.batch_norm import device_of
from lit_synth.inference.ask import translate
from lit_synth.metrics.openeds import openeds_distances, openeds_score

AT_ONCE = 16  # images, which are enlarged
MOST = 160  # pairs, evenly spaced
NEAREST, MEAN = "nearest", "person_mean"


class PeopleMeasures:
    """Scores a translation of masks beside what a person's images are without any method.

    `<translation>/openeds` and `<translation>/sharpness` of the method, and the same of `nearest`,
    the first reference, of `nearest_mean`, the mean of all that come with a pair, and of
    `person_mean`, the mean of the person's pool. They are those of 160 pairs at most.

    Args:
        data: Data module of pairs with references.
    """

    def __init__(self, data: TranslationData) -> None:
        self.data = data
        self._of_images: dict[str, dict[str, float]] = {}

    def measure(self, method: Translator, split: str) -> dict[str, float]:
        """Return all values of a method, in the mode and with the weights that it has."""
        (way,) = method.translations()
        assert isinstance(method, TakesReferences), "asked by those who know"
        if split not in self._of_images:
            self._of_images[split] = self._measure_images(method.references, way, split)
        made, truth = [], []
        for x in self._batches(split):
            on = {name: value.to(device_of(method)) for name, value in x.items()}
            made.append(translate(method, on, way).cpu())
            truth.append(x[way.target])
        return {**_values(way.name, torch.cat(made), torch.cat(truth)), **self._of_images[split]}

    def _measure_images(self, references: str, way: Translation, split: str) -> dict[str, float]:
        found: dict[str, list[Tensor]] = {}
        for x in self._batches(split):
            found.setdefault("truth", []).append(x[way.target])
            found.setdefault(NEAREST, []).append(x[references][:, 0])
            found.setdefault(f"{NEAREST}_mean", []).append(x[references].mean(1))
            if isinstance(self.data, HasPools):
                means = self.data.person_means(split, x["index"])
                found.setdefault(MEAN, []).append(means)
        images = {name: torch.cat(each) for name, each in found.items()}
        truth = images.pop("truth")
        values: dict[str, float] = {}
        for name, each in images.items():
            values |= _values(name, each, truth)
        return values

    def _batches(self, split: str) -> Iterator[Batch]:
        scenes = self.data.split(split)
        n = min(MOST, len(scenes))
        positions = [k * len(scenes) // n for k in range(n)]
        for start in range(0, n, AT_ONCE):
            yield scenes.fetch(positions[start : start + AT_ONCE])


def sharpness(images: Tensor, truth: Tensor) -> float:
    """Return the energy of the images' gradients over that of true ones, (N, C, H, W) each."""
    return float(_energy(images) / _energy(truth))


def _energy(images: Tensor) -> Tensor:
    x = images.double()
    return sum(((x.diff(dim=side)).square().mean() for side in (2, 3)), torch.zeros(()))


def _values(group: str, images: Tensor, truth: Tensor) -> dict[str, float]:
    apart = [
        openeds_distances(y, x)
        for y, x in zip(images.split(AT_ONCE), truth.split(AT_ONCE), strict=True)
    ]
    score = openeds_score(torch.cat(apart))
    return {f"{group}/openeds": score, f"{group}/sharpness": sharpness(images, truth)}
