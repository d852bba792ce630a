"""The refiner against its formula, its segmenter, and which image it corrects."""

import pytest
import tiny
import tiny_people
import torch
from torch import nn

from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.methods.seg2eye_refiner import Seg2EyeRefiner
from lit_synth.networks.deeplab import DeepLab
from lit_synth.stages import Stage

pytestmark = pytest.mark.usefixtures("workdir")
WAY = Translation.parse("mask_to_image")
GREYS = [125.739, 103.193, 76.508, 34.129]


def refiner(segmenter="sources/segmenter", **settings):
    torch.manual_seed(0)
    network = DeepLab(1, [1, 1, 1], [1], 4, 1, [1, 2, 3], pooled=8, low=4, dropout=False)
    return Seg2EyeRefiner(network, segmenter, [Stage("train", 1)], **settings)


class ByBrightness(nn.Module):
    """Logits of the quarter of the greys that a pixel is in."""

    def forward(self, x):
        quarter = ((x[:, 0] + 1) * 2).long()
        return torch.stack([(quarter == k).float() for k in range(4)], 1)


def colourised(ids):
    rows = [[GREYS[i] for i in row] for image in ids for row in image]
    pixels = torch.tensor(rows, dtype=torch.float64)
    return pixels.reshape(len(ids), 1, *ids.shape[1:]) / 127.5 - 1


def test_loss_and_gradient_equal_the_formula():
    method, batch = refiner(), tiny_people.batch(references=1)
    before, _, record = tiny.iterate(method, batch)
    ids, x = batch["pairs"]["mask"], batch["pairs"]["image"].double()
    image = batch["pairs"]["references"][:, 0].double()
    mask = before.segmenter(image).argmax(1)
    y = before.network(torch.cat([colourised(ids), image, colourised(mask)], 1)) + image
    y = y.clamp(-1, 1)
    apart = [(127.5 * (a - b)).square().sum().sqrt() for a, b in zip(y, x, strict=True)]
    loss = sum(apart) / len(apart) / (16 * 16)
    torch.testing.assert_close(record.losses[0], loss.detach(), rtol=1e-6, atol=1e-9)
    gradients = list(tiny.gradients(loss, before.network))
    norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
    cut = [g * min(1.0, 5.0 / norm) for g in gradients]
    torch.testing.assert_close(record.of(0, "network"), cut, rtol=1e-5, atol=1e-9)


def test_the_image_with_the_nearest_mask_is_corrected():
    method = refiner().eval()
    nn.init.zeros_(method.network.decoder.last_conv[-1].weight)
    nn.init.zeros_(method.network.decoder.last_conv[-1].bias)
    method.segmenter = ByBrightness()
    x = tiny_people.batch(n=3, references=4)["pairs"]
    masks = method.segmenter(x["references"].flatten(0, 1)).argmax(1).unflatten(0, (3, 4))
    wanted = torch.tensor([2, 0, 3])
    given = {"mask": masks[torch.arange(3), wanted], "references": x["references"]}
    made = method.translate(given, WAY)  # with no residual, the image that was chosen
    torch.testing.assert_close(made, x["references"][torch.arange(3), wanted])


def test_another_release_is_refused():
    with pytest.raises(InputError, match="no segmenter"):
        refiner("sources/plain")
