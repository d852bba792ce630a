"""Seg2Eye's step against its formula, who trains the encoder, and how a person is read."""

import pytest
import tiny
import tiny_people
import torch
from spade_plainly import drawn

from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.methods.seg2eye import Seg2Eye
from lit_synth.networks import Seg2EyeEncoder, Seg2EyeGenerator, SPADEDiscriminator
from lit_synth.networks.parts.label_maps import LabelMap
from lit_synth.stages import Stage

STYLE = 3
WAY = Translation.parse("mask_to_image")


def seg2eye(**settings):
    torch.manual_seed(0)
    generator = Seg2EyeGenerator(4, 1, 4, (2, 2, 2, 1), 4, STYLE)
    networks = (generator, Seg2EyeEncoder(1, (4, 4), STYLE))
    judge = SPADEDiscriminator(4, image_channels=1, widths=(4, 8))
    rng = torch.Generator().manual_seed(1)
    for network in (*networks, judge):
        drawn(tiny.randomise(network, rng))
    with torch.no_grad():
        generator.to_image.weight.mul_(0.02)  # so that no pixel is at its limit
        x = tiny_people.batch()["pairs"]
        for _ in range(40):  # statistics that have met what they normalise
            generator(
                LabelMap(x["mask"]), read(networks[1], x["references"], lambda h: h.amax(0))[0]
            )
    return Seg2Eye(*networks, judge, [Stage("train", 1)], **settings)


def read(encoder, references, of_several):
    """Code and features of each person, its images one by one."""
    codes, features = [], []
    for own in references:
        read = [encoder(image[None]) for image in own]
        codes.append(of_several(torch.cat([code for code, _ in read])))
        layers = zip(*(layers for _, layers in read), strict=True)
        features.append([of_several(torch.cat(each)) for each in layers])
    return torch.stack(codes), [torch.stack(each) for each in zip(*features, strict=True)]


def plain_gram(y):
    rows = y.flatten(1)
    return rows @ rows.T / y.numel()


@pytest.mark.parametrize("teach_encoder", [False, True])
@pytest.mark.parametrize("aggregate", ["max", "mean"])
def test_losses_and_gradients_equal_the_formulas(aggregate, teach_encoder):
    method = seg2eye(aggregate=aggregate, teach_encoder=teach_encoder)
    for network in (method.generator, method.encoder, method.discriminator):
        network.eval()  # spectral norms and statistics as they are: passes are then alike
    batch = {"pairs": {k: v.double() if v.is_floating_point() else v
                       for k, v in tiny_people.batch()["pairs"].items()}}  # fmt: skip
    before, _, record = tiny.iterate(method, batch)
    ids, x = batch["pairs"]["mask"], batch["pairs"]["image"]
    of_several = (lambda h: h.amax(0)) if aggregate == "max" else (lambda h: h.mean(0))
    w, person = read(before.encoder, batch["pairs"]["references"], of_several)
    y = before.generator(LabelMap(ids), w)
    assert y.abs().mean() < 0.9  # where tanh has slopes
    made, real = before.discriminator(y, LabelMap(ids)), before.discriminator(x, LabelMap(ids))
    fake = before.discriminator(y.detach(), LabelMap(ids))

    d_adv = sum(
        (1 - r[-1]).clamp(min=0).mean() + (1 + f[-1]).clamp(min=0).mean()
        for r, f in zip(real, fake, strict=True)
    ) / len(real)
    torch.testing.assert_close(record.losses[1], d_adv.detach())
    torch.testing.assert_close(
        record.of(1, "discriminator"), list(tiny.gradients(d_adv, before.discriminator))
    )

    g_adv = -sum(scale[-1].mean() for scale in made) / len(made)
    matched = sum(
        (a - b.detach()).abs().mean()
        for ours, theirs in zip(made, real, strict=True)
        for a, b in zip(ours[:-1], theirs[:-1], strict=True)
    ) / len(made)
    code, own = before.encoder(y)
    style = (code - w.detach()).square().mean()
    encoder = sum((a - b.detach()).square().mean() for a, b in zip(own, person, strict=True))
    gram = sum(
        (plain_gram(a[n]) - plain_gram(b[n].detach())).square().mean() / len(y)
        for a, b in zip(own, person, strict=True)
        for n in range(len(y))
    )
    look = 10 * matched + 15 * (y - x).square().mean()
    of_person = 0.5 * style + 0.001 * encoder + 1e4 * gram
    torch.testing.assert_close(record.losses[0], (g_adv + look + of_person).detach())
    torch.testing.assert_close(
        record.of(0, "generator"),
        list(tiny.gradients(g_adv + look + of_person, before.generator)),
    )
    # Through the made image alone the encoder would learn of the person's losses twice.
    if teach_encoder:
        expected = list(tiny.gradients(g_adv + look + of_person, before.encoder))
    else:
        through_w = torch.autograd.grad(g_adv + look + of_person, y, retain_graph=True)[0]
        parameters = list(before.encoder.parameters())
        expected = list(torch.autograd.grad(y, parameters, through_w, allow_unused=True))
    torch.testing.assert_close(record.of(0, "encoder"), expected)


def test_each_reference_is_encoded_once_a_step():
    method = seg2eye()
    counts = []
    method.encoder.register_forward_hook(lambda _, given, __: counts.append(len(given[0])))
    tiny.fit(method, [tiny_people.batch(n=3, references=2)])
    assert counts == [6, 3]  # those shown, then the made images


def test_a_style_that_was_read_is_that_of_the_references():
    method, x = seg2eye(), tiny_people.batch()["pairs"]
    method.eval()
    w = method.read_people(x["references"])
    from_style = method.translate({"mask": x["mask"], "style": w}, WAY)
    assert torch.equal(method.translate(x, WAY), from_style)
    other = method.translate({**x, "references": x["references"].flip(0)}, WAY)
    apart = (other - from_style).abs().amax((1, 2, 3))
    assert apart[[0, 2]].min() > 1e-3
    assert apart[1] < 1e-5  # the middle one's person stays


def test_without_images_of_a_person_it_says_what_to_do():
    with pytest.raises(InputError, match="predict with --reference"):
        seg2eye().eval().translate({"mask": tiny_people.batch()["pairs"]["mask"]}, WAY)


def test_rates_of_both_players_may_differ():
    rates = [o.param_groups[0]["lr"] for o in seg2eye(lr_discriminator=4e-4).configure_optimizers()]
    assert rates == [2e-4, 4e-4]
