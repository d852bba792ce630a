"""The score of images in the style of people, and of these people's images, by their formulas."""

import pytest
import tiny_people
import torch
import torch.nn.functional as F

from lit_synth.contracts.translator import Translation
from lit_synth.evaluation.translation.people import PeopleMeasures


class Copies:
    """Makes of every mask the second image that it is shown."""

    references = "references"
    device = torch.device("cpu")

    def translations(self):
        return [Translation(("mask",), ("image",))]

    def translate(self, x, _):
        return x["references"][:, 1]


def score(images, truth):
    large = [F.interpolate(x.double(), (640, 400), mode="bilinear") for x in (images, truth)]
    apart = [(127.5 * (p - t)).square().sum().sqrt() / 256_000 for p, t in zip(*large, strict=True)]
    return 1471 * float(sum(apart)) / len(apart)


def energy(x):
    across, down = x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]
    return across.square().mean() + down.square().mean()


def test_it_is_that_of_the_method_beside_that_of_the_people():
    data = tiny_people.TinyPeople(references=3)
    values = PeopleMeasures(data).measure(Copies(), "val")
    x, pool = data.split("val").fetch(range(16)), data.pool("val").fetch(range(20))
    truth, shown = x["image"], x["references"]
    means = torch.stack([pool["image"][pool["person"] == who].mean(0) for who in x["person"]])
    for name, images in {
        "mask_to_image": shown[:, 1],
        "nearest": shown[:, 0],
        "nearest_mean": shown.mean(1),
        "person_mean": means,
    }.items():
        assert values[f"{name}/openeds"] == pytest.approx(score(images, truth), rel=1e-6)
        sharp = float(energy(images.double()) / energy(truth.double()))
        assert values[f"{name}/sharpness"] == pytest.approx(sharp, rel=1e-5)
    assert len(values) == 8
