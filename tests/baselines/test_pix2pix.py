"""pix2pix against its published losses."""

import pytest
import tiny
import tiny_scenes
import torch
import torch.nn.functional as F

from lit_synth.baselines.pix2pix import Pix2Pix
from lit_synth.batches.coding import Coding
from lit_synth.errors import InputError
from lit_synth.networks.patchgan import PatchDiscriminator
from lit_synth.networks.segnet import SegNet
from lit_synth.stages import Stage

RGB, DEPTH = Coding("image", 3, "l1"), Coding("depth", 1)
LABELS = Coding("labels", tiny_scenes.CLASSES)


def pix2pix(source, target, **settings):
    torch.manual_seed(0)
    codings = {"rgb": RGB, "depth": DEPTH, "segmentation": LABELS}
    x, y = codings[source], codings[target]
    generator = SegNet(x.channels, y.channels, [[4], [6]], "skip", tanh=y.kind == "image")
    discriminator = PatchDiscriminator(x.channels + y.channels, widths=[4, 8], norm="batch")
    stages = [Stage("train", 1)]
    return Pix2Pix(generator, discriminator, x, y, stages, source, target, **settings)


def cross_entropy(scores, is_real):
    """Return -log of the probability that the discriminator gives to the truth, on average."""
    return F.binary_cross_entropy(scores.sigmoid(), torch.full_like(scores, is_real))


def test_losses_and_gradients_equal_the_published_formulas():
    method, batch = pix2pix("depth", "rgb", lambda_rec=7.0), tiny_scenes.batch()
    before, _, record = tiny.iterate(method, batch)

    depth, y = batch["rd"]["depth"].double(), batch["rd"]["rgb"].double()
    x = torch.where(depth > 0, depth / 3, 1).log()
    y_fake = before.generator(x)
    true, made = torch.cat([x, y], dim=1), torch.cat([x, y_fake], dim=1)
    d_real, d_fake = before.discriminator(torch.cat([true, made.detach()])).split(4)
    loss = (cross_entropy(d_real, 1.0) + cross_entropy(d_fake, 0.0)) / 2
    torch.testing.assert_close(record.losses[0], loss.detach())
    torch.testing.assert_close(
        record.of(0, "discriminator"), list(tiny.gradients(loss, before.discriminator))
    )

    # The generator plays against the discriminator that has just moved.
    loss = cross_entropy(method.discriminator(made), 1.0) + 7 * (y_fake - y).abs().mean()
    torch.testing.assert_close(record.losses[1], loss.detach())
    torch.testing.assert_close(
        record.of(1, "generator"), list(tiny.gradients(loss, before.generator))
    )


def test_the_discriminator_sees_labels_as_probabilities():
    method = pix2pix("rgb", "segmentation")
    seen = []
    method.discriminator.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    tiny.fit(method, [tiny_scenes.batch()])
    both, made = (each[:, RGB.channels :] for each in seen)
    known = tiny_scenes.batch()["rs"]["segmentation"] != 255
    torch.testing.assert_close(both[:4].sum(dim=1), known.float())
    torch.testing.assert_close(both[4:].sum(dim=1), torch.ones(4, 16, 16))
    torch.testing.assert_close(made, both[4:])


def test_it_learns_the_pairs():
    method, batch = pix2pix("depth", "rgb", lr=5e-3), tiny_scenes.batch()
    method.stages = [Stage("train", 40)]
    terms = tiny.tracked_terms(method)
    tiny.fit(method, [batch] * 40)
    assert terms[-1]["g_rec"] < 0.4 * terms[0]["g_rec"]


def test_data_without_such_pairs_is_refused():
    with pytest.raises(InputError, match="holds pairs of 'depth' and 'segmentation'"):
        tiny.fit(pix2pix("depth", "segmentation"), [tiny_scenes.batch()])
