"""DGN-AM against its update rule, one image at a time."""

import pytest
import tiny
import torch

from lit_synth.baselines.dgn_am import DGNAM
from lit_synth.errors import InputError
from lit_synth.features.classifier import ReleaseClassifier
from lit_synth.stages import Stage

pytestmark = pytest.mark.usefixtures("workdir")


def dgn_am(source="sources/plain", targets=(2, 7), **settings):
    classifier = ReleaseClassifier("sources/classifier")
    return DGNAM(source, classifier, list(targets), [Stage("nothing", 1)], **settings)


def slow_code(method, z, label):
    """Move one code by the rule as it is printed."""
    for t in range(method.steps):
        z = z.detach().requires_grad_()
        method.classifier(method.generator(z[None])).logits[0, label].backward()
        size = method.step_size * (method.steps - t) / method.steps
        z = method.decay * (z + size * z.grad / z.grad.abs().mean()).clamp(-3, 3)
    return z.detach()


def test_codes_follow_the_rule():
    method = dgn_am(steps=4, step_size=0.5).double()
    batch = method.prior(4, torch.Generator().manual_seed(0))
    batch["z"] = batch["z"].double() * 2
    slow = torch.stack(
        [slow_code(method, *each) for each in zip(batch["z"], batch["label"], strict=True)]
    )
    torch.testing.assert_close(method.generate(batch), method.generator(slow))


def test_it_raises_the_wanted_logit():
    method = dgn_am(steps=50)
    batch = method.prior(6, torch.Generator().manual_seed(0))

    def wanted(images):
        return method.classifier(images).logits.gather(1, batch["label"][:, None])

    assert (wanted(method.generate(batch)) > wanted(method.generator(batch["z"]))).all()


def test_it_works_in_inference_mode():
    method = dgn_am(steps=3)
    images = tiny.draw(method)
    with torch.inference_mode():
        assert torch.equal(tiny.draw(method), images)


def test_targets_take_turns():
    label = dgn_am(targets=(7, 2, 9)).prior(5, torch.Generator())["label"]
    assert label.tolist() == [7, 2, 9, 7, 2]


@pytest.mark.parametrize("targets", [(), (10,), (-1,), (2, 11)])
def test_classes_that_the_classifier_lacks_are_said(targets):
    with pytest.raises(InputError, match="give one or more of the classifier's classes, 0 to 9"):
        dgn_am(targets=targets)


def test_conditional_source_is_refused():
    with pytest.raises(InputError, match="has 3 classes, but images of"):
        dgn_am("sources/conditional")
