"""The small generator: what its mapping is, and what others find in it."""

import tiny
import torch

from lit_synth.baselines.bsa import adapted_layers
from lit_synth.networks.parts.rebuilding import another
from lit_synth.networks.parts.waves import waves
from lit_synth.networks.small import SmallGenerator


def test_mapping_goes_before_the_first_map():
    network = SmallGenerator(16, 3, latent_dim=5, width=4, mapping=[12, 7], harmonics=3)
    tiny.randomise(network, torch.Generator().manual_seed(0))
    z = torch.randn(2, 5)
    plain = SmallGenerator(16, 3, latent_dim=7, width=4)
    rest = {k: v for k, v in network.state_dict().items() if not k.startswith("mapping")}
    plain.load_state_dict(rest)
    h = waves(z, 3)
    for layer in (network.mapping[0], network.mapping[2]):
        h = h @ layer.weight.T + layer.bias
        h = torch.where(h > 0, h, 0.2 * h)
    torch.testing.assert_close(network(z), plain(h))


def test_it_is_built_again_and_adapted_from_the_first_map_on():
    network = SmallGenerator(16, 3, latent_dim=5, width=4, mapping=[12], harmonics=1)
    again = another(network)
    again.load_state_dict(network.state_dict())
    assert next(iter(adapted_layers(again))) == "fc"
    assert not any(name.startswith("mapping") for name in adapted_layers(again))
