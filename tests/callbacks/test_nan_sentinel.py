"""The sentinel: what it names, and that neither weights nor checkpoints are lost."""

import pytest
import pytorch_lightning as pl
import torch
from toy_run import ToyGAN, fit, weights

from lit_synth.callbacks import nan_sentinel
from lit_synth.callbacks.checkpoint import Checkpoint
from lit_synth.callbacks.log_terms import LogTerms
from lit_synth.callbacks.nan_sentinel import NaNSentinel
from lit_synth.errors import InputError


def finite(state):
    return all(torch.isfinite(each).all() for each in state.values())


@pytest.mark.parametrize(
    ("term", "at", "sentence"),
    [
        ("d_reg", 2, r"at iteration 3 \(stage 'first'\): the term d_reg and .* critic.fc.weight"),
        (
            "g_adv",
            5,
            r"at iteration 6 \(stage 'second'\): the term g_adv and .* generator.fc.weight",
        ),
    ],
)
def test_it_names_the_term_and_the_weights_stay_good(tmp_path, term, at, sentence):
    method = ToyGAN(broken=term, at=at)
    with pytest.raises(InputError, match=sentence):
        fit(tmp_path, NaNSentinel(), LogTerms(), method=lambda: method)
    assert finite(weights(method))
    assert method.iteration == at + 1


def test_without_it_the_weights_are_lost(tmp_path):
    method, _ = fit(tmp_path, method=lambda: ToyGAN(broken="d_reg"))
    assert not finite(weights(method))


def test_a_term_that_is_only_tracked(tmp_path):
    class Tracking(ToyGAN):
        def training_step(self, batch):
            super().training_step(batch)
            self.track(gauge=batch["image"].mean() / (0.0 if self.iteration == 3 else 1.0))

    with pytest.raises(InputError, match=r"at iteration 4 .*: the term gauge is not finite"):
        fit(tmp_path, NaNSentinel(), LogTerms(), method=Tracking)


def test_large_gradients_are_good(tmp_path):
    class Steep(ToyGAN):
        def minimize(self, loss, optimizer):
            super().minimize(loss * 1e15, optimizer)

    method, _ = fit(tmp_path, NaNSentinel(), method=Steep)
    assert method.iteration >= 8


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    monkeypatch.setattr(nan_sentinel, "_costs_nothing", lambda _: False)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_no_checkpoint_holds_lost_weights(tmp_path):
    checkpoint = Checkpoint(every_n_iterations=1, best=None)
    method = ToyGAN(broken="g_adv", at=2)
    with pytest.raises(InputError, match=r"at iteration 3 .*generator.fc.weight"):
        fit(tmp_path, NaNSentinel(), checkpoint, method=lambda: method)
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["iteration"] == 2
    assert finite(saved["state_dict"])


@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_late_look_names_the_first_iteration(tmp_path):
    method = ToyGAN(broken="g_adv", at=2)
    with pytest.raises(InputError, match=r"at iteration 3 .*generator.fc.weight are not finite"):
        fit(tmp_path, NaNSentinel(), method=lambda: method, log_every_n_steps=4)
    assert method.iteration == 4


def test_a_gradient_scaler_is_left_to_itself(tmp_path):
    class Scaled(pl.Callback):
        def on_train_start(self, trainer, _):
            trainer.precision_plugin.scaler = object()

    method = ToyGAN(broken="d_reg", at=2)
    with pytest.raises(
        InputError, match=r"at iteration 3 \(stage 'first'\): the term d_reg and the term g_adv are"
    ):
        fit(tmp_path, Scaled(), NaNSentinel(), method=lambda: method)
