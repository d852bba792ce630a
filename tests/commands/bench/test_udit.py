"""The arrangement of UDIT's step changes its time, not its gradient."""

from unittest import mock

import pytest
import tiny
import tiny_domains
import torch

from lit_synth.commands.bench import udit
from lit_synth.commands.bench.loop import PlainTrainer

pytestmark = pytest.mark.usefixtures("workdir")


@pytest.fixture
def method():
    method, _ = tiny.build("translation/udit")
    method.trainer = PlainTrainer(method.configure_optimizers())
    return method


def test_reports_ratios_and_distances(method):
    report = udit.rearranged_against_released(method, tiny_domains.batch(), pairs=1)
    assert report["bfloat16 speed-up"] > 0
    for precision in ("float32", "bfloat16"):
        assert report[f"rearranging speed-up, {precision}"] > 0
        far = {name: d for name, d in report.items() if name.startswith(f"{precision}, ")}
        assert len(far) == 4
        assert all(0 < d < {"float32": 1e-3, "bfloat16": 2}[precision] for d in far.values())
    assert all(p.grad is None for p in method.parameters())


def test_refuses_to_compare_steps_of_different_gradients(method):
    def halved(game):
        minimize = game.method.minimize
        with mock.patch.object(game.method, "minimize", lambda loss, opt: minimize(loss / 2, opt)):
            udit.rearranged(game)

    with (
        mock.patch.object(udit, "released", halved),
        pytest.raises(AssertionError, match="differ in the gradient of discriminators"),
    ):
        udit.rearranged_against_released(method, tiny_domains.batch(), pairs=1)


def test_weights_randomness_and_records_stay(method):
    start, rng = tiny.state(method), method.draws.rng.get_state()
    udit.rearranged_against_released(method, tiny_domains.batch(), pairs=1)
    assert all(torch.equal(value, start[name]) for name, value in method.state_dict().items())
    assert torch.equal(method.draws.rng.get_state(), rng)
    assert method.means.read() == {}
    assert not any(p.requires_grad for p in method.h.parameters())
