"""StarGAN between modalities: WGAN-GP on every modality, and pairs that take turns."""

import pytest
import tiny
import tiny_scenes
import torch
import torch.nn.functional as F

from lit_synth.baselines.stargan_modalities import StarGANModalities
from lit_synth.batches.coding import Coding
from lit_synth.errors import InputError
from lit_synth.stages import Stage

CODINGS = {
    "rgb": Coding("image", 3, "l1"),
    "depth": Coding("depth", 1, "l2"),
    "segmentation": Coding("labels", tiny_scenes.CLASSES),
}
SETS = {"rn": ["rgb", "nir"], "rd": ["rgb", "depth"]}


def stargan(names=tuple(CODINGS), **settings):
    torch.manual_seed(0)
    codings = {name: CODINGS.get(name, Coding("image", 1, "l1")) for name in names}
    settings = {"width": 4, "n_residual": 1, "d_layers": 2, "n_critic": 1} | settings
    return StarGANModalities(codings, [Stage("train", 1)], **settings)


def test_losses_and_gradients_equal_the_published_formulas():
    weights = {"lambda_cls": 2.0, "lambda_cycle": 3.0, "lambda_paired": 5.0, "lambda_gp": 7.0}
    method = stargan(("rgb", "depth", "nir"), **weights)
    batch = tiny_scenes.batch(SETS)
    before, rng, record = tiny.iterate(method, batch)
    make, judge = before.generator, before.discriminator
    code = {s: {m: each.double() for m, each in x.items()} for s, x in batch.items()}
    depth = code["rd"]["depth"]
    code["rd"]["depth"] = torch.where(depth > 0, depth / 3, 1).log()

    # First turn: rgb to depth and nir to rgb are pairs, depth to nir is not.
    turns = [("rgb", "rd", "depth", "rd"), ("depth", "rd", "nir", "rn"), ("nir", "rn", "rgb", "rn")]
    loss = 0
    for number, (source, s, target, t) in zip((1, 2, 0), turns, strict=True):
        y, y_fake = code[t][target], make(code[s][source], source, target).detach()
        label = torch.full((4,), number)
        alpha = torch.rand(4, 1, 1, 1, generator=rng, dtype=torch.float64)
        realness, logits = judge(y, target)
        loss = loss + judge(y_fake, target)[0].mean() - realness.mean()
        loss = loss + 2 * F.cross_entropy(logits, label)
        loss = loss + 7 * tiny.slow_gradient_penalty(
            lambda mix, target=target: judge(mix, target)[0], y, y_fake, alpha
        )
    torch.testing.assert_close(record.losses[0], loss.detach())
    torch.testing.assert_close(record.of(0, "discriminator"), list(tiny.gradients(loss, judge)))

    judge, loss = method.discriminator, 0
    for number, (source, s, target, t) in zip((1, 2, 0), turns, strict=True):
        x, y = code[s][source], code[t][target]
        y_fake = make(x, source, target)
        realness, logits = judge(y_fake, target)
        loss = loss - realness.mean() + 2 * F.cross_entropy(logits, torch.full((4,), number))
        loss = loss + 3 * (make(y_fake, target, source) - x).abs().mean()
        if target == "depth":
            known = batch["rd"]["depth"] > 0
            loss = loss + 5 * (y_fake - y)[known].square().mean()
        elif target == "rgb":
            loss = loss + 5 * (y_fake - y).abs().mean()
    torch.testing.assert_close(record.losses[1], loss.detach())
    torch.testing.assert_close(record.of(1, "generator"), list(tiny.gradients(loss, make)))


def test_all_translations_have_their_turn_once_the_generator_has_moved():
    method, seen = stargan(n_critic=2), []
    turns = method.turns

    def noted(batch):
        all_of_it = list(turns(batch))
        seen.append([(turn.source, turn.target, turn.paired) for turn in all_of_it])
        return all_of_it

    method.turns = noted
    method.stages = [Stage("train", 4)]
    tiny.fit(method, [tiny_scenes.batch()] * 4)
    assert seen[0] == seen[1]
    assert seen[2] == seen[3]
    every = {(source, target) for source, target, _ in seen[0] + seen[2]}
    assert len(every) == 6
    paired = {each[:2] for each in seen[0] + seen[2] if each[2]}
    unseen = {("depth", "segmentation"), ("segmentation", "depth")}
    assert every - paired == unseen


def test_without_a_weight_for_pairs_they_teach_nothing():
    batch = tiny_scenes.batch()
    terms = {}
    for weight in (0.0, 10.0):
        method = stargan(lambda_cycle=0.0, lambda_paired=weight)
        tracked = tiny.tracked_terms(method)
        tiny.fit(method, [batch])
        terms[weight] = tracked[1]
    assert terms[0.0]["g_cycle"] == terms[10.0]["g_cycle"] == 0
    assert terms[0.0]["g_rec"] == 0
    assert terms[10.0]["g_rec"] > 0


def test_the_target_plane_changes_what_is_made():
    method = stargan(("rgb", "nir", "depth")).eval()
    x, generator = tiny_scenes.batch()["rs"], method.generator
    generator.last["nir"].load_state_dict(generator.last["depth"].state_dict())
    nir = generator(x["rgb"], "rgb", "nir")
    assert not torch.allclose(nir, generator(x["rgb"], "rgb", "depth").tanh())


def test_one_modality_is_refused():
    with pytest.raises(InputError, match="codings has 1 modalities"):
        stargan(("rgb",))
