"""Measuring what the method generates, in training and for the verbs `validate` and `test`."""

from pathlib import Path
from typing import Any, Literal, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn

from lit_synth.callbacks.ema import EMA, averaged_weights
from lit_synth.callbacks.trainer_queries import (
    callback_of,
    check_period,
    due,
    split_of,
    translation_data,
)
from lit_synth.contracts.classifier import Classifier
from lit_synth.contracts.translator import Translator
from lit_synth.errors import InputError
from lit_synth.evaluation.classification import accuracies, card_of
from lit_synth.evaluation.extractors import choose_extractor, features_of
from lit_synth.evaluation.generation import Fakes, fakes
from lit_synth.evaluation.translation.measures import Asked, TranslationMeasures
from lit_synth.evaluation.translation.oracles import Oracle
from lit_synth.features.base import Extractor, Features
from lit_synth.method import Method
from lit_synth.metrics.card import Card, write_card
from lit_synth.metrics.classification import class_histogram
from lit_synth.metrics.suite import NAMES, measure
from lit_synth.reports import screen
from lit_synth.runs.files import writing

CLASS = "/iou_"  # begins a metric of a single class of labels
TEST_METRICS = (
    "fid",
    "kid",
    "kmmd",
    "mv",
    "precision",
    "recall",
    "density",
    "coverage",
    "memorisation",
)


