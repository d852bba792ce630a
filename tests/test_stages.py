"""The schedule of stages: which one it is, how fast it learns, what it forgets."""

import math
from dataclasses import replace

import pytest
import tiny
import torch

from lit_synth.stages import Stage, stage_at

STAGES = [Stage("a", 3), Stage("b", 1), Stage("c", 2)]


def test_stage_at():
    names = [stage_at(STAGES, iteration)[1].name for iteration in range(8)]
    assert names == ["a", "a", "a", "b", "c", "c", "c", "c"]  # past the end, the last goes on
    assert [stage_at(STAGES, iteration)[0] for iteration in (0, 3, 4, 99)] == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("decay", "factor"),
    [
        ("constant", lambda _: 1.0),
        ("linear", lambda done: 1.0 - done),
        ("cosine", lambda done: 0.05 + 0.95 * math.cos(math.pi * done / 2) ** 2),
    ],
)
def test_decays(decay, factor):
    stage = Stage("a", 8, decay=decay, lr_scale=0.5)
    for k in range(9):
        assert stage.lr_factor(k) == pytest.approx(0.5 * factor(k / 8), abs=1e-12)
    assert stage.lr_factor(0) == 0.5
    assert stage.lr_factor(100) == stage.lr_factor(8)  # never below its end


def test_warmup_rises_to_the_full_rate_and_multiplies_the_decay():
    rising = Stage("a", 10, warmup=4)
    assert [rising.lr_factor(k) for k in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    both = Stage("a", 10, warmup=1, decay="linear")
    assert [both.lr_factor(k) for k in range(3)] == pytest.approx([0.5 * 1.0, 0.9, 0.8])


class Watch:
    """Notes the learning rate and the moments' age at every step of the first optimizer."""

    def __init__(self, method):
        self.rates, self.ages, minimize = [], [], method.minimize

        def watching(loss, optimizer):
            minimize(loss, optimizer)
            if optimizer.optimizer is method.optimizers()[0].optimizer:
                states = optimizer.optimizer.state.values()
                self.rates.append([group["lr"] for group in optimizer.param_groups])
                self.ages.append({int(state["step"]) for state in states})

        method.minimize = watching


def trained(**second):
    """Train two stages of three iterations, and return what was watched and the method."""
    method, data = tiny.build("wgan_gp", n_critic=1)
    plain = replace(method.stages[0], name="a", iterations=3)
    method.stages = [plain, replace(plain, name="b", **second)]
    watch = Watch(method)
    tiny.fit(method, data)
    return watch, method


def test_the_rates_of_a_run_follow_its_stages():
    watch, method = trained(lr_scale=0.5, decay="linear", warmup=1)
    full = [group["lr"] for group in method.configure_optimizers()[0].param_groups]
    factors = [1, 1, 1, 0.5 * 1 * 0.5, 0.5 * 2 / 3, 0.5 * 1 / 3]
    expected = torch.tensor(factors)[:, None] * torch.tensor(full)
    assert torch.allclose(torch.tensor(watch.rates), expected)


@pytest.mark.parametrize(
    ("reset", "ages"), [(True, [1, 2, 3, 1, 2, 3]), (False, [1, 2, 3, 4, 5, 6])]
)
def test_a_stage_may_drop_the_moments_at_its_start_alone(reset, ages):
    watch, _ = trained(reset_optimizers=reset)
    assert watch.ages == [{age} for age in ages]
