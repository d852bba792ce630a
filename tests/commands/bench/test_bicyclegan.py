"""The arrangement of BicycleGAN's step changes its time, not its gradient."""

from unittest import mock

import pytest
import tiny
import tiny_scenes
import torch

from lit_synth.commands.bench import bicyclegan
from lit_synth.commands.bench.loop import PlainTrainer

pytestmark = pytest.mark.usefixtures("workdir")
SETS = {"pairs": ["rgb", "nir"]}


@pytest.fixture
def method():
    method, _ = tiny.build("translation/bicyclegan")
    method.trainer = PlainTrainer(method.configure_optimizers())
    return method


def test_reports_a_ratio_and_leaves_weights_and_randomness(method):
    start, rng = tiny.state(method), method.draws.rng.get_state()
    report = bicyclegan.rearranged_against_released(method, tiny_scenes.batch(SETS), rounds=1)
    assert report["rearranging speed-up, float32"] > 0
    assert all(torch.equal(value, start[name]) for name, value in method.state_dict().items())
    assert torch.equal(method.draws.rng.get_state(), rng)
    assert all(p.requires_grad and p.grad is None for p in method.parameters())


def test_refuses_to_compare_steps_of_different_gradients(method):
    def both(game):
        bicyclegan.rearranged(game)
        bicyclegan.rearranged(game)

    with (
        mock.patch.object(bicyclegan, "released", both),
        pytest.raises(AssertionError, match="differ in the gradient of generator"),
    ):
        bicyclegan.rearranged_against_released(method, tiny_scenes.batch(SETS), rounds=1)
