"""2 x pix2pix: two translations that know nothing of each other, and their chain."""

import pytest
import tiny
import tiny_scenes
import torch
import torch.nn.functional as F

from lit_synth.baselines.two_pix2pix import Link, TwoPix2Pix
from lit_synth.batches.coding import Coding
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.networks.patchgan import PatchDiscriminator
from lit_synth.networks.segnet import SegNet
from lit_synth.stages import Stage

CODINGS = {
    "rgb": Coding("image", 3, "l1"),
    "depth": Coding("depth", 1, "l2"),
    "segmentation": Coding("labels", tiny_scenes.CLASSES),
}


def link(source, target, judged):
    c_in, c_out = CODINGS[source].channels, CODINGS[target].channels
    generator = SegNet(c_in, c_out, [[4], [6]], "skip", tanh=target == "rgb")
    judge = PatchDiscriminator(c_in + c_out, widths=[4, 8]) if judged else None
    return Link(source, target, generator, judge)


def two_pix2pix(route=("depth", "rgb", "segmentation"), judged=(True, False), **settings):
    torch.manual_seed(0)
    links = [link(*route[i : i + 2], judged=judged[i]) for i in range(2)]
    return TwoPix2Pix(CODINGS, links, [Stage("train", 1)], **settings)


def test_losses_and_gradients_are_those_of_two_pix2pix():
    method, batch = two_pix2pix(lambda_rec=7.0), tiny_scenes.batch()
    before, _, record = tiny.iterate(method, batch)
    first, second = before.generators["depth_to_rgb"], before.generators["rgb_to_segmentation"]

    depth, y = batch["rd"]["depth"].double(), batch["rd"]["rgb"].double()
    x = torch.where(depth > 0, depth / 3, 1).log()
    y_fake = first(x)
    judge = before.discriminators["depth_to_rgb"]
    d_real = judge(torch.cat([x, y], 1)).sigmoid()
    d_fake = judge(torch.cat([x, y_fake.detach()], 1)).sigmoid()
    d_loss = -(d_real.log().mean() + (1 - d_fake).log().mean()) / 2
    d_fake = method.discriminators["depth_to_rgb"](torch.cat([x, y_fake], 1)).sigmoid()
    g_loss = 7 * (y_fake - y).abs().mean() - d_fake.log().mean()

    rgb, labels = batch["rs"]["rgb"].double(), batch["rs"]["segmentation"]
    ce_loss = 7 * F.cross_entropy(second(rgb), labels, ignore_index=255)
    losses = torch.stack([d_loss, g_loss, ce_loss]).detach()
    torch.testing.assert_close(torch.stack(record.losses), losses)
    for call, loss in ((1, g_loss), (2, ce_loss)):
        slow = tiny.gradients(loss, before.generators)
        assert any(gradient is None for gradient in slow)
        torch.testing.assert_close(record.of(call, "generators"), list(slow))


def test_the_chain_goes_through_data():
    method, x = two_pix2pix().eval(), tiny_scenes.batch()["rd"]
    first, second, chain = method.translations()
    assert chain == Translation.parse("depth_to_rgb_to_segmentation")
    made = method.translate({"rgb": method.translate(x, first)}, second)
    assert torch.equal(method.translate(x, chain), made)


def test_another_order_and_two_discriminators():
    method = two_pix2pix(("segmentation", "rgb", "depth"), judged=(True, True))
    record = tiny.Minimized(method)
    tiny.fit(method, [tiny_scenes.batch()])
    assert record.moved == 2 * [{"discriminators"}, {"generators"}]
    made = method.translate(tiny_scenes.batch()["rs"], method.translations()[2])
    assert made.shape == (4, 1, 16, 16)
    assert made.min() > 0


def test_links_that_do_not_meet_are_refused():
    torch.manual_seed(0)
    apart = [link("depth", "rgb", False), link("depth", "segmentation", False)]
    with pytest.raises(InputError, match="links are depth to rgb, depth to segmentation"):
        TwoPix2Pix(CODINGS, apart, [Stage("train", 1)])
    chained = [link("depth", "rgb", False), link("rgb", "segmentation", False)]
    with pytest.raises(InputError, match="add 'segmentation' to codings"):
        TwoPix2Pix({k: CODINGS[k] for k in ("rgb", "depth")}, chained, [Stage("train", 1)])
