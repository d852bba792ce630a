"""Sharing codes and outputs changes the time of a step of M&MNets, not its gradient."""

from unittest import mock

import pytest
import tiny
import tiny_scenes
import torch

from lit_synth.commands.bench import mmnets
from lit_synth.commands.bench.loop import PlainTrainer, aligning_stage


@pytest.fixture
def method():
    method, _ = tiny.build("translation/mmnets")
    method.stages = [aligning_stage(method)]
    method.trainer = PlainTrainer(method.configure_optimizers())
    method.on_train_start()  # notes the full learning rates
    method.on_train_batch_start()
    return method


def test_reports_ratios_and_distances(method):
    report = mmnets.shared_against_recomputed(method, tiny_scenes.batch(), pairs=1)
    assert report["sharing speed-up, float32"] > 0
    assert report["sharing, memory kept"] > 1.2  # every encoding is kept twice or more
    distances = {name: d for name, d in report.items() if name.endswith("distance")}
    assert len(distances) == 6  # f_R is frozen
    assert all(0 < d < 1 for d in distances.values())
    assert all(p.grad is None for p in method.parameters())


def test_refuses_to_compare_steps_of_different_gradients(method):
    def halved(bound):
        for loss in mmnets.shared(bound):
            yield loss / 2

    with (
        mock.patch.object(mmnets, "recomputed", halved),
        pytest.raises(AssertionError, match="differ in the gradient of encoders"),
    ):
        mmnets.shared_against_recomputed(method, tiny_scenes.batch(), pairs=1)


def test_weights_and_modes_stay(method):
    modes = [module.training for module in method.modules()]
    start = {name: p.clone() for name, p in method.named_parameters()}
    mmnets.shared_against_recomputed(method, tiny_scenes.batch(), pairs=1)
    assert [module.training for module in method.modules()] == modes
    assert all(torch.equal(p, start[name]) for name, p in method.named_parameters())
