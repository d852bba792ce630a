import pytest
import torch

from lit_synth.errors import InputError
from lit_synth.features.base import Features
from lit_synth.metrics.fid import fid
from lit_synth.metrics.kid import kid
from lit_synth.metrics.memorisation import memorisation
from lit_synth.metrics.suite import NAMES, measure


def features(n, seed):
    values = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))
    values = values / values.norm(dim=1, keepdim=True)  # as CMMD wants them
    return Features(values, values[:, :3])


REAL, FAKE, TRAIN = features(30, 0), features(20, 1), features(25, 2)


def test_every_name_is_measured():
    intended = FAKE.logits.argmax(1)
    values = measure(REAL, FAKE, NAMES, intended=intended, train=TRAIN, seed=4)
    assert set(values) == {
        *("fid", "cmmd", "fid_low", "fid_high", "fid_floor", "kid", "kid_std", "mind", "kmmd"),
        *("kmmd_bandwidth", "mv", "mv_distance", "precision", "recall", "f_score"),
        *("density", "coverage", "accuracy", "classifier_error"),
        *("memorisation_ratio", "memorisation_share"),
        *("memorised", "memorised_floor", "memorised_excess", "on_manifold"),
    }
    assert all(isinstance(value, float) for value in values.values())
    assert values["fid"] == fid(REAL.features, FAKE.features)
    assert values["kid"] == kid(REAL.features, FAKE.features, seed=4).value
    assert (values["accuracy"], values["classifier_error"]) == (1, 0)
    found = memorisation(TRAIN.features, REAL.features, FAKE.features, seed=4)
    assert values["memorisation_share"] == found.share


def test_only_what_is_asked_for_is_measured():
    assert list(measure(REAL, FAKE, ["recall", "mv"])) == ["recall", "mv"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fidd", "choose among fid"),
        ("accuracy", "intended class"),
        ("memorisation", "trained on"),
        ("fid_floor", "trained on"),
    ],
)
def test_what_is_missing_is_named(name, message):
    with pytest.raises(InputError, match=message):
        measure(REAL, FAKE, [name])
