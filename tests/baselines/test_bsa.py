"""BSA against its published loss, and where its scales and shifts act."""

import copy

import pytest
import tiny
import torch
from torch import nn

from lit_synth.baselines.bsa import BSA
from lit_synth.errors import InputError
from lit_synth.features.classifier import ReleaseClassifier
from lit_synth.networks.dcgan_mnist import MnistGenerator
from lit_synth.releases.format import load_release, save_release
from lit_synth.stages import Stage

pytestmark = pytest.mark.usefixtures("workdir")


def bsa(source="sources/plain", features=None, iterations=1, **settings):
    """Return a BSA whose scales, shifts and latents have left their starting values."""
    method = BSA(source, 5, [Stage("adapt", iterations)], features, **settings)
    rng = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for each in [*method.scales, *method.shifts, method.latents]:
            each.add_(0.3 * torch.randn(each.shape, generator=rng))
    return method


def with_layers_inserted(method):
    """Return the generator with scales and shifts as layers of their own, by forward hooks."""
    generator = copy.deepcopy(method.generator)
    pairs = zip(method.adapted_layers, method.scales, method.shifts, strict=True)
    for name, scale, shift in pairs:

        def change(_layer, _args, out, scale=scale, shift=shift):
            if out.ndim == 2:  # the first linear layer, which makes a map of 4x4 pixels
                maps = out.unflatten(1, (-1, 4, 4))
                return (maps * scale[:, None, None] + shift[:, None, None]).flatten(1)
            return out * scale[:, None, None] + shift[:, None, None]

        generator.get_submodule(name).register_forward_hook(change)
    return generator


def test_loss_and_gradients_equal_the_published_formula():
    method = bsa(features=ReleaseClassifier("sources/classifier"))
    x, index = tiny.images(4), torch.tensor([3, 0, 4, 1])
    before, rng, record = tiny.iterate(method, {"image": x, "index": index})

    z = torch.stack([before.latents[k] for k in index])
    jitter = torch.randn(4, 8, generator=rng, dtype=torch.float64)
    r = torch.randn(40, 8, generator=rng, dtype=torch.float64)
    x_rec = with_layers_inserted(before)(z + 0.01 * jitter)
    loss = (x_rec - x).abs().mean()
    theirs, ours = (before.features(each).features for each in (x, x_rec))
    loss = loss + 0.001 * (theirs - ours).abs().mean()
    to_prior = [min((each - other).square().sum() for other in r) for each in z]
    to_latents = [min((each - other).square().sum() for other in z) for each in r]
    loss = loss + 0.1 * (sum(to_prior) / 4 + sum(to_latents) / 40)
    for scale, shift in zip(before.scales, before.shifts, strict=True):
        loss = loss + 0.02 * (((scale - 1) ** 2).mean() + (shift**2).mean())
    torch.testing.assert_close(record.losses[0], loss.detach())

    learned = [*before.scales, *before.shifts, before.latents]
    ours = [*record.of(0, "scales"), *record.of(0, "shifts"), *record.of(0, "latents")]
    torch.testing.assert_close(ours, list(torch.autograd.grad(loss, learned)))
    assert record.gradients[0]["latents"][2].abs().sum() == 0  # the image that was not drawn


@pytest.mark.parametrize(
    ("source", "layers"),
    [
        ("sources/plain", ["fc", "body.1", "body.3"]),
        (
            "sources/normed",
            ["fc", *(f"body.{i}.norm{j}" for i in (0, 1) for j in (1, 2)), "norm"],
        ),
        ("mnist", ["fc", "deconv1", "deconv2"]),
    ],
)
def test_folding_equals_layers_in_between(source, layers):
    mnist = tiny.randomise(MnistGenerator(8, 4), torch.Generator().manual_seed(0))
    save_release("mnist", {"generator": mnist}, "# MNIST\n")
    method = bsa(source)
    assert list(method.adapted_layers) == layers
    z = torch.randn(3, 8)
    torch.testing.assert_close(method.generate({"z": z}), with_layers_inserted(method)(z))


def test_it_starts_as_the_source():
    method, z = BSA("sources/normed", 5, [Stage("adapt", 1)]), torch.randn(3, 8)
    source = load_release("sources/normed").network("generator")
    assert torch.equal(method.generate({"z": z}), source(z))
    assert method.latents.abs().sum() == 0


def test_generator_and_its_statistics_stay_as_they_were():
    method = bsa("sources/normed", iterations=2)
    before = tiny.state(method.generator)
    batch = {"image": tiny.images(4).float(), "index": torch.arange(4)}
    tiny.fit(method, [batch])
    assert not tiny.changed_networks(before, tiny.state(method.generator))


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ({}, [1, 1, 1, 1, 0.2, 0.2]),
        ({"lr_scale": 0.5}, [0.5, 0.5, 0.5, 0.5, 0.1, 0.1]),
        ({"decay": "linear"}, [6 / 6, 5 / 6, 4 / 6, 3 / 6, 0.2 * 2 / 6, 0.2 * 1 / 6]),
        ({"warmup": 2}, [1 / 3, 2 / 3, 1, 1, 0.2, 0.2]),
    ],
)
def test_learning_rate_drops_to_a_fifth_of_the_stages_after_two_thirds(stage, expected):
    method, rates = bsa(iterations=6, lr=0.1), []
    method.stages = [Stage("adapt", 6, **stage)]
    minimize = method.minimize

    def record(loss, optimizer):
        rates.append(optimizer.param_groups[0]["lr"])
        minimize(loss, optimizer)

    method.minimize = record
    tiny.fit(method, [{"image": tiny.images(4).float(), "index": torch.arange(4)}])
    assert rates == pytest.approx([0.1 * each for each in expected])


def test_samples_come_from_the_truncated_prior():
    z = bsa(truncation=0.3).prior(2000, torch.Generator().manual_seed(0))["z"]
    assert z.abs().max() <= 0.3
    # A normal cut this near 0 is almost uniform.
    assert z.std().item() == pytest.approx(0.3 / 3**0.5, rel=0.02)


def test_release_is_a_plain_generator_with_everything_folded_in():
    method, z = bsa(), torch.randn(3, 8)
    networks, extra = method.release()
    release = load_release(save_release("release", networks, "# Adapted\n", extra))
    torch.testing.assert_close(release.network("generator")(z), method.generate({"z": z}))
    assert isinstance(release.network("generator"), nn.Module)
    assert release.extra == {"truncation": 0.3}


def test_more_images_than_latents_is_said():
    batch = {"image": tiny.images(4).float(), "index": torch.tensor([0, 1, 2, 5])}
    with pytest.raises(InputError, match="n_images is 5, but a batch holds training image 5"):
        tiny.fit(bsa(), [batch])


def test_conditional_source_is_refused():
    with pytest.raises(InputError, match="has 3 classes, but BSA"):
        bsa("sources/conditional")
