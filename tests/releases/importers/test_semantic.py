"""SPADE's and OASIS' files: what is what, and back, bit for bit."""

import torch
from public_files import filled, read_again, written

from lit_synth.networks import OASISDiscriminator, OASISGenerator, SPADEEncoder, SPADEGenerator
from lit_synth.releases.importers import oasis, spade

K, NOISE = 5, 64


def test_spade_comes_back_with_its_encoder():
    generator = SPADEGenerator(
        K, image_size=16, width=2, multiples=(2, 2, 2, 1), hidden=3, latent_dim=4
    )
    encoder = SPADEEncoder(widths=(2, 3), latent_dim=4)
    networks = {"generator": filled(generator), "encoder": filled(encoder)}
    found = read_again(spade, networks)
    assert found.parts["G"].networks["generator"][1]["image_size"] == 16
    assert found.notes == [spade.NOTE]


def test_oasis_has_noise_first_then_pixels_of_no_class_then_classes():
    generator = OASISGenerator(K, unknown=True, width=2, multiples=(2, 2, 1), hidden=3)
    judge = OASISDiscriminator(K, unknown=True, widths=(2, 3), last_width=2)
    networks = {"generator": filled(generator), "discriminator": filled(judge)}
    read_again(oasis, networks)
    public = written(oasis, networks)
    first, own = public["G"]["fc.weight"], generator.start.weight
    assert torch.equal(first[:, :NOISE], own[:, K + 1 :])
    assert torch.equal(first[:, NOISE], own[:, K])
    assert torch.equal(first[:, NOISE + 1 :], own[:, :K])
    last = public["D"]["layer_up_last.weight"]
    assert torch.equal(last[:2], judge.head.weight[[0, K + 1]])
    assert torch.equal(last[2:], judge.head.weight[1 : K + 1])
