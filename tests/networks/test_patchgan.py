from itertools import pairwise

import pytest
import torch
from torch import nn

from lit_synth.networks import PatchDiscriminator
from lit_synth.networks.parts.norms import BatchNorm, InstanceNorm

TABLE_A6 = {"kernel_size": 5, "norm": "batch"}
PIX2PIX = {"norm": "batch", "last_stride": 1, "head_size": 4}
CYCLEGAN = {"norm": "instance", "last_stride": 1, "head_size": 4}


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def strided(kernel, widths=(3, 64, 128, 256, 512)):
    return sum(kernel**2 * a * b for a, b in pairwise(widths))


def test_thesis_discriminators_have_the_tables_layers():
    rgb, domains = PatchDiscriminator(**TABLE_A6), PatchDiscriminator()
    assert parameters(rgb) == strided(5) + 64 + 2 * (128 + 256 + 512) + 512 + 1
    assert parameters(domains) == strided(4) + 64 + 128 + 256 + 512 + 512 + 1
    x = torch.zeros(1, 3, 128, 128)
    sizes = [layer(x).shape[-1] for layer in (rgb.body[:2], rgb.body, domains.body)]
    assert sizes == [64, 8, 8]
    assert rgb(x).shape == domains(x).shape == (1, 1, 8, 8)


def test_patchgan_has_the_published_size():
    # pix2pix's discriminator of two joined RGB images has 2.769 M weights in its published code.
    assert parameters(PatchDiscriminator(6, **PIX2PIX)) == 2_768_705
    # CycleGAN's has 2.765 M, with the biases that instance norms cancel, which ours lacks.
    assert parameters(PatchDiscriminator(**CYCLEGAN)) == 2_764_737 - (128 + 256 + 512)


def test_patchgan_scores_patches_of_70_px():
    torch.manual_seed(0)
    network = PatchDiscriminator(1, (2, 2, 2, 2), **PIX2PIX).double().eval()
    x = torch.randn(1, 1, 128, 128, dtype=torch.float64, requires_grad=True)
    score = network(x)
    assert score.shape == (1, 1, 14, 14)
    score[0, 0, 7, 7].backward()
    seen = x.grad[0, 0] != 0
    assert [int(seen.any(dim=d).sum()) for d in (0, 1)] == [70, 70]


@pytest.mark.parametrize("kwargs", [TABLE_A6, {}, PIX2PIX, CYCLEGAN])
def test_32_px_images_are_scored(kwargs):
    score = PatchDiscriminator(widths=(4, 8, 8, 8), **kwargs)(torch.randn(2, 3, 32, 32))
    assert score.shape == (2, 1, 2, 2)


@pytest.mark.parametrize(("norm", "kind"), [("batch", BatchNorm), ("instance", InstanceNorm)])
def test_the_first_layer_and_the_head_have_no_norm(norm, kind):
    network = PatchDiscriminator(norm=norm, widths=(4, 4, 4))
    kinds = [type(layer) for layer in network.body]
    rest = [nn.Conv2d, kind, nn.LeakyReLU]
    assert kinds == [nn.Conv2d, nn.LeakyReLU, *rest, *rest]
