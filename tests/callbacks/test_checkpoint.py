"""Checkpoints: when they are written, what they hold, and that a failed write loses nothing."""

import errno
import os
import random
import signal
import threading
import time

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from lit_synth.callbacks.checkpoint import Checkpoint
from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.errors import InputError
from lit_synth.method import Method
from lit_synth.runs.metrics_csv import CSVLogger
from lit_synth.runs.resume import checkpoint_folder, find_checkpoint
from lit_synth.stages import Stage


class Toy(Method):
    """Moves one vector by draws of every generator that there is."""

    def __init__(self, iterations, width=3):
        super().__init__([Stage("train", iterations)])
        self.net = nn.Linear(width, 1)
        nn.init.zeros_(self.net.weight)
        self.drawn = []

    def configure_optimizers(self):
        return [torch.optim.Adam(self.net.parameters(), 0.1)]

    def training_step(self, batch):
        draws = [random.random(), np.random.rand(), torch.rand(()), self.rand(1).squeeze()]  # noqa: NPY002
        self.drawn.append(float(sum(draws)))
        loss = (self.net(batch["image"]) - sum(draws)).square().mean()
        self.minimize(loss, *self.optimizers())
        self.track(loss=loss)

    def prior(self, *_):
        return {}

    def generate(self, *_):
        return torch.zeros(0)


class Ones(IterableDataset):
    """The same image without end."""

    def __iter__(self):
        while True:
            yield {"image": torch.ones(3)}


class KnownValues(Evaluate):
    """An evaluation that gives known values at known iterations."""

    def __init__(self, values):
        super().__init__(every_n_iterations=None)
        self.values = values

    def on_train_batch_end(self, _, pl_module, *__):
        if pl_module.iteration in self.values:
            self.latest, self.iteration = self.values[pl_module.iteration], pl_module.iteration


class At(pl.Callback):
    """Does something at the end of an iteration, before the checkpoint."""

    def __init__(self, iteration, act):
        self.iteration, self.act = iteration, act

    def on_train_batch_end(self, _, pl_module, *__):
        if pl_module.iteration == self.iteration:
            self.act()


def fit(folder, checkpoint, iterations=6, callbacks=(), seed=0, ckpt_path="auto", width=3):
    pl.seed_everything(seed, verbose=False)
    method = Toy(iterations, width)
    trainer = pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=-1,
        callbacks=[checkpoint, *callbacks],
        logger=[CSVLogger(str(folder))],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    found = find_checkpoint(folder, ckpt_path)
    trainer.fit(method, DataLoader(Ones(), batch_size=2), ckpt_path=found, weights_only=True)
    return method


def saved(folder):
    """Return the checkpoints of a run: name -> iteration."""
    return {
        path.stem: torch.load(path, weights_only=True)["iteration"]
        for path in checkpoint_folder(folder).glob("*.ckpt")
    }


def test_last_and_previous(tmp_path):
    fit(tmp_path, Checkpoint(every_n_iterations=2), iterations=5)
    assert saved(tmp_path) == {"previous": 4, "last": 5}
    assert not list(tmp_path.rglob("*.partial"))


def test_numbered(tmp_path):
    fit(tmp_path, Checkpoint(every_n_iterations=100, keep_every=2), iterations=5)
    assert saved(tmp_path) == {"iteration_00000002": 2, "iteration_00000004": 4, "last": 5}


@pytest.mark.parametrize(("mode", "expected"), [("min", 3), ("max", 4)])
def test_best(tmp_path, mode, expected):
    values = {1: 5.0, 2: float("nan"), 3: 2.0, 4: 9.0, 5: 3.0}
    evaluate = KnownValues({i: {"fid": value} for i, value in values.items()})
    fit(tmp_path, Checkpoint(every_n_iterations=100, mode=mode), callbacks=[evaluate])
    assert saved(tmp_path)["best"] == expected


def test_best_is_remembered_over_a_resume(tmp_path):
    evaluate = KnownValues({2: {"fid": 1.0}, 8: {"fid": 2.0}})
    fit(tmp_path, Checkpoint(), iterations=4, callbacks=[evaluate])
    fit(tmp_path, Checkpoint(), iterations=9, callbacks=[evaluate])
    assert saved(tmp_path) == {"best": 2, "previous": 4, "last": 9}


