"""Measuring a method that trains classifiers, on labelled images of a split."""

import torch

from lit_synth.contracts.classifier import Classifier
from lit_synth.contracts.data import Images, split_of
from lit_synth.errors import InputError
from lit_synth.evaluation.settings import EvaluationSettings
from lit_synth.method import Method
from lit_synth.metrics.card import Card
from lit_synth.metrics.classification import accuracy


class ClassificationEvaluation:
    """Measures `<name>/accuracy` of each classifier on all images of a split.

    Args:
        method: Classifies.
        data: Data module of labelled images.
        settings: How many images are classified at once.
    """

    def __init__(self, method: Method, data: object, settings: EvaluationSettings) -> None:
        self.method, self.data, self.settings = method, data, settings

    def prepare(self, split: str) -> None:
        """Raise InputError unless the split has labelled images."""
        if "label" not in split_of(self.data, split).fetch([0]):
            raise InputError("the method classifies images, but the data's have no labels.")

    def measure(self, split: str, testing: bool, last: bool) -> dict[str, float]:  # noqa: ARG002 - the same on all occasions
        """Return the accuracies of the method, in the mode and with the weights that it has."""
        self.prepare(split)
        return accuracies(self.method, split_of(self.data, split), self.settings.batch_size)

    def card(self, split: str, origin: str) -> Card:
        """Return the card of what was measured on a split, `origin` being the weights'."""
        images, seed = split_of(self.data, split), self.settings.seed
        facts = (len(images), 0, split, seed, images.sha256)
        return Card("none", "no weights", "none", *facts, note=origin)


@torch.no_grad()
def accuracies(method: Method, images: Images, batch_size: int) -> dict[str, float]:
    """Return `<name>/accuracy` of each classifier on all images, each with a `label`."""
    assert isinstance(method, Classifier), "asked by the caller"
    device = method.device
    logits: dict[str, list[torch.Tensor]] = {}
    labels = []
    for start in range(0, len(images), batch_size):
        x = images.fetch(range(start, min(start + batch_size, len(images))))
        labels.append(x["label"])
        with torch.autocast(device.type, enabled=False):
            for name, found in method.classify(x["image"].to(device)).items():
                logits.setdefault(name, []).append(found.float().cpu())
    truth = torch.cat(labels)
    return {f"{name}/accuracy": accuracy(torch.cat(parts), truth) for name, parts in logits.items()}
