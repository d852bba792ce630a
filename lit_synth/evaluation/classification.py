"""Measuring a method that trains classifiers, on labelled images of a split."""

import torch

from lit_synth.contracts.classifier import Classifier
from lit_synth.contracts.data import Images
from lit_synth.errors import InputError
from lit_synth.metrics.card import Card
from lit_synth.metrics.classification import accuracy


@torch.no_grad()
def accuracies(
    method: Classifier, images: Images, batch_size: int, device: torch.device
) -> dict[str, float]:
    """Return `<name>/accuracy` of each classifier on all images.

    Args:
        method: Classifies, in the mode and with the weights that it has, on `device`.
        images: With a `label` each.
        batch_size: Images classified at once.
        device: Of the method.
    """
    logits: dict[str, list[torch.Tensor]] = {}
    labels = []
    for start in range(0, len(images), batch_size):
        x = images.fetch(range(start, min(start + batch_size, len(images))))
        if "label" not in x:
            raise InputError("the method classifies images, but the data's have no labels.")
        labels.append(x["label"])
        with torch.autocast(device.type, enabled=False):
            for name, found in method.classify(x["image"].to(device)).items():
                logits.setdefault(name, []).append(found.float().cpu())
    truth = torch.cat(labels)
    return {f"{name}/accuracy": accuracy(torch.cat(parts), truth) for name, parts in logits.items()}


def card_of(images: Images, split: str, seed: int, origin: str) -> Card:
    """Return the card of what is measured on a split, `origin` being the weights'."""
    n = len(images)
    return Card("none", "no weights", "none", n, 0, split, seed, images.sha256, note=origin)
