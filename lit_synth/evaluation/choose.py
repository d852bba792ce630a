"""Which evaluation a method gets, by what it can do."""

from typing import Protocol

from lit_synth.contracts.classifier import Classifier
from lit_synth.contracts.data import translation_data
from lit_synth.contracts.translator import Translator
from lit_synth.evaluation.classification import ClassificationEvaluation
from lit_synth.evaluation.generation import GenerationEvaluation
from lit_synth.evaluation.settings import EvaluationSettings
from lit_synth.evaluation.translation.measures import TranslationEvaluation
from lit_synth.method import Method
from lit_synth.metrics.card import Card


class Evaluation(Protocol):
    """What one kind of method is asked, on one set of data."""

    def prepare(self, split: str) -> None:
        """Do what the method need not be trained for: what cannot be measured is known early."""

    def measure(self, split: str, testing: bool, last: bool) -> dict[str, float]:
        """Return the values of the method, in the mode and with the weights that it has.

        Args:
            split: Name of the real data that it is compared with.
            testing: Measure all that is measured by `test` alone, too?
            last: Measure what is too long for an evaluation in the middle of training, too?
        """

    def card(self, split: str, origin: str) -> Card:
        """Return the card of what was measured on a split, `origin` being the weights'."""


def choose_evaluation(method: Method, data: object, settings: EvaluationSettings) -> Evaluation:
    """Return the evaluation of a method on the data of its run."""
    if isinstance(method, Translator):
        return TranslationEvaluation(method, translation_data(data), settings)
    if isinstance(method, Classifier):
        return ClassificationEvaluation(method, data, settings)
    return GenerationEvaluation(method, data, settings)
