"""CycleGAN against its published losses."""

import pytest
import tiny
import tiny_scenes
import torch

from lit_synth.baselines.cyclegan import CycleGAN
from lit_synth.batches.coding import Coding
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.networks.patchgan import PatchDiscriminator
from lit_synth.networks.resnet_translator import ResNetTranslator
from lit_synth.networks.segnet import SegNet
from lit_synth.stages import Stage

GREY = Coding("image", 1)
UNPAIRED = {"A": ["a"], "B": ["b"]}


def cyclegan(**settings):
    torch.manual_seed(0)
    generators = [ResNetTranslator(1, 1, n_blocks=1, width=4) for _ in range(2)]
    discriminators = [PatchDiscriminator(1, widths=[4, 8]) for _ in range(2)]
    return CycleGAN(*generators, *discriminators, GREY, GREY, [Stage("train", 1)], **settings)


def batch(n=4):
    images = {"a": tiny.images(n, seed=5), "b": tiny.images(n, seed=6).square()}
    return {name: {m: images[m].float() for m in names} for name, names in UNPAIRED.items()}


def test_losses_and_gradients_equal_the_published_formulas():
    method, x = cyclegan(lambda_cycle=3.0, lambda_identity=2.0, pool_size=2), batch()
    before, rng, record = tiny.iterate(method, x)
    to_b, to_a = before.generator_ab, before.generator_ba
    a, b = x["A"]["a"].double(), x["B"]["b"].double()

    a_fake, b_fake = to_a(b), to_b(a)
    loss = (before.discriminator_a(a_fake) - 1).square().mean()
    loss = loss + (before.discriminator_b(b_fake) - 1).square().mean()
    loss = loss + 3 * ((to_a(b_fake) - a).abs().mean() + (to_b(a_fake) - b).abs().mean())
    loss = loss + 2 * ((to_b(b) - b).abs().mean() + (to_a(a) - a).abs().mean())
    torch.testing.assert_close(record.losses[0], loss.detach())
    for name in ("generator_ab", "generator_ba"):
        slow = tiny.gradients(loss, getattr(before, name))
        torch.testing.assert_close(record.of(0, name), list(slow))

    # The pool of two is full after the first two images; the other two may be swapped.
    loss = 0
    for real, fake, name in ((a, a_fake, "discriminator_a"), (b, b_fake, "discriminator_b")):
        shown, stored = list(fake[:2]), list(fake[:2])
        draws = torch.rand(4, 2, generator=rng, dtype=torch.float64)[2:]
        for image, (coin, place) in zip(fake[2:], draws, strict=True):
            index = int(2 * place)
            shown.append(stored[index] if coin < 0.5 else image)
            stored[index] = image if coin < 0.5 else stored[index]
        judge = getattr(before, name)
        d_fake = judge(torch.stack(shown).detach())
        loss = loss + ((judge(real) - 1).square().mean() + d_fake.square().mean()) / 2
    torch.testing.assert_close(record.losses[1], loss.detach())
    for name in ("discriminator_a", "discriminator_b"):
        slow = tiny.gradients(loss, getattr(before, name))
        torch.testing.assert_close(record.of(1, name), list(slow))


def test_each_direction_has_its_generator():
    method, x = cyclegan(a="day", b="night").eval(), {"day": tiny.images(2).float()}
    there, back = method.translations()
    assert (there, back) == (Translation(("day",), ("night",)), Translation(("night",), ("day",)))
    with torch.no_grad():
        assert torch.equal(method.translate(x, there), method.generator_ab(x["day"]))
        x = {"night": x["day"]}
        assert torch.equal(method.translate(x, back), method.generator_ba(x["night"]))


def test_labels_enter_the_other_network_as_probabilities():
    torch.manual_seed(0)
    blocks = [[4], [6]]
    generators = SegNet(1, 5, blocks, "skip"), SegNet(5, 1, blocks, "skip")
    discriminators = PatchDiscriminator(1, [4, 8]), PatchDiscriminator(5, [4, 8])
    codings = Coding("depth", 1), Coding("labels", 5)
    stages, names = [Stage("train", 1)], ("depth", "segmentation")
    method = CycleGAN(*generators, *discriminators, *codings, stages, *names, lambda_identity=0)
    entered = []
    generators[1].register_forward_pre_hook(lambda _, args: entered.append(args[0].detach()))
    tiny.fit(method, [tiny_scenes.batch()])
    one_hot, made = entered
    assert set(one_hot.unique().tolist()) == {0, 1}
    torch.testing.assert_close(made.sum(dim=1), torch.ones(4, 16, 16))


def test_a_release_has_the_networks_without_the_histories():
    networks, extra = cyclegan().release()
    generators, judges = ["generator_ab", "generator_ba"], ["discriminator_a", "discriminator_b"]
    assert list(networks) == generators + judges
    counts = [p.numel() for name in generators for p in networks[name].parameters()]
    assert extra == {"parameters": sum(counts)}


def test_identity_between_modalities_of_other_channels_is_refused():
    nets = [ResNetTranslator(1, 1, n_blocks=1, width=4) for _ in range(4)]
    with pytest.raises(InputError, match="a has 1 channels and b has 3, so"):
        CycleGAN(*nets, GREY, Coding("image", 3), [Stage("train", 1)])
