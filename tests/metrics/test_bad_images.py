"""Blurred, noisy and copied images win none of what they once won over fresh real ones."""

import pytest
import torch
import torchvision.transforms.functional as F

from datamodules.worlds.vehicles.world import Vehicles
from lit_synth.features.base import extract
from lit_synth.features.random import RandomFeatures
from lit_synth.metrics.meanings import meaning
from lit_synth.metrics.suite import OF_FEATURES, measure

# What each bad set once won, the way in which it was better, and what is read instead now.
ONCE_WON = [
    ("blurred", "precision", 1, "f_score", 1),
    ("noisy", "recall", 1, "f_score", 1),
    ("noisy", "mv", 1, "mv_distance", -1),
    ("noisy", "memorisation_share", -1, "memorised_excess", -1),
    ("copied", "fid", -1, "memorised_excess", -1),
]


@pytest.fixture(scope="module")
def values():
    world = Vehicles(image_size=16, kinds=["car"], train_images=250, held_out_images=250)
    train, fresh, held_out = (
        world.split(name).fetch(range(250))["image"] for name in ("train", "val", "test")
    )
    noise = torch.randn(fresh.shape, generator=torch.Generator().manual_seed(0))
    images = {
        "fresh": fresh,
        "blurred": F.gaussian_blur(fresh, 7, 1.0),
        "noisy": (fresh + 0.2 * noise).clamp(-1, 1),
        "copied": train,
    }
    extractor = RandomFeatures()
    real, of_train = extract(extractor, held_out), extract(extractor, train)
    names = (*(set(OF_FEATURES) - {"cmmd"}), "kid", "mind", "fid_floor", "memorisation")
    return {
        name: measure(real, extract(extractor, some), names, train=of_train)
        for name, some in images.items()
    }


@pytest.mark.parametrize(("bad", "once", "sign", "now", "sign_now"), ONCE_WON)
def test_what_bad_images_once_won_they_lose(values, bad, once, sign, now, sign_now):
    assert sign * values[bad][once] > sign * values["fresh"][once]
    assert sign_now * values[bad][now] < sign_now * values["fresh"][now]
    assert meaning(now).better == {1: "↑", -1: "↓"}[sign_now]


def test_blur_is_denser_than_reality_and_that_is_no_longer_better(values):
    assert values["blurred"]["density"] > 2 > values["fresh"]["density"]
    assert meaning("density").better == "→ 1"
    assert values["fresh"]["density"] == pytest.approx(1, abs=0.1)


def test_blur_and_noise_memorise_no_less_than_reality(values):
    fresh = values["fresh"]["memorised_excess"]
    assert fresh < 0.05
    assert min(values[bad]["memorised_excess"] for bad in ("blurred", "noisy")) >= fresh


@pytest.mark.parametrize("name", ["fid", "kid", "mind"])
def test_distances_tell_blur_and_noise(values, name):
    assert min(values["blurred"][name], values["noisy"][name]) > 1.5 * values["fresh"][name]


def test_copies_have_the_fid_of_the_training_images_and_all_of_it_is_memorised(values):
    assert values["copied"]["fid"] == pytest.approx(values["copied"]["fid_floor"])
    assert values["copied"]["memorised_excess"] == 1
