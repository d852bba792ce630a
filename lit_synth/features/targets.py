"""Classes of a classifier that images are asked of."""

from torch import nn

from lit_synth.errors import InputError
from lit_synth.features.base import Extractor


def check_targets(
    source: str, generator: nn.Module, classifier: Extractor, target_classes: list[int]
) -> None:
    """Raise InputError unless the classifier has the classes and the generator has none."""
    if generator.num_classes:
        raise InputError(
            f"the generator of {source} has {generator.num_classes} classes, but images of "
            "the classifier's classes are asked of an unconditional one: give another source."
        )
    if not target_classes or not set(target_classes) <= set(range(classifier.num_classes)):
        raise InputError(
            f"target_classes is {target_classes}: give one or more of the classifier's classes, "
            f"0 to {classifier.num_classes - 1}."
        )
