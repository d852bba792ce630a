"""SPADE's, OASIS', Seg2Eye's and DeepLab's files: what is what, and back, bit for bit."""

import torch
from public_files import filled, read_again, written

from lit_synth.networks import (
    OASISDiscriminator,
    OASISGenerator,
    Seg2EyeEncoder,
    Seg2EyeGenerator,
    SPADEDiscriminator,
    SPADEEncoder,
    SPADEGenerator,
)
from lit_synth.networks.deeplab import DeepLab
from lit_synth.networks.deeplab import to_public as public_deeplab
from lit_synth.releases.importers import oasis, seg2eye, spade
from lit_synth.releases.importers.layout import Options
from lit_synth.releases.importers.recognise import import_networks

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


def of_seg2eye():
    generator = Seg2EyeGenerator(4, 1, 2, (2, 2, 2, 1), 3, 3, normalised=False)
    encoder = Seg2EyeEncoder(1, (2, 3), 3, activations=False)
    judge = SPADEDiscriminator(4, image_channels=1, widths=(2, 3))
    networks = {"generator": generator, "encoder": encoder, "discriminator": judge}
    return {name: filled(network) for name, network in networks.items()}


def test_seg2eye_comes_back_with_its_encoder():
    found = read_again(seg2eye, of_seg2eye())
    assert found.notes == [seg2eye.NOTE]
    assert found.parts.keys() == {"G", "E", "D"}


def test_the_last_epoch_of_a_folder_becomes_a_method(tmp_path):
    networks = of_seg2eye()
    for name, tensors in written(seg2eye, networks).items():
        torch.save(tensors, tmp_path / f"12_net_{name}.pth")
        torch.save({key: 0 * each for key, each in tensors.items()}, tmp_path / f"9_net_{name}.pth")
    imported = import_networks(tmp_path, Options())
    for name, network in networks.items():
        for key, tensor in imported.networks[name].state_dict().items():
            assert torch.equal(tensor, network.state_dict()[key]), key
    assert imported.method["class_path"].endswith(".Seg2Eye")
    assert not imported.method["init_args"]["generator"]["init_args"]["normalised"]


def test_a_deeplab_checkpoint_becomes_a_segmenter(tmp_path):
    network = filled(DeepLab(4, [1, 2, 1], [1], 4, pooled=8, low=4, imagenet_input=True))
    state, optimizer = public_deeplab(network), {"state": {}, "param_groups": [{"lr": 0.007}]}
    file = tmp_path / "checkpoint.pth.tar"
    torch.save({"epoch": 3, "state_dict": state, "optimizer": optimizer, "best_pred": 0.5}, file)
    imported = import_networks(file, Options())
    assert imported.layout.name == "deeplab"
    for key, tensor in imported.networks["network"].state_dict().items():
        assert torch.equal(tensor, network.state_dict()[key]), key
    assert imported.networks["network"].init_args == network.init_args
    assert imported.method["init_args"]["classes"] == 4
