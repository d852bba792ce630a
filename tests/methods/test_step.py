"""StEP against its published losses, stage by stage."""

from dataclasses import replace

import pytest
import tiny
import tiny_scenes
import torch

from lit_synth.contracts.translator import HasStyles, MakesStyles, ReadsStyles, Translator
from lit_synth.errors import InputError
from lit_synth.features.stages import StageLoss
from lit_synth.stages import Stage

pytestmark = pytest.mark.usefixtures("workdir")

ENCODE = Stage("encode", 3, weights={"triplet": 1.0})
GENERATE = Stage("generate", 3, freeze=["encoder"], weights={"translation": 1.0})
FINETUNE = Stage("finetune", 3, weights={"translation": 1.0})
MAP = Stage("map", 3, freeze=["encoder", "generator"], weights={"imle": 1.0})


def step(*stages, pairs=10, **settings):
    method, _ = tiny.build("translation/step", **settings)
    method.stages = list(stages)
    return method, tiny_scenes.TinyScenes({"pairs": ["rgb", "nir"]}, scenes_per_set=pairs)


def fitted(*stages, **settings):
    """Return a method after some iterations in float64, and what its steps did."""
    method, data = step(*stages, **settings)
    method.double()
    record = tiny.Minimized(method)
    tiny.fit(method, data, precision="64-true")
    return method, record, data


def changed(before, method):
    return tiny.changed_networks(before, tiny.state(method))


def test_triplets_are_the_published_formula():
    method, data = step(replace(ENCODE, iterations=1), lambda_l2=0.3, margin=0.2)
    method.double()
    before = tiny.copy.deepcopy(method)
    rng = torch.Generator()
    rng.set_state(method.draws.rng.get_state())
    record = tiny.Minimized(method)
    tiny.fit(method, data, precision="64-true")
    anchor = torch.randint(10, (3,), generator=rng)
    shares = torch.rand(3, generator=rng), torch.rand(3, generator=rng)
    near = method.neighbours.near[anchor, (shares[0] * 2).long()]
    far = method.neighbours.far[anchor, (shares[1] * 3).long()]
    images = data.training_set("pairs")
    z = []
    for positions in (anchor, near, far):
        mean, log_variance = before.encoder(images.fetch(positions)["rgb"].double())
        z.append(mean + log_variance.exp().sqrt())
    loss = 0
    for a, p, n in zip(*z, strict=True):
        loss = loss + max(((a - p) ** 2).sum() - ((a - n) ** 2).sum() + 0.2, 0) / 3
    loss = loss + 0.3 * sum((each**2).mean() for each in z)
    torch.testing.assert_close(record.losses[0], loss.detach())
    slow = tiny.gradients(loss, before.encoder)
    torch.testing.assert_close(record.of(0, "encoder"), list(slow))


@pytest.mark.parametrize("frozen", [True, False])
def test_translation_is_the_published_formula(frozen):
    weights = {"lambda_gan": 2.0, "lambda_rec": 0.5, "lambda_l1": 3.0, "lambda_l2": 0.3}
    stage = replace(GENERATE if frozen else FINETUNE, iterations=1)
    method, data = step(stage, **weights)
    method.double()
    before = tiny.copy.deepcopy(method)
    record = tiny.Minimized(method)
    tiny.fit(method, data, precision="64-true")
    (batch,) = [b for _, b in zip(range(1), data.train_dataloader(), strict=False)]
    x, y = (batch["pairs"][name].double() for name in ("nir", "rgb"))
    mean, log_variance = before.encoder(y)
    z = mean + log_variance.exp().sqrt()
    made = before.generator(x, z)
    d = before.discriminator
    true, fake = d(torch.cat([y, x], 1)), d(torch.cat([made.detach(), x], 1))
    loss = 2 * sum(((t - 1) ** 2).mean() + (f**2).mean() for t, f in zip(true, fake, strict=True))
    torch.testing.assert_close(record.losses[0], loss.detach())

    # By now the discriminator has moved.
    loss = 2 * sum(((t - 1) ** 2).mean() for t in method.discriminator(torch.cat([made, x], 1)))
    seen = [StageLoss().features(each) for each in (made, y)]
    for i, (ours, theirs) in enumerate(zip(*seen, strict=True)):
        part = ((0.1 * (ours - theirs)) ** 2).mean()
        loss = loss + 0.5 * part * 2.0 ** (i - len(seen[0]))
    loss = loss + 3 * (made - y).abs().mean() + 0.3 * (z**2).mean()
    torch.testing.assert_close(record.losses[1], loss.detach())
    slow = tiny.gradients(loss, before.generator)
    torch.testing.assert_close(record.of(1, "generator"), list(slow))
    got = record.of(1, "encoder")
    if frozen:
        assert got == [None] * len(got)
    else:
        torch.testing.assert_close(got, list(tiny.gradients(loss, before.encoder)))


def test_the_encoder_is_the_same_bit_for_bit_until_it_is_thawed():
    method, data = step(GENERATE)
    before = tiny.state(method)
    tiny.fit(method, data)
    assert changed(before, method) == {"discriminator", "generator", "mapper"}
    assert before["mapper.body.0.weight"].equal(method.mapper.body[0].weight)  # codes are measured
    method, data = step(FINETUNE)
    before = tiny.state(method)
    tiny.fit(method, data)
    assert "encoder" in changed(before, method)


def test_codes_come_from_the_nearest_inputs():
    method, _, _ = fitted(replace(MAP, iterations=1))
    rng = torch.Generator()
    rng.set_state(method.draws.rng.get_state())
    inputs = method.nearest_inputs()
    n = len(method.codes)
    noise = torch.randn(10 * n, 3, generator=rng).double()
    jitter = torch.randn(n, 3, generator=rng).double()
    mapped = method.mapper(noise)
    for code, found, moved in zip(method.codes, inputs, jitter, strict=True):
        nearest = ((mapped - code) ** 2).sum(1).argmin()
        torch.testing.assert_close(found, noise[nearest] + 0.01 * moved)


def test_styles_are_independent_until_the_mapper_has_been_trained():
    method, _, _ = fitted(GENERATE)
    for contract in (Translator, HasStyles, ReadsStyles, MakesStyles):
        assert isinstance(method, contract)
    noise = torch.randn(4, 3)
    expected = method.codes.mean(0) + method.codes.std(0) * noise
    torch.testing.assert_close(method.styles_of(noise), expected)
    method, _, _ = fitted(MAP)
    assert torch.equal(method.styles_of(noise), method.mapper(noise.double()))


@pytest.mark.parametrize("stage", [ENCODE, MAP])
def test_a_stopped_stage_goes_on_as_if_it_had_not(stage):
    whole, data = step(GENERATE, replace(stage, iterations=4))
    tiny.fit(whole, data)
    first, data = step(GENERATE, replace(stage, iterations=2))
    tiny.fit(first, data).save_checkpoint("saved.ckpt")
    second, data = step(GENERATE, replace(stage, iterations=4))
    tiny.trainer().fit(second, data, ckpt_path="saved.ckpt", weights_only=True)
    for key, value in whole.state_dict().items():
        assert torch.equal(second.state_dict()[key], value), key


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="there are 10 images, and each is to have 2 near and 13"):
        fitted(ENCODE, k_far=13)
    with pytest.raises(InputError, match="no training set holds infrared"):
        fitted(ENCODE, target="infrared")
    for weights in ({}, {"triplet": 1.0, "imle": 1.0}):
        with pytest.raises(InputError, match="expected one of triplet, translation, imle"):
            tiny.build(
                "translation/step", stages=[{"name": "x", "iterations": 1, "weights": weights}]
            )
