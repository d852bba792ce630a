"""The averaged weights: their formula, their unit, and that the live ones come back."""

from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader
from toy_run import ToyData, ToyGAN, fit, same, trainer_of, weights

from lit_synth.callbacks.checkpoint import Checkpoint
from lit_synth.callbacks.ema import EMA, averaged_weights
from lit_synth.errors import InputError
from lit_synth.runs.resume import find_checkpoint
from lit_synth.stages import Stage


class Record(pl.Callback):
    """Keeps the generator's live weights after every iteration."""

    def __init__(self):
        self.live = []

    def on_train_batch_end(self, _, pl_module, *__):
        self.live.append(pl_module.generator.fc.weight.detach().double().clone())


def test_closed_form(tmp_path):
    ema, record = EMA(half_life_kimg=0.05, rampup=0.5), Record()
    initial = {}

    class Start(pl.Callback):
        def on_train_start(self, _, pl_module):
            initial["weight"] = pl_module.generator.fc.weight.detach().double().clone()

    # EMA stands last, and acts first all the same.
    _, trainer = fit(tmp_path, record, Start(), ema)
    assert trainer.callbacks[0] is ema

    expected = initial["weight"]
    for k, live in enumerate(record.live):
        seen = 4 * k
        beta = 2 ** (-4 / min(50, 0.5 * seen)) if seen else 0
        expected = beta * expected + (1 - beta) * live
    assert len(record.live) == 8
    torch.testing.assert_close(
        ema.average["generator.fc.weight"].double(), expected, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(("batch_size", "processes"), [(1, 1), (4, 1), (4, 2), (16, 1)])
def test_the_half_life_is_in_images(batch_size, processes):
    method, ema = ToyGAN(), EMA(half_life_kimg=0.016, rampup=None)
    trainer = SimpleNamespace(callbacks=[ema], world_size=processes)
    ema.setup(trainer, method, "fit")
    before = ema.average["generator.fc.bias"].clone()
    method.generator.fc.bias.data += 1
    for _ in range(16 // (batch_size * processes)):
        ema.on_train_batch_end(trainer, method, None, {"image": torch.zeros(batch_size)}, 0)
    torch.testing.assert_close(ema.average["generator.fc.bias"], before + 0.5)


def test_live_weights_modes_and_buffers_come_back(tmp_path):
    ema = EMA()
    method, trainer = fit(tmp_path, ema)
    method.train()
    method.critic.eval()
    live = weights(method)
    with averaged_weights(trainer, method):
        inside = weights(method)
        assert not any(each.training for each in method.modules())
    assert same(weights(method), live)
    assert method.generator.norm.training
    assert not method.critic.drop.training
    changed = {name for name in live if not torch.equal(live[name], inside[name])}
    assert (
        changed
        == set(ema.average)
        == {f"generator.{n}" for n, _ in method.generator.named_parameters()}
    )
    assert all(torch.equal(inside[name], mean) for name, mean in ema.average.items())


def test_live_weights_come_back_after_an_error(tmp_path):
    method, trainer = fit(tmp_path, EMA())
    live = weights(method)
    with pytest.raises(KeyError), averaged_weights(trainer, method):
        raise KeyError
    assert same(weights(method), live)


def test_half_precision_weights_are_averaged_in_float32():
    method, ema = ToyGAN().bfloat16(), EMA(half_life_kimg=10, rampup=None)
    trainer = SimpleNamespace(callbacks=[ema], world_size=1)
    ema.setup(trainer, method, "fit")
    before = ema.average["generator.fc.bias"].clone()
    method.generator.fc.bias.data += 1
    for _ in range(20):
        ema.on_train_batch_end(trainer, method, None, {"image": torch.zeros(4)}, 0)
    assert (ema.average["generator.fc.bias"] > before).all()
    with ema.applied(method):
        assert method.generator.fc.bias.dtype == torch.bfloat16


def train_and_save(folder):
    ema = EMA(half_life_kimg=0.02)
    method, _ = fit(folder, ema, Checkpoint(every_n_iterations=8, best=None))
    return method, ema, find_checkpoint(folder)


def test_a_resumed_run_goes_on_with_the_saved_average(tmp_path):
    _, saved, path = train_and_save(tmp_path)
    ema, method = EMA(half_life_kimg=0.02), ToyGAN([Stage("first", 4), Stage("second", 5)])
    seen = []

    class Start(pl.Callback):
        def on_train_start(self, *_):
            seen.append((ema.images_seen, {k: v.clone() for k, v in ema.average.items()}))

    trainer = trainer_of(tmp_path, ema, Start(), Checkpoint(best=None))
    trainer.fit(method, ToyData(), ckpt_path=path, weights_only=True)
    assert seen[0][0] == saved.images_seen == 32
    assert same(seen[0][1], saved.average)
    assert ema.images_seen == 36


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_every_verb_has_the_average_of_the_checkpoint(tmp_path, verb):
    _, saved, path = train_and_save(tmp_path)
    ema, method = EMA(half_life_kimg=0.02), ToyGAN()
    trainer = trainer_of(tmp_path, ema, Checkpoint(best=None))
    settings = {"ckpt_path": path, "weights_only": True}
    if verb == "predict":
        prior = method.prior(4, torch.Generator().manual_seed(0))
        trainer.predict(method, DataLoader([prior], batch_size=None), **settings)
        assert torch.equal(method.generated[0][0], saved.average["generator.fc.weight"])
    else:
        getattr(trainer, verb)(method, ToyData(), **settings)
    assert same(ema.average, saved.average)
    live = torch.load(path, weights_only=True)["state_dict"]
    assert same(weights(method), live)


def test_a_network_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="names 'miners', but the networks are: generator, critic"):
        fit(tmp_path, EMA(["miners"]))


def test_a_checkpoint_with_another_average(tmp_path):
    _, _, path = train_and_save(tmp_path)
    trainer = trainer_of(tmp_path, EMA(["generator", "critic"]), Checkpoint(best=None))
    with pytest.raises(InputError, match="the checkpoint's average does not fit"):
        trainer.fit(ToyGAN(), ToyData(), ckpt_path=path, weights_only=True)
