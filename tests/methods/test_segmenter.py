"""The segmenter against its formula, its optimiser against the paper's, and what it refuses."""

import pytest
import tiny
import tiny_scenes
import torch

from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.methods.segmenter import Segmenter
from lit_synth.networks.deeplab import DeepLab
from lit_synth.networks.segnet import SegNet
from lit_synth.stages import Stage

CLASSES = tiny_scenes.CLASSES


def segmenter(network=None, **settings):
    torch.manual_seed(0)
    network = network or SegNet(3, CLASSES, [[4], [6]], "skip")
    names = {"source": "rgb", "target": "segmentation"}
    return Segmenter(network, CLASSES, [Stage("train", 1)], **{**names, **settings})


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5, 0.0, 4.0]])
def test_loss_and_gradient_equal_the_formula(weights):
    method, batch = segmenter(class_weights=weights), tiny_scenes.batch()
    before, _, record = tiny.iterate(method, batch)
    logits = before.network(batch["rs"]["rgb"].double())
    labels = batch["rs"]["segmentation"]
    total, share = 0.0, 0.0
    for k in range(len(labels)):
        for y in range(labels.shape[1]):
            for x in range(labels.shape[2]):
                c = int(labels[k, y, x])
                if c != 255:
                    w = 1.0 if weights is None else weights[c]
                    scores = logits[k, :, y, x]
                    total = total - w * (scores[c] - scores.exp().sum().log())
                    share += w
    loss = total / share
    torch.testing.assert_close(record.losses[0], loss.detach())
    torch.testing.assert_close(record.of(0, "network"), list(tiny.gradients(loss, before.network)))


def test_its_steps_are_those_of_nesterovs_momentum():
    method = segmenter(lr=0.1, weight_decay=0.01)
    (optimizer,) = method.configure_optimizers()
    weight = next(method.network.parameters())
    w, v = weight.detach().clone(), torch.zeros_like(weight)
    for step in range(3):
        gradient = torch.full_like(weight, step + 1.0)
        for parameter in method.network.parameters():
            parameter.grad = torch.full_like(parameter, step + 1.0)
        optimizer.step()
        g = gradient + 0.01 * w
        v = g if step == 0 else 0.9 * v + g
        w = w - 0.1 * (g + 0.9 * v)
        torch.testing.assert_close(weight.detach(), w)


def test_it_learns_the_masks():
    network = DeepLab(
        CLASSES, [1, 1, 1], [1], 8, 1, rates=[1, 2, 3], pooled=16, low=8, dropout=False
    )
    method, batch = segmenter(network, lr=0.05), tiny_scenes.batch()
    method.stages = [Stage("train", 40)]
    tiny.fit(method, [batch] * 40)
    method.eval()
    scenes = tiny_scenes.batch()["rs"]
    made = method.translate(scenes, Translation.parse("rgb_to_segmentation"))
    known = scenes["segmentation"] != 255
    assert (made == scenes["segmentation"])[known].float().mean() > 0.85


@pytest.mark.parametrize("weights", [[1.0], [1.0, 1.0, 1.0, 1.0, -1.0], [0.0] * 5])
def test_weights_of_other_classes_are_refused(weights):
    with pytest.raises(InputError, match="expected 5 numbers"):
        segmenter(class_weights=weights)


def test_a_network_of_other_classes_is_refused():
    method = segmenter(SegNet(3, 4, [[4], [6]], "skip"))
    with pytest.raises(InputError, match=r"expected logits \(5, 16, 16\)"):
        tiny.fit(method, [tiny_scenes.batch()])
