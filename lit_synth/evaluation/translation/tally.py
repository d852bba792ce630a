"""What is noted of one translation while batches of scenes pass."""

import time

import torch
from torch import Tensor

from lit_synth.contracts.data import Batch, Modality
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.features.base import Extractor, Features, extract
from lit_synth.metrics.by_kind import Meter, meter
from lit_synth.metrics.classification import accuracy


class Tally:
    """Compares what a translation makes with the truth, and keeps what an extractor says of it.

    Args:
        translation: The translation of which it is noted.
        target: Its target.
        aligned: Is the truth known?
        extractor: Looks at images; None: nobody does.
    """

    def __init__(
        self,
        translation: Translation,
        target: Modality,
        aligned: bool,
        extractor: Extractor | None,
    ) -> None:
        self.translation, self.label = translation, target.label
        self.meter = meter_of(target) if aligned else None
        self.extractor = extractor if target.kind == "image" else None
        self._features: list[Features] = []
        self._intended: list[Tensor] = []
        self._ms: list[float] = []

    def add(self, made: Tensor, x: Batch, kept: int, began: float) -> None:
        """Note what was made of scenes `x` since the time `began`; the first `kept` count."""
        self._ms.append(1000 * (time.perf_counter() - began) / len(made))
        if self.meter is not None:
            compare(self.meter, self.translation, made, x, kept)
        if self.extractor is not None:
            self._features.append(extract(self.extractor, made[:kept]))
            if self.label is not None:
                self._intended.append(torch.full((kept,), self.label))
            elif "label" in x:
                self._intended.append(x["label"][:kept].cpu())

    def values(self) -> dict[str, float]:
        """Return the target's metrics and, if a classifier saw the images, their class accuracy."""
        values = {} if self.meter is None else self.meter.values()
        if self._intended:
            logits, intended = self.features.logits, torch.cat(self._intended)
            if logits is not None and int(intended.max()) < logits.shape[1]:
                values["class_accuracy"] = accuracy(logits, intended)
        return values

    @property
    def features(self) -> Features:
        """What the extractor said of all images."""
        logits = [part.logits for part in self._features if part.logits is not None]
        return Features(
            torch.cat([part.features for part in self._features]),
            torch.cat(logits) if logits else None,
        )

    @property
    def ms_per_image(self) -> float:
        """Time per image in the fastest of the batches."""
        return min(self._ms)


def meter_of(modality: Modality) -> Meter:
    """Return a new meter of a modality."""
    return meter(modality.kind, modality.channels, modality.class_names)


def compare(counted: Meter, translation: Translation, made: Tensor, x: Batch, kept: int) -> None:
    """Add what was made of the first `kept` scenes to a meter; InputError if its shape is wrong."""
    truth = x[translation.target]
    if made.shape != truth.shape:
        raise InputError(
            f"{translation.name} makes {translation.target} of shape {tuple(made.shape)}, but the "
            f"data's is {tuple(truth.shape)}: give networks that make what the data holds."
        )
    counted.update(made[:kept], truth[:kept])