class Evaluate(pl.Callback):
    """Compare generated images with held-out real ones; every number goes with its card.

    In `fit`, at regular iterations: the metrics are logged as `<split>/<name>` and written to
    `cards/<split>-<iteration>.json`. `validate` measures the same on the checkpoint given. `test`
    measures everything on the test split, to `cards/test.json`: there also memorisation of the
    training images, the time to generate an image, and the share of fakes in each class.

    Images are generated with averaged weights, if the run averages any, in float32, and from
    random numbers of their own. Where the method's prior draws classes and the extractor is a
    classifier, its `accuracy` on the intended classes is measured too: give one of these classes.

    Of a method that translates, every translation is measured on scenes of the split of which all
    modalities are known, by the kind of its target (see docs/evaluating-translations.md):
    `<translation>/<metric>`; beside it the alignment of the latents, the use of side information,
    `prior/<metric>`, what may be had without looking at the scene, and
    `oracle/<translation>/<metric>`, what a network reaches that is trained on pairs. `metrics` then
    names what is measured of targets that are images, and may be empty. Of translations between
    images in several styles, also how these differ, where they change an image, and what they
    should not have changed; beside it `identity/<translation>/<metric>` of leaving images alone,
    and `mean/<metric>` over all direct translations.

    Of a method that classifies, `<name>/accuracy` of each of its classifiers.

    Args:
        every_n_iterations: How often, and at the last iteration; None: never.
        n_fake: Images generated; of a method that translates, at most so many scenes are used.
        batch_size: Images generated at once.
        metrics: What is measured; names of `lit_synth.metrics.suite`.
        extractor: Whose features are compared: `inception`, `random`, `auto`, Inception weights, or
            a classifier's release. None: a classifier trained on the run's training images if they
            are labelled and at most 64 pixels, else `auto`. Translations: None is `auto`, and a
            classifier also measures the `class_accuracy` of targets that are images.
        split: Real images that are compared with.
        seed: Of the generated images and of every subsample.
        batch_statistics: Measure translations with the batch's statistics in batch norm too, as
            `<translation>@batch/<metric>`?
        oracles: Networks to train, on scenes that the run does without, and to measure beside the
            translations.
        styles: Styles of each input, the same for all; 0: nothing is measured of this kind. None: 8
            if the method has styles or attention, or the data name what to keep, and else 0.
        perceptual: Weights of torchvision's AlexNet (.pth), for LPIPS. None: those in its cache; a
            bundled network if there are none.
        identity: Weights of VGG-Face (.pth) that tell whose face it is. None: a classifier, trained
            if the data has several photos of each person, and else nothing.
        beside: Name -> release folder of another run, whose translations are measured too, as
            `beside/<name>/<translation>/<metric>`: at the last iteration and by the verbs.
        reverse: By `test` alone: so many translations to each domain train a classifier that is
            tested on real images. None: no such thing.
        judge_iterations: Of the training of each classifier that judges bias, or that `reverse`
            tests.

    Attributes:
        latest: Metric -> value, as last measured.
        iteration: When that was; None: not yet.
    """

    def __init__(
        self,
        every_n_iterations: int | None = 1000,
        n_fake: int = 1000,
        batch_size: int = 100,
        metrics: list[str] = ["fid", "kid"],  # noqa: B006  never mutated; jsonargparse shows it in the help
        extractor: str | None = None,
        split: Literal["train", "val", "test"] = "val",
        seed: int = 0,
        batch_statistics: bool = False,
        oracles: list[Oracle] = [],  # noqa: B006  never mutated; jsonargparse shows it in the help
        styles: int | None = None,
        perceptual: str | None = None,
        identity: str | None = None,
        beside: dict[str, str] | None = None,
        reverse: int | None = None,
        judge_iterations: int = 600,
    ) -> None:
        check_period("evaluate.every_n_iterations", every_n_iterations)
        if styles is not None and styles < 0:
            raise InputError(f"evaluate.styles is {styles}: expected 0 or more.")
        if reverse is not None and reverse < 1:
            raise InputError(f"evaluate.reverse is {reverse}: expected at least 1 image, or null.")
        at_least_one = {
            "n_fake": (n_fake, "image"),
            "batch_size": (batch_size, "image"),
            "judge_iterations": (judge_iterations, "iteration"),
        }
        for name, (value, unit) in at_least_one.items():
            if value < 1:
                raise InputError(f"evaluate.{name} is {value}: expected at least 1 {unit}.")
        if unknown := [name for name in metrics if name not in NAMES]:
            raise InputError(
                f"evaluate.metrics names '{unknown[0]}', which is none of {', '.join(NAMES)}."
            )
        self.every_n_iterations = every_n_iterations
        self.n_fake, self.batch_size = n_fake, batch_size
        self.metrics, self.extractor, self.split, self.seed = metrics, extractor, split, seed
        self.asked = Asked(
            n_fake=n_fake,
            batch_size=batch_size,
            metrics=metrics,
            extractor=extractor,
            seed=seed,
            batch_statistics=batch_statistics,
            oracles=oracles,
            styles=styles,
            perceptual=perceptual,
            identity=identity,
            beside=beside or {},
            reverse=reverse,
            judge_iterations=judge_iterations,
        )
        self.latest: dict[str, float] = {}
        self.iteration: int | None = None
        self._extractor: Extractor | None = None
        self._features: dict[str, Features] = {}
        self._of_translations: TranslationMeasures | None = None
        self._trained = 0

    def on_load_checkpoint(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        self._trained = checkpoint.get("iteration", 0)

    def state_dict(self) -> dict[str, Any]:
        return {"latest": self.latest, "iteration": self.iteration}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.latest, self.iteration = state_dict["latest"], state_dict["iteration"]

    # When.

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._extractor, self._features = None, {}  # of other data, perhaps
        self._of_translations = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # What cannot be measured is to be known now, not after the first thousand iterations.
        if self.every_n_iterations is None or not trainer.is_global_zero:
            return
        if isinstance(pl_module, Translator):
            self._translations(trainer, cast("Method", pl_module)).prepare(self.split)
        elif not isinstance(pl_module, Classifier):
            self._real(trainer, pl_module.device, self.split)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        method = cast("Method", pl_module)
        if not due(self.every_n_iterations, method):
            return
        iteration = method.iteration
        values = self._measure(
            trainer, method, self.split, iteration, f"{self.split}-{iteration:08d}"
        )
        for logger in trainer.loggers:
            logger.log_metrics(_logged(values, self.split), step=iteration)
        self._note(method, values, iteration)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._verb(trainer, cast("Method", pl_module), self.split)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._verb(trainer, cast("Method", pl_module), "test")

    def _verb(self, trainer: pl.Trainer, method: Method, split: str) -> None:
        iteration = self._trained or method.iteration
        values = self._measure(trainer, method, split, iteration, split)
        self._note(method, values, iteration)

    def _note(self, method: Method, values: dict[str, float], iteration: int) -> None:
        self.latest, self.iteration = values, iteration
        if isinstance(method, Classifier):
            method.measured(values)

    # What.

    def _measure(
        self, trainer: pl.Trainer, method: Method, split: str, iteration: int, card_name: str
    ) -> dict[str, float]:
        """Measure on the first process and write a card; all processes get the values."""
        values: dict[str, float] = {}
        if trainer.is_global_zero:
            # The test verbs run in inference mode, in which no classifier could be trained.
            with torch.inference_mode(False), torch.no_grad():
                if isinstance(method, Translator):
                    values, card = self._compare_translations(trainer, method, split, iteration)
                elif isinstance(method, Classifier):
                    images = split_of(trainer, split)
                    with averaged_weights(trainer, method):
                        values = accuracies(method, images, self.batch_size, method.device)
                    card = card_of(images, split, self.seed, _origin(trainer, iteration))
                else:
                    values, card = self._compare(trainer, method, split, iteration)
            path = Path(trainer.default_root_dir) / "cards" / f"{card_name}.json"
            with writing(path.parent):
                write_card(path, card, values)
            if trainer.state.fn != TrainerFn.FITTING:
                print(*screen.lines(values, card, str(path)), sep="\n")
        return trainer.strategy.broadcast(values)

    def _compare(
        self, trainer: pl.Trainer, method: Method, split: str, iteration: int
    ) -> tuple[dict[str, float], Card]:
        extractor, real = self._real(trainer, method.device, split)
        images = split_of(trainer, split)
        with averaged_weights(trainer, method):
            fake = fakes(extractor, method, images, self.n_fake, self.batch_size, self.seed)
        testing = trainer.state.fn == TrainerFn.TESTING
        train = self._real(trainer, method.device, "train")[1] if testing else None
        names = list(dict.fromkeys([*self.metrics, *(TEST_METRICS if testing else ())]))
        if _can_judge_classes(fake) and "accuracy" not in names:
            names.append("accuracy")
        values = measure(
            real, fake.features, names, intended=fake.intended, train=train, seed=self.seed
        )
        if testing:
            values |= _of_the_test(fake)
        card = Card.of(
            extractor,
            n_real=len(real.features),
            n_fake=self.n_fake,
            split=split,
            seed=self.seed,
            data_sha256=images.sha256,
            note=_origin(trainer, iteration),
        )
        return values, card

    def _compare_translations(
        self, trainer: pl.Trainer, method: Method, split: str, iteration: int
    ) -> tuple[dict[str, float], Card]:
        translations = self._translations(trainer, method)
        translations.prepare(split)
        with averaged_weights(trainer, method):
            values = translations.measure(split, trainer.state.fn == TrainerFn.TESTING)
        if trainer.state.fn != TrainerFn.FITTING or iteration == method.total_iterations:
            values |= translations.measure_others(split)
        return values, translations.card(split, _origin(trainer, iteration))

    def _translations(self, trainer: pl.Trainer, method: Method) -> TranslationMeasures:
        """Return what measures translations, made once."""
        if self._of_translations is None:
            data = translation_data(trainer)
            self._of_translations = TranslationMeasures(data, method, self.asked)
        return self._of_translations

    def _real(
        self, trainer: pl.Trainer, device: torch.device, split: str
    ) -> tuple[Extractor, Features]:
        """Return the extractor, and the features of a split: computed once."""
        if self._extractor is None:
            self._extractor = choose_extractor(self.extractor, split_of(trainer, "train"))
            self._extractor.to(device)
        if split not in self._features:
            judged = split == self.split or split == "test"
            images = split_of(trainer, split)
            self._features[split] = features_of(self._extractor, images, unseen=judged)
        return self._extractor, self._features[split]


def _origin(trainer: pl.Trainer, iteration: int) -> str:
    weights = "own" if callback_of(trainer, EMA) is None else "averaged"
    return f"Iteration {iteration}, the networks' {weights} weights."


def _logged(values: dict[str, float], split: str) -> dict[str, float]:
    """Name what goes to the loggers; a value for each class of labels goes on the card alone."""
    return {f"{split}/{name}": value for name, value in values.items() if CLASS not in name}


def _can_judge_classes(fake: Fakes) -> bool:
    logits, intended = fake.features.logits, fake.intended
    return logits is not None and intended is not None and int(intended.max()) < logits.shape[1]


def _of_the_test(fake: Fakes) -> dict[str, float]:
    """Return the time to generate an image and, from a classifier, the share of each class."""
    values = {"ms_per_image": fake.ms_per_image}
    if fake.features.logits is not None:
        shares = class_histogram(fake.features.logits).tolist()
        values |= {f"class_{index}": share for index, share in enumerate(shares)}
    return values
