"""What is measured of a method; `evaluate.*` in YAML files."""

from dataclasses import dataclass, field

from lit_synth.errors import InputError
from lit_synth.evaluation.translation.oracles import Oracle
from lit_synth.features.classifier import Recipe
from lit_synth.metrics.suite import NAMES


@dataclass(frozen=True)
class EvaluationSettings:
    """What is measured of a method, each kind of method reading what concerns it.

    Args:
        n_fake: Number of images generated; of a method that translates, at most so many scenes are
            used.
        batch_size: Number of images that are generated, translated or classified at once.
        metrics: Names of what is measured, of `lit_synth.metrics.suite`; of translations they
            concern targets that are images, and may be none.
        extractor: Extractor whose features are compared: `inception`, `random`, `auto`, Inception
            weights, or a classifier's release. None: a classifier trained on the run's training
            images if they are labelled and at most 64 pixels, else `auto`. Translations: None is
            `auto`, and a classifier also measures the `class_accuracy` of targets that are images.
        seed: Seeds the generated images and every subsample.
        batch_statistics: Measure translations with the batch's statistics in batch norm too, as
            `<translation>@batch/<metric>`?
        oracles: Networks to train, on scenes that the run does without, and to measure beside the
            translations.
        styles: Number of styles of each input, the same for all; 0: nothing is measured of this
            kind. None: 8 if the method has styles or attention, or the data name what to keep, and
            else 0.
        perceptual: Weights of torchvision's AlexNet (.pth), for LPIPS. None: those in its cache; a
            bundled network if there are none.
        identity: Weights of VGG-Face (.pth) that tell whose face it is. None: a classifier, trained
            if the data has several photos of each person, and else nothing.
        beside: Name -> release folder of another run, whose translations are measured too, as
            `beside/<name>/<translation>/<metric>`: at the last iteration and by the verbs.
        reverse: Number of translations to each domain from which, by `test` alone, a classifier is
            trained that is tested on real images. None: no such thing.
        segmenter: Release of a `Segmenter`, best trained on other images, that tells whether images
            made of masks or layouts have these. None: that is not measured.
        judge_iterations: Number of iterations that train each classifier that judges bias, or that
            `reverse` tests.
    """

    n_fake: int = 1000
    batch_size: int = 100
    metrics: list[str] = field(default_factory=lambda: ["fid", "kid"])
    extractor: str | None = None
    seed: int = 0
    batch_statistics: bool = False
    oracles: list[Oracle] = field(default_factory=list)
    styles: int | None = None
    perceptual: str | None = None
    identity: str | None = None
    beside: dict[str, str] | None = None
    reverse: int | None = None
    segmenter: str | None = None
    judge_iterations: int = Recipe.iterations

    def __post_init__(self) -> None:
        if self.styles is not None and self.styles < 0:
            raise InputError(f"evaluate.styles is {self.styles}: expected 0 or more.")
        if self.reverse is not None and self.reverse < 1:
            raise InputError(
                f"evaluate.reverse is {self.reverse}: expected at least 1 image, or null."
            )
        at_least_one = {
            "n_fake": (self.n_fake, "image"),
            "batch_size": (self.batch_size, "image"),
            "judge_iterations": (self.judge_iterations, "iteration"),
        }
        for name, (value, unit) in at_least_one.items():
            if value < 1:
                raise InputError(f"evaluate.{name} is {value}: expected at least 1 {unit}.")
        if unknown := [name for name in self.metrics if name not in NAMES]:
            raise InputError(
                f"evaluate.metrics names '{unknown[0]}', which is none of {', '.join(NAMES)}."
            )
