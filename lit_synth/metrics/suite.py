"""Metrics by name: the one place where names such as `fid` become functions."""

from collections.abc import Callable, Iterable

from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.features.base import Features
from lit_synth.metrics.classification import accuracy, classifier_error
from lit_synth.metrics.fid import fid, fid_floor, fid_interval
from lit_synth.metrics.kid import kid
from lit_synth.metrics.kmmd import cmmd, kmmd
from lit_synth.metrics.memorisation import memorisation, memorised
from lit_synth.metrics.mind import mind
from lit_synth.metrics.mv import mv, mv_distance
from lit_synth.metrics.prdc import coverage, density, f_score, precision, recall

OF_FEATURES: dict[str, Callable[[Tensor, Tensor], float]] = {
    "fid": fid,
    "cmmd": cmmd,
    "mv": mv,
    "mv_distance": mv_distance,
    "precision": precision,
    "recall": recall,
    "f_score": f_score,
    "density": density,
    "coverage": coverage,
}
OF_LOGITS = {"accuracy": accuracy, "classifier_error": classifier_error}
OF_TWO_SETS = (*OF_FEATURES, "kid", "mind", "kmmd", "fid_interval")
OF_TRAINING_IMAGES = ("memorisation", "fid_floor")
NAMES = (*OF_TWO_SETS, *OF_LOGITS, *OF_TRAINING_IMAGES)


def measure(
    real: Features,
    fake: Features,
    names: Iterable[str] = (
        "fid",
        "kid",
        "mind",
        "kmmd",
        "mv",
        "mv_distance",
        "precision",
        "recall",
        "f_score",
        "density",
        "coverage",
    ),
    *,
    intended: Tensor | None = None,
    train: Features | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Measure generated images against real ones.

    Every name gives the value of that key. Others give more: `kid` also `kid_std`, `kmmd` also
    `kmmd_bandwidth`; `fid_interval` gives `fid_low` and `fid_high`; `memorisation` gives
    `memorised`, `memorised_floor`, `memorised_excess` and `on_manifold`, beside
    `memorisation_ratio` and `memorisation_share`, which images far from everything may win.

    Args:
        real: Features of held-out real images, from `extract`.
        fake: Features of generated images, from the same extractor.
        names: Which of `NAMES` to measure.
        intended: Class (N,) meant for each fake, for `accuracy` and `classifier_error`.
        train: Features of the generator's training images, for `memorisation` and `fid_floor`.
        seed: Seed of every subsample and resample, and of MIND's directions.

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
        elif name == "mind":
            values["mind"] = mind(real.features, fake.features, seed=seed)
        elif name == "kmmd":
            values["kmmd"], values["kmmd_bandwidth"] = kmmd(real.features, fake.features)
        elif name == "fid_interval":
            low, high = fid_interval(real.features, fake.features, seed=seed)
            values["fid_low"], values["fid_high"] = low, high
        elif name in OF_TRAINING_IMAGES:
            if train is None:
                raise InputError(
                    f"'{name}' needs the images that the generator was trained on, "
                    "which were not given; pass them or drop this metric."
                )
            values |= _of_training_images(name, real.features, fake.features, train.features, seed)
        else:
            raise InputError(f"There is no metric '{name}'; choose among {', '.join(NAMES)}.")
    return values


def _of_training_images(
    name: str, real: Tensor, fake: Tensor, train: Tensor, seed: int
) -> dict[str, float]:
    if name == "fid_floor":
        return {name: fid_floor(real, train, n_fake=len(fake), seed=seed)}
    found = memorisation(train, real, fake, seed)
    given_quality = memorised(train, real, fake, seed=seed)
    return {
        "memorisation_ratio": found.ratio,
        "memorisation_share": found.share,
        "memorised": given_quality.share,
        "memorised_floor": given_quality.floor,
        "memorised_excess": given_quality.excess,
        "on_manifold": given_quality.on_manifold,
    }
