"""Images made of masks in the style of people: the OpenEDS score, greys of people, masks kept."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lit_synth.contracts.data import Batch, HasPools, TranslationData
from lit_synth.contracts.translator import TakesReferences, Translation, Translator
from lit_synth.errors import InputError
from lit_synth.evaluation.translation.batch_norm import device_of
from lit_synth.inference.ask import translate
from lit_synth.inference.loading import load_method
from lit_synth.metrics.openeds import openeds_distances, openeds_score
from lit_synth.metrics.segmentation import IGNORE, Segmentation

AT_ONCE = 16  # images, which are enlarged
MOST = 160  # pairs, evenly spaced
REFERENCES = "references"
FOREIGN, NEAREST, MEAN = "foreign", "nearest", "person_mean"


class Pairs(NamedTuple):
    """Pairs of a split.

    Attributes:
        masks: (N, H, W).
        images: (N, C, H, W).
    """

    masks: Tensor
    images: Tensor


class PeopleMeasures:
    """Measures a translation of masks beside what a person's images are without any method.

    Of `<translation>`: `openeds`, the challenge's score; `sharpness`, the energy of gradients over
    that of true images; `grey_<class>`, the correlation over pairs of the mean grey of a class,
    made and true; with a segmenter `mask_miou`, how well it reads the mask off the image. The same
    of `nearest`, the first reference, of `nearest_mean`, the mean of those that come with a pair,
    and of `person_mean`, the mean of the person's pool; and of `foreign`, the translation in the
    style of another person, the control. `true/mask_miou` is that of the true images.

    They are those of 160 pairs at most.

    Args:
        data: Data module of pairs of people.
        segmenter: Release of a method that makes masks of images; None: masks are not read.
    """

    def __init__(self, data: TranslationData, segmenter: str | None = None) -> None:
        self.data = data
        self.segmenter = None if segmenter is None else _loaded(segmenter)
        self._of_images: dict[str, dict[str, float]] = {}

    def measure(self, method: Translator, split: str) -> dict[str, float]:
        """Return all values of a method, in the mode and with the weights that it has."""
        (way,) = method.translations()
        batches = list(self._batches(split))
        pairs = Pairs(*(torch.cat([x[n] for x in batches]) for n in (*way.sources, way.target)))
        if split not in self._of_images:
            self._of_images[split] = self._measure_images(way, split, batches, pairs)
        made = self._made(method, way, batches)
        values = self._values(way.name, way, made, pairs)
        if isinstance(method, TakesReferences):
            made = self._made(method, way, _of_others(batches))
            values |= self._values(FOREIGN, way, made, pairs)
        return values | self._of_images[split]

    def _measure_images(
        self, way: Translation, split: str, batches: list[Batch], pairs: Pairs
    ) -> dict[str, float]:
        """Measure what there is without a method."""
        images: dict[str, Tensor] = {}
        if REFERENCES in batches[0]:
            shown = torch.cat([x[REFERENCES] for x in batches])
            images = {NEAREST: shown[:, 0], f"{NEAREST}_mean": shown.mean(1)}
            if isinstance(self.data, HasPools):
                index = torch.cat([x["index"] for x in batches])
                images[MEAN] = self.data.person_means(split, index)
        values: dict[str, float] = {}
        for name, each in images.items():
            values |= self._values(name, way, each, pairs)
        return values | self._read("true", way, pairs.images, pairs.masks)

    def _batches(self, split: str) -> Iterator[Batch]:
        scenes = self.data.split(split)
        n = min(MOST, len(scenes))
        positions = [k * len(scenes) // n for k in range(n)]
        for start in range(0, n, AT_ONCE):
            yield scenes.fetch(positions[start : start + AT_ONCE])

    def _made(self, method: Translator, way: Translation, batches: list[Batch]) -> Tensor:
        names = {*way.sources, REFERENCES}
        return torch.cat(
            [
                translate(method, {n: x[n].to(device_of(method)) for n in names & x.keys()}, way)
                for x in batches
            ]
        ).cpu()

    def _values(
        self, group: str, way: Translation, images: Tensor, pairs: Pairs
    ) -> dict[str, float]:
        both = zip(torch.split(images, AT_ONCE), torch.split(pairs.images, AT_ONCE), strict=True)
        apart = torch.cat([openeds_distances(y, x) for y, x in both])
        sharp = float(_energy(images) / _energy(pairs.images))
        values = {f"{group}/openeds": openeds_score(apart), f"{group}/sharpness": sharp}
        modality = self.data.modalities[way.sources[0]]
        for label in range(modality.channels):
            name = modality.class_names[label] if modality.class_names else str(label)
            found = grey_correlation(images, pairs, label)
            if found is not None:
                values[f"{group}/grey_{name}"] = found
        return values | self._read(group, way, images, pairs.masks)

    def _read(
        self, group: str, way: Translation, images: Tensor, masks: Tensor
    ) -> dict[str, float]:
        """Return how well the segmenter reads masks off images, if there is one."""
        if self.segmenter is None:
            return {}
        (back,) = self.segmenter.translations()
        meter = Segmentation(self.data.modalities[way.sources[0]].channels)
        for y, m in zip(torch.split(images, AT_ONCE), torch.split(masks, AT_ONCE), strict=True):
            meter.update(translate(self.segmenter, {back.sources[0]: y}, back), m)
        return {f"{group}/mask_miou": meter.values()["miou"]}


def grey_correlation(images: Tensor, pairs: Pairs, label: int) -> float | None:
    """Return the correlation over pairs of the mean grey of a class, made and true.

    Args:
        images: What was made (N, C, H, W).
        pairs: Masks and true images; pairs whose mask lacks the class do not count.
        label: The class.

    Returns:
        None where fewer than two pairs have it, or all are alike.
    """
    inside = (pairs.masks == label) & (pairs.masks != IGNORE)
    counts = inside.sum((1, 2))
    some = counts > 0
    if int(some.sum()) < 2:
        return None
    means = [
        ((each.double().mean(1) * inside).sum((1, 2)) / counts.clamp(min=1))[some]
        for each in (images, pairs.images)
    ]
    found = float(torch.corrcoef(torch.stack(means))[0, 1])
    return found if found == found else None


def _of_others(batches: list[Batch]) -> list[Batch]:
    """Return batches whose references are those of the pair half of all pairs away."""
    shown = torch.cat([x[REFERENCES] for x in batches])
    sizes = [len(x[REFERENCES]) for x in batches]
    others = torch.split(shown.roll(len(shown) // 2, 0), sizes)
    return [{**x, REFERENCES: each} for x, each in zip(batches, others, strict=True)]


def _energy(images: Tensor) -> Tensor:
    x = images.double()
    return x.diff(dim=2).square().mean() + x.diff(dim=3).square().mean()


def _loaded(release: str) -> Translator:
    method = load_method(release)
    if not isinstance(method, Translator) or len(method.translations()) != 1:
        raise InputError(
            f"evaluate.segmenter {release} is a {type(method).__name__}: expected the release of a "
            "method that makes masks of images, such as Segmenter."
        )
    return method
