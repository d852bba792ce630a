"""Label maps: values known by hand, and what does not count."""

import pytest
import torch

from lit_synth.errors import InputError
from lit_synth.metrics.segmentation import Segmentation, confusion_matrix


def measured(prediction, truth, num_classes=3, names=()):
    judge = Segmentation(num_classes, names)
    judge.update(torch.tensor([[prediction]]), torch.tensor([[truth]]))
    return judge.values()


def test_by_hand():
    values = measured([0, 0, 1, 1, 1], [0, 1, 1, 1, 0])
    assert values == {
        "miou": pytest.approx((1 / 3 + 2 / 4) / 2),
        "accuracy": 3 / 5,
        "iou_0": pytest.approx(1 / 3),
        "iou_1": pytest.approx(2 / 4),
    }


def test_a_constant_prediction_has_the_share_of_its_class():
    truth = torch.randint(4, (3, 8, 8), generator=torch.Generator().manual_seed(0))
    judge = Segmentation(4)
    judge.update(torch.full_like(truth, 1), truth)
    share = float((truth == 1).double().mean())
    values = judge.values()
    assert values["accuracy"] == values["iou_1"] == share
    assert values["miou"] == pytest.approx(share / 4)


def test_a_class_that_is_only_predicted_counts_as_0_and_one_that_is_nowhere_does_not():
    values = measured([2, 1], [1, 1], 4)
    assert values["miou"] == pytest.approx((1 / 2 + 0) / 2)
    assert values.keys() == {"miou", "accuracy", "iou_1", "iou_2"}


def test_ignored_pixels_change_nothing():
    ignored = measured([0, 1, 2, 0], [0, 1, 255, 255], names=("sky", "sea", "sand"))
    assert ignored == measured([0, 1], [0, 1], names=("sky", "sea", "sand"))
    assert ignored["iou_sea"] == 1


def test_batches_are_pooled_by_pixels():
    rng = torch.Generator().manual_seed(1)
    made, truth = torch.randint(3, (2, 6, 4, 4), generator=rng)
    whole, parts = Segmentation(3), Segmentation(3)
    whole.update(made, truth)
    for a, b in zip(made.split(4), truth.split(4), strict=True):
        parts.update(a, b)
    assert parts.values() == whole.values()


def test_rows_of_the_matrix_are_the_truth():
    matrix = confusion_matrix(torch.tensor([[[0, 0]]]), torch.tensor([[[1, 1]]]), 2)
    assert matrix.tolist() == [[0, 0], [2, 0]]


@pytest.mark.parametrize(
    ("prediction", "truth", "sentence"),
    [
        ([3], [0], "predicted labels run from 3 to 3, expected 0 to 2"),
        ([0], [-1], "true labels run from -1 to -1"),
        ([0], [255], "No pixel has a known class"),
    ],
)
def test_bad_input(prediction, truth, sentence):
    with pytest.raises(InputError, match=sentence):
        measured(prediction, truth)
