"""The score of images in the style of people, and of these people's images, by their formulas."""

import numpy as np
import pytest
import tiny_people
import torch
import torch.nn.functional as F
from torch import nn

from lit_synth.contracts.translator import Translation
from lit_synth.evaluation.translation.people import PeopleMeasures


class Copies(nn.Module):
    """Makes of every mask the second image that it is shown."""

    references = "references"

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

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
        for label, letter in enumerate("abcd"):
            found = values[f"{name}/grey_{letter}"]
            assert found == pytest.approx(correlation(images, x, label), abs=1e-5)
    foreign = shown.roll(8, 0)[:, 1]
    assert values["foreign/openeds"] == pytest.approx(score(foreign, truth), rel=1e-6)


def correlation(images, x, label):
    """Pearson's, of the mean grey of a class in each pair that has it."""
    made, true = [], []
    for y, t, mask in zip(images, x["image"], x["mask"], strict=True):
        if (mask == label).any():
            made.append(float(y[0][mask == label].mean()))
            true.append(float(t[0][mask == label].mean()))
    return float(np.corrcoef(made, true)[0, 1])


class FirstGrey:
    """Reads the class of a pixel off its grey, as the people of the tiny data have them."""

    def translations(self):
        return [Translation(("image",), ("mask",))]

    def translate(self, x, _):
        return (x["image"][:, 0] > 0).long()


def test_masks_are_read_off_what_is_made_and_off_the_truth():
    data = tiny_people.TinyPeople(references=2)
    measures = PeopleMeasures(data)
    measures.segmenter = FirstGrey()
    values = measures.measure(Copies(), "val")
    x = data.split("val").fetch(range(16))
    for name, images in {"true": x["image"], "mask_to_image": x["references"][:, 1]}.items():
        read = (images[:, 0] > 0).long()
        ious = [
            float(((read == c) & (x["mask"] == c)).sum() / ((read == c) | (x["mask"] == c)).sum())
            for c in range(4)
        ]
        assert values[f"{name}/mask_miou"] == pytest.approx(sum(ious) / 4, abs=1e-6)
