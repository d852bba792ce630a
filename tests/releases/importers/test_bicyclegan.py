"""BicycleGAN's files: what is what, and back, bit for bit."""

import torch
from public_files import filled, read_again, written

from lit_synth.networks import (
    BicycleGANDiscriminator,
    BicycleGANEncoder,
    BicycleGANGenerator,
)
from lit_synth.releases.importers import bicyclegan


def test_networks_come_back_with_the_biases_that_norms_cancel():
    networks = {
        "generator": filled(BicycleGANGenerator(1, 3, 16, 2, 3)),
        "encoder": filled(BicycleGANEncoder(3, (2, 3, 4), 3)),
        "discriminator": filled(BicycleGANDiscriminator(3, (2, 4, 8), 2)),
    }
    found = read_again(bicyclegan, networks)
    assert found.parts["G"].networks["generator"][1]["in_channels"] == 1
    public = written(bicyclegan, networks)
    assert torch.equal(public["G"]["model.submodule.up.1.bias"], torch.zeros(2))
    assert public["D"]["model_1.2.bias"].shape == (2,)


def test_a_generator_with_the_style_at_its_input_has_no_file():
    generator = BicycleGANGenerator(1, 3, 16, 2, 3, "input")
    assert bicyclegan.write({"generator": generator}) is None
