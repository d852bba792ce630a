import pytest
import torch

from lit_synth.errors import InputError
from lit_synth.metrics.classification import accuracy, class_histogram, classifier_error

LOGITS = torch.tensor([[2.0, 0, 1], [0, 3, 1], [0, 1, 5], [4, 0, 1]])


def test_shares_of_a_known_case():
    intended = torch.tensor([0, 1, 1, 0])
    assert accuracy(LOGITS, intended) == 0.75
    assert classifier_error(LOGITS, intended) == 0.25
    assert class_histogram(LOGITS).tolist() == [0.5, 0.25, 0.25]


def test_histogram_counts_classes_never_seen():
    assert class_histogram(LOGITS[:1]).tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("intended", "message"),
    [([0, 1, 1], "one intended class per image"), ([0, 1, 2, 3], "knows 0")],
)
def test_classes_that_do_not_fit(intended, message):
    with pytest.raises(InputError, match=message):
        accuracy(LOGITS, torch.tensor(intended))
