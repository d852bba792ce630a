"""Metrics by name: the one place where names such as `fid` become functions."""

from collections.abc import Callable, Iterable

from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.features.base import Features
from lit_synth.metrics.classification import accuracy, classifier_error
from lit_synth.metrics.fid import fid
from lit_synth.metrics.kid import kid
from lit_synth.metrics.kmmd import kmmd
from lit_synth.metrics.memorisation import memorisation
from lit_synth.metrics.mv import mv
from lit_synth.metrics.prdc import coverage, density, precision, recall

OF_FEATURES: dict[str, Callable[[Tensor, Tensor], float]] = {
    "fid": fid,
    "mv": mv,
    "precision": precision,
    "recall": recall,
    "density": density,
    "coverage": coverage,
}
OF_LOGITS = {"accuracy": accuracy, "classifier_error": classifier_error}
NAMES = (*OF_FEATURES, "kid", "kmmd", *OF_LOGITS, "memorisation")


def measure(
    real: Features,
    fake: Features,
    names: Iterable[str] = (
        "fid",
        "kid",
        "kmmd",
        "mv",
        "precision",
        "recall",
        "density",
        "coverage",
    ),
    *,
    intended: Tensor | None = None,
    train: Features | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Measure generated images against real ones.

    Every name gives the value of that key. Three give more: `kid` also `kid_std`, `kmmd` also
    `kmmd_bandwidth`, and `memorisation` gives `memorisation_ratio` and `memorisation_share`.

    Args:
        real: Features of held-out real images, from `extract`.
        fake: Features of generated images, from the same extractor.
        names: Which of `NAMES` to measure.
        intended: Class (N,) meant for each fake, for `accuracy` and `classifier_error`.
        train: Features of the generator's training images, for `memorisation`.
        seed: Seed of every subsample.

    Raises:
        InputError: If a name is unknown, or what it needs was not given.
    """
    values: dict[str, float] = {}
    for name in names:
        if name in OF_FEATURES:
            values[name] = OF_FEATURES[name](real.features, fake.features)
        elif name in OF_LOGITS:
            if fake.logits is None or intended is None:
                raise InputError(
                    f"'{name}' needs a classifier's logits and the intended class of each image, "
                    "one of which was not given; use a classifier as extractor and a conditional "
                    "generator, or drop this metric."
                )
            values[name] = OF_LOGITS[name](fake.logits, intended)
        elif name == "kid":
            values["kid"], values["kid_std"], _ = kid(real.features, fake.features, seed=seed)
        elif name == "kmmd":
            values["kmmd"], values["kmmd_bandwidth"] = kmmd(real.features, fake.features)
        elif name == "memorisation":
            if train is None:
                raise InputError(
                    "'memorisation' needs the images that the generator was trained on, "
                    "which were not given; pass them or drop this metric."
                )
            found = memorisation(train.features, real.features, fake.features, seed)
            values["memorisation_ratio"], values["memorisation_share"] = found.ratio, found.share
        else:
            raise InputError(f"There is no metric '{name}'; choose among {', '.join(NAMES)}.")
    return values