def test_a_measure_that_is_not_measured_is_said_once(tmp_path, capsys):
    evaluate = KnownValues({2: {"kid": 1.0}, 4: {"kid": 0.5}})
    fit(tmp_path, Checkpoint(best="fid"), callbacks=[evaluate])
    assert capsys.readouterr().err.count("checkpoint.best is 'fid'") == 1
    assert "best" not in saved(tmp_path)


def test_by_time(tmp_path):
    checkpoint = Checkpoint(every_n_iterations=100, every_n_minutes=0.5 / 60)
    fit(tmp_path, checkpoint, callbacks=[At(3, lambda: time.sleep(0.6))])
    assert saved(tmp_path) == {"previous": 3, "last": 6}


def test_saving_changes_nothing(tmp_path):
    often = fit(tmp_path / "often", Checkpoint(every_n_iterations=1, every_n_minutes=0))
    never = fit(tmp_path / "never", Checkpoint(every_n_minutes=None))
    assert often.drawn == never.drawn
    assert torch.equal(often.net.weight, never.net.weight)


def test_a_resumed_run_draws_the_same(tmp_path):
    whole = fit(tmp_path / "whole", Checkpoint())
    first = fit(tmp_path / "parts", Checkpoint(), iterations=2)
    # Another seed: all that is drawn must come from the checkpoint.
    second = fit(tmp_path / "parts", Checkpoint(), iterations=6, seed=1)
    assert first.drawn + second.drawn == whole.drawn
    assert torch.equal(second.net.weight, whole.net.weight)


def test_a_checkpoint_is_plain_data(tmp_path):
    fit(tmp_path, Checkpoint())
    assert find_checkpoint(tmp_path) == tmp_path / "checkpoints" / "last.ckpt"


def test_another_architecture_is_refused(tmp_path):
    fit(tmp_path, Checkpoint())
    with pytest.raises(InputError, match=r"net\.weight is \[1, 3\] there and \[1, 5\] here"):
        fit(tmp_path, Checkpoint(), width=5)


def test_fast_dev_run_saves_nothing(tmp_path):
    trainer = pl.Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        fast_dev_run=2,
        callbacks=[Checkpoint(1)],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Toy(6), DataLoader(Ones()))
    assert saved(tmp_path) == {}


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    checkpoint = Checkpoint(every_n_iterations=2)
    real = os.fsync

    def full(descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("last.ckpt.partial"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    fill = At(3, lambda: monkeypatch.setattr(os, "fsync", full))
    with pytest.raises(InputError, match="No space left on device"):
        fit(tmp_path, checkpoint, callbacks=[fill])
    assert saved(tmp_path) == {"last": 2}
    assert not list(tmp_path.rglob("*.partial"))
    monkeypatch.setattr(os, "fsync", real)
    fit(tmp_path, checkpoint)
    assert saved(tmp_path) == {"previous": 4, "last": 6}


@pytest.mark.parametrize("signum", [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_stops(tmp_path, signum, monkeypatch, capsys):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    before = signal.getsignal(signum)
    send = At(3, lambda: os.kill(os.getpid(), signum))
    with pytest.raises(SystemExit) as stopped:
        fit(tmp_path, Checkpoint(), callbacks=[send])
    assert stopped.value.code == 128 + signum
    assert saved(tmp_path) == {"last": 3}
    assert "saved at iteration 3; the same command goes on" in capsys.readouterr().err
    assert signal.getsignal(signum) == before


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(SystemExit):
        fit(tmp_path, Checkpoint(), callbacks=[At(3, twice)])
    assert saved(tmp_path) == {}


def test_a_signal_at_the_end_changes_nothing(tmp_path):
    fit(tmp_path, Checkpoint(), callbacks=[At(6, lambda: os.kill(os.getpid(), signal.SIGTERM))])
    assert saved(tmp_path) == {"last": 6}


def test_a_finished_run_says_so(tmp_path, capsys):
    fit(tmp_path, Checkpoint())
    assert fit(tmp_path, Checkpoint()).drawn == []
    assert "finished, at iteration 6 of 6" in capsys.readouterr().err
    assert saved(tmp_path) == {"last": 6}


def test_it_works_outside_the_main_thread(tmp_path):
    thread = threading.Thread(target=fit, args=(tmp_path, Checkpoint()))
    thread.start()
    thread.join()
    assert saved(tmp_path) == {"last": 6}


@pytest.mark.parametrize("option", ["every_n_iterations", "keep_every"])
def test_never_is_not_zero(option):
    with pytest.raises(InputError, match=f"checkpoint.{option} is 0"):
        Checkpoint(**{option: 0})
