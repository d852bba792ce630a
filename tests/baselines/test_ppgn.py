"""PPGN against its update rule, one image at a time, and its denoiser's loss."""

import pytest
import tiny
import torch

from lit_synth.baselines.ppgn import PPGN
from lit_synth.errors import InputError
from lit_synth.features.classifier import ReleaseClassifier
from lit_synth.stages import Stage

pytestmark = pytest.mark.usefixtures("workdir")


def ppgn(source="sources/plain", targets=(2, 7), iterations=1, **settings):
    torch.manual_seed(0)
    classifier = ReleaseClassifier("sources/classifier")
    stages = [Stage("denoise", iterations)]
    return PPGN(source, classifier, list(targets), stages, **({"hidden": [16]} | settings))


def slow_code(method, h, label, noise):
    """Move one code by eq. 11."""
    for each in noise:
        h = h.detach().requires_grad_()
        logits = method.classifier(method.generator(h[None])).logits[0]
        logits.softmax(0)[label].log().backward()
        prior = method.denoiser(h[None])[0] - h
        h = h + method.epsilon_1 * prior + method.epsilon_2 * h.grad + method.epsilon_3 * each
        h = h.clamp(-3, 3)
    return h.detach()


def test_codes_follow_the_rule():
    method = ppgn(steps=4, epsilon_2=0.5).double()
    batch = method.prior(4, torch.Generator().manual_seed(0))
    batch |= {"z": 2 * batch["z"].double(), "noise": batch["noise"].double()}
    each = zip(batch["z"], batch["label"], batch["noise"], strict=True)
    slow = torch.stack([slow_code(method, *one) for one in each])
    torch.testing.assert_close(method.generate(batch), method.generator(slow))


def test_denoiser_loss_and_gradients_equal_the_mean_squared_error():
    method = ppgn()
    before, rng, record = tiny.iterate(method, {"image": tiny.images(6)})
    h = torch.randn(6, 8, generator=rng, dtype=torch.float64)
    noisy = h + 0.5 * torch.randn(6, 8, generator=rng, dtype=torch.float64)
    loss = (before.denoiser(noisy) - h).square().mean()
    torch.testing.assert_close(record.losses[0], loss.detach())
    torch.testing.assert_close(
        record.of(0, "denoiser"), list(tiny.gradients(loss, before.denoiser))
    )


def test_denoiser_learns_to_shrink():
    method = ppgn(iterations=300, lr=1e-2, hidden=[32])
    tiny.fit(method, [{"image": torch.zeros(64, 1, 16, 16)}])
    h = torch.randn(200, 8, generator=torch.Generator().manual_seed(1))
    # The best denoiser of codes N(0, I) from noise of variance s^2 is h / (1 + s^2).
    slope = (method.denoiser(h) * h).sum() / h.square().sum()
    assert slope.item() == pytest.approx(1 / 1.25, abs=0.1)


def test_it_raises_the_wanted_probability():
    method = ppgn(steps=50, epsilon_2=1.0)
    batch = method.prior(60, torch.Generator().manual_seed(0))

    def wanted(images):
        return method.classifier(images).logits.softmax(1).gather(1, batch["label"][:, None]).mean()

    assert wanted(method.generate(batch)) > wanted(method.generator(batch["z"]))


def test_it_works_in_inference_mode():
    method = ppgn(steps=3)
    images = tiny.draw(method)
    with torch.inference_mode():
        assert torch.equal(tiny.draw(method), images)


@pytest.mark.parametrize("targets", [(), (10,)])
def test_classes_that_the_classifier_lacks_are_said(targets):
    with pytest.raises(InputError, match="give one or more of the classifier's classes, 0 to 9"):
        ppgn(targets=targets)


def test_conditional_source_is_refused():
    with pytest.raises(InputError, match="has 3 classes, but images of"):
        ppgn("sources/conditional")
