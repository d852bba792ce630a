"""What methods share that ask a frozen generator for the classes of a frozen classifier."""

from typing import Any

from torch import nn

from lit_synth.errors import InputError
from lit_synth.features.base import Extractor
from lit_synth.features.classifier import ReleaseClassifier
from lit_synth.releases.format import SELF


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


def released_with(classifier: Extractor) -> tuple[dict[str, nn.Module], dict[str, Any]]:
    """Return the network and the facts that a method's release takes over from its classifier's.

    There are none unless the classifier is a release's.
    """
    if not isinstance(classifier, ReleaseClassifier):
        return {}, {}
    return {"classifier": classifier.network}, dict(classifier.release.extra)


def settings_from_release(classifier: Extractor) -> dict[str, Any]:
    """Return the settings of a method that its own release stands for."""
    if not isinstance(classifier, ReleaseClassifier):
        return {"source": SELF}
    return {"source": SELF, "classifier": ReleaseClassifier.spec(SELF)}
