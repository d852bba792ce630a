import inspect

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from lit_synth.networks import BigGANGenerator, Miner, OASISDiscriminator
from lit_synth.networks.parts.rebuilding import WithoutRandomStart, another, records_init_args

aten = torch.ops.aten
COSTLY = (
    aten.normal_.default,
    aten.uniform_.default,
    aten.mv.default,
    aten.linalg_qr.default,
)


class Parent(nn.Module):
    @records_init_args
    def __init__(self, width: int, sizes: tuple[int, ...] = (1, 2)) -> None:
        super().__init__()
        self.width, self.sizes = width, sizes


class Child(Parent):
    @records_init_args
    def __init__(self, depth: int = 3) -> None:
        super().__init__(width=2 * depth)


def test_arguments_are_recorded_with_defaults_as_json_values():
    assert Parent(5).init_args == {"width": 5, "sizes": [1, 2]}
    assert Parent(width=5, sizes=(3,)).init_args == {"width": 5, "sizes": [3]}


def test_a_subclass_records_its_own_arguments():
    assert Child(4).init_args == {"depth": 4}


def test_the_signature_stays_visible_and_the_record_rebuilds():
    assert list(inspect.signature(Miner).parameters) == list(Miner().init_args)
    miner = Miner(u_dim=3, latent_dim=4, hidden=(5,))
    rebuilt = Miner(**miner.init_args)
    rebuilt.load_state_dict(miner.state_dict())


def test_weights_that_are_replaced_at_once_are_not_drawn():
    networks = [
        OASISDiscriminator(3, widths=[4, 8], last_width=4),
        BigGANGenerator(64, width=2, latent_dim=5, num_classes=2, class_dim=2),
    ]
    for network in networks:
        with Costs() as usual:
            another(network)
        with WithoutRandomStart(), Costs() as spared:
            same = another(network)
        assert usual.number > 0
        assert spared.number == 0
        same.load_state_dict(network.state_dict())
        for key, value in network.state_dict().items():
            assert torch.equal(same.state_dict()[key], value), key


class Costs(TorchDispatchMode):
    """Counts draws of whole tensors, products of a matrix and a vector, and factors of matrices."""

    number = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.number += func in COSTLY
        return func(*args, **(kwargs or {}))
