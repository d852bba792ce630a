"""Every number that is ever measured has its meaning."""

import pytest
import torch

from lit_synth.metrics import by_kind, suite
from lit_synth.metrics.meanings import arrow, meaning
from lit_synth.reports.styles import BIAS, PLACE


def measured():
    rng = torch.Generator().manual_seed(0)
    values = {}
    for kind, shape in (("image", (2, 3, 4, 4)), ("depth", (2, 1, 4, 4)), ("labels", (2, 4, 4))):
        meter = by_kind.meter(kind, 3, ("bed", "lamp", "wall"))
        made, truth = (torch.rand(shape, generator=rng) + 0.5 for _ in range(2))
        if kind == "labels":
            made, truth = made.long(), truth.long()
        meter.update(made, truth)
        values |= meter.values()
    pair = "alignment/rgb-depth"
    suffixes = ("", "_mismatched", "_raw", "_raw_mismatched", "_retrieval")
    of_suite = [*suite.OF_FEATURES, *suite.OF_LOGITS, "kid", "kid_std", "kmmd", "kmmd_bandwidth"]
    return [
        *of_suite,
        *("mind", "fid_low", "fid_high", "fid_floor", "on_manifold"),
        *("memorised", "memorised_floor", "memorised_excess"),
        *("memorisation_ratio", "memorisation_share", "ms_per_image", "class_3", "class_accuracy"),
        *values,
        *BIAS,
        *PLACE,
        *(
            "misclassified_smile",
            "disagreement_smile",
            "diversity_true",
            "reverse/accuracy",
            "reverse/ceiling",
        ),
        *(f"{pair}{suffix}" for suffix in suffixes),
    ]


@pytest.mark.parametrize("name", measured())
def test_every_metric_has_one(name):
    found = meaning(name)
    assert found is not None
    assert found.sentence.endswith(".")


def test_names_are_read_as_they_stand_on_cards():
    assert meaning("beside/MUNIT/black_to_red/joint_f1").sentence.startswith("`joint` by judge f1")
    assert meaning("rgb_to_depth@batch/rmse") == meaning("rmse")
    assert meaning("reverse/accuracy") != meaning("accuracy") != meaning("x/accuracy", pixels=True)
    of_the_pair = [meaning(f"alignment/near_infrared-depth_map{s}") for s in ("", "_raw")]
    assert of_the_pair == [meaning("alignment/a-b"), meaning("alignment/a-b_raw")]
    assert meaning("luck") is None


def test_arrows():
    assert [arrow(name) for name in ("fid", "mean/joint", "mv", "kid_std", "luck")] == [
        "fid ↓",
        "mean/joint ↑",
        "mv → 1",
        "kid_std",
        "luck",
    ]
