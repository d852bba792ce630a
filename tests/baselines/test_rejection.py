"""Rejection against a plain loop over tries."""

import pytest
import tiny
import torch

from lit_synth.baselines.rejection import Rejection
from lit_synth.features.base import Extractor, Features
from lit_synth.features.classifier import ReleaseClassifier
from lit_synth.releases.format import load_release
from lit_synth.stages import Stage

pytestmark = pytest.mark.usefixtures("workdir")


class BrightestPart(Extractor):
    """Reads an image as the one of eight pairs of rows that is brightest, for its place."""

    num_classes = 8

    def __init__(self):
        super().__init__()
        generator = load_release("sources/plain").network("generator")
        z = torch.randn(500, generator.latent_dim, generator=torch.Generator().manual_seed(1))
        self.usual = generator(z).detach().mean(0)

    def forward(self, images):
        logits = (images - self.usual).mean(1).unflatten(1, (8, 2)).mean((2, 3))
        return Features(logits, logits)


def rejection(classifier=None, **settings):
    classifier = classifier or ReleaseClassifier("sources/classifier")
    return Rejection("sources/plain", classifier, [2, 7], [Stage("nothing", 1)], **settings)


def test_the_first_image_read_as_the_class_is_kept_else_the_likeliest():
    method = rejection(BrightestPart(), tries=6)
    batch = method.prior(20, torch.Generator().manual_seed(0))
    images = method.generator(batch["z"].flatten(0, 1))
    read = method.classifier(images).logits.softmax(dim=1).unflatten(0, (20, 6))
    kept, hits = [], 0
    for i, wanted in enumerate(batch["label"].tolist()):
        read_as_it = [t for t in range(6) if read[i, t].argmax() == wanted]
        hits += bool(read_as_it)
        kept.append((read_as_it or [int(read[i, :, wanted].argmax())])[0])
    assert 0 < hits < 20  # both rules are met
    expected = images.unflatten(0, (20, 6))[torch.arange(20), torch.tensor(kept)]
    torch.testing.assert_close(method.generate(batch), expected)


def test_one_try_is_the_generator_itself():
    method = rejection(tries=1)
    batch = method.prior(4, torch.Generator().manual_seed(0))
    torch.testing.assert_close(method.generate(batch), method.generator(batch["z"][:, 0]))


def test_predict_works_in_inference_mode():
    method = rejection(tries=3)
    images = tiny.draw(method)
    with torch.inference_mode():
        assert torch.equal(tiny.draw(method), images)
