"""Comparing the images that a method generates with real ones, as an extractor sees both."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lit_synth.contracts.data import Images, split_of
from lit_synth.contracts.generator import HasLayouts
from lit_synth.evaluation.extractors import choose_extractor, features_of
from lit_synth.evaluation.layouts import LayoutMeasures
from lit_synth.evaluation.settings import EvaluationSettings
from lit_synth.features.base import Extractor, Features, extract
from lit_synth.inference.ask import draw
from lit_synth.inference.inputs import inputs
from lit_synth.method import Method
from lit_synth.metrics.card import Card, caution
from lit_synth.metrics.classification import class_histogram
from lit_synth.metrics.suite import measure

TEST_METRICS = (
    "fid",
    "fid_interval",
    "fid_floor",
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
    "memorisation",
)


class Fakes(NamedTuple):
    """Generated images as an extractor sees them.

    Attributes:
        features: Features of all of them.
        intended: Class (N,) meant for each, or None.
        ms_per_image: Time to generate one, in the fastest of the batches.
    """

    features: Features
    intended: Tensor | None
    ms_per_image: float

    @property
    def classes_are_judged(self) -> bool:
        """Whether images have intended classes that the extractor can tell."""
        logits, intended = self.features.logits, self.intended
        return logits is not None and intended is not None and int(intended.max()) < logits.shape[1]


class GenerationEvaluation:
    """Compares generated images with a split's; by `test`, also with the training images.

    Args:
        method: Generates.
        data: Data module of images.
        settings: What is measured, of how many images, by whose features.
    """

    def __init__(self, method: Method, data: object, settings: EvaluationSettings) -> None:
        self.method, self.data, self.settings = method, data, settings
        extractor = choose_extractor(settings.extractor, split_of(data, "train"))
        self.extractor = extractor.to(method.device)
        self._features: dict[str, Features] = {}
        self.layouts: LayoutMeasures | None = None
        if isinstance(method, HasLayouts) and settings.segmenter is not None:
            self.layouts = LayoutMeasures(settings.segmenter, method.device)

    def prepare(self, split: str) -> None:
        """Look at the real images; InputError if the extractor was trained on any of them."""
        self._real(split, unseen=True)

    def measure(self, split: str, testing: bool, last: bool) -> dict[str, float]:  # noqa: ARG002 - the same in training
        """Return the values of the method, in the mode and with the weights that it has.

        Args:
            split: Name of the real images that its images are compared with.
            testing: Measure everything: memorisation of the training images, the time to generate
                an image, and the share of fakes in each class, too?
            last: Changes nothing here.
        """
        settings, real = self.settings, self._real(split, unseen=True)
        images = split_of(self.data, split)
        fake = generated(
            self.extractor, self.method, images, settings.n_fake, settings.batch_size, settings.seed
        )
        train = self._real("train", unseen=False) if testing else None
        tested = (*TEST_METRICS, *self.extractor.metrics) if testing else ()
        names = list(dict.fromkeys([*settings.metrics, *tested]))
        if train is not None and len(train.features) < 2:
            names.remove("fid_floor")  # one image has no covariance
        if fake.classes_are_judged and "accuracy" not in names:
            names.append("accuracy")
        values = measure(
            real, fake.features, names, intended=fake.intended, train=train, seed=settings.seed
        )
        if self.layouts is not None:
            asked = (settings.n_fake, settings.batch_size, settings.seed)
            values |= self.layouts.measure(self.method, *asked)
        return values | _of_the_test(fake) if testing else values

    def card(self, split: str, origin: str) -> Card:
        """Return the card of what was measured on a split, `origin` being the weights'."""
        images, settings = split_of(self.data, split), self.settings
        facts = (len(images), settings.n_fake, split, settings.seed, images.sha256)
        return Card.of(self.extractor, *facts, note=" ".join([origin, *self._cautions(split)]))

    def _cautions(self, split: str) -> list[str]:
        """Return what the numbers of images forbid to conclude."""
        n_train, n_fake = len(split_of(self.data, "train")), self.settings.n_fake
        cautions = caution(len(split_of(self.data, split)))
        if split == "test" and n_train < n_fake:
            cautions.append(
                f"fid_floor is of all {n_train} training images, fewer than the {n_fake} generated "
                "ones, which makes it too high."
            )
        return cautions

    def _real(self, split: str, unseen: bool) -> Features:
        """Return the features of a split: computed once."""
        if split not in self._features:
            images = split_of(self.data, split)
            self._features[split] = features_of(self.extractor, images, unseen)
        return self._features[split]


def generated(
    extractor: Extractor, method: Method, real: Images, n: int, batch_size: int, seed: int
) -> Fakes:
    """Generate `n` images in batches of one size, and look at them.

    Args:
        extractor: Looks at them.
        method: Generates them, in the mode and with the weights that it has.
        real: Images that a method that translates starts from.
        n: Number of images kept; the last batch may make more.
        batch_size: Number of images made at once.
        seed: Seeds the priors.
    """
    rng = torch.Generator().manual_seed(seed)
    intended: list[Tensor] = []
    seconds: list[float] = []

    def batches() -> Iterator[Tensor]:
        for start in range(0, n, batch_size):
            prior = method.prior(batch_size, rng)
            batch = inputs(method, real, prior, start)
            began = time.perf_counter()
            images = draw(method, batch)  # ends with a look at the pixels: waits for the device
            seconds.append(time.perf_counter() - began)
            if "label" in prior:
                intended.append(prior["label"][: n - start])
            yield images[: n - start]

    features = extract(extractor, batches())
    return Fakes(
        features, torch.cat(intended) if intended else None, 1000 * min(seconds) / batch_size
    )


def _of_the_test(fake: Fakes) -> dict[str, float]:
    """Return the time to generate an image and, from a classifier, the share of each class."""
    values = {"ms_per_image": fake.ms_per_image}
    if fake.features.logits is not None:
        shares = class_histogram(fake.features.logits).tolist()
        values |= {f"class_{index}": share for index, share in enumerate(shares)}
    return values
