import inspect

from torch import nn

from lit_synth.networks import Miner
from lit_synth.networks.parts.rebuilding import records_init_args


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
