"""Logged terms: means, cadence, and that `metrics.csv` holds nothing that depends on time."""

import csv

import pytest
from pytorch_lightning.loggers.logger import DummyLogger
from toy_run import ToyGAN, fit

from lit_synth.callbacks.log_terms import LogTerms
from lit_synth.runs.metrics_csv import CSVLogger


class Recorder(DummyLogger):
    def __init__(self):
        super().__init__()
        self.rows = []

    def log_metrics(self, metrics, step=None):
        self.rows.append((step, dict(metrics)))


class Counting(ToyGAN):
    """Tracks the number of the iteration."""

    def training_step(self, batch):
        super().training_step(batch)
        self.track(number=batch["image"].new_tensor(float(self.iteration)))


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_means_at_every_cadence_and_at_the_end(tmp_path):
    log = LogTerms()
    fit(tmp_path, log, method=Counting, log_every_n_steps=3)
    rows = rows_of(tmp_path / "metrics.csv")
    assert [int(row["iteration"]) for row in rows] == [3, 6, 8]
    assert [float(row["train/number"]) for row in rows] == [1.0, 4.0, 6.5]
    assert [int(row["images_seen"]) for row in rows] == [12, 24, 32]
    assert [int(row["stage"]) for row in rows] == [0, 1, 1]
    assert log.terms["number"] == 6.5
    assert float(rows[0]["train/g_adv"]) != float(rows[1]["train/g_adv"])


def test_speed_goes_to_other_loggers_only(tmp_path):
    recorder = Recorder()
    fit(tmp_path, LogTerms(), logger=[CSVLogger(str(tmp_path)), recorder])
    assert [step for step, _ in recorder.rows] == [2, 4, 6, 8]
    assert all(row["images_per_s"] > 0 for _, row in recorder.rows)
    assert "images_per_s" not in (tmp_path / "metrics.csv").read_text()


def test_two_runs_write_the_same_file(tmp_path):
    files = []
    for name in ("a", "b"):
        fit(tmp_path / name, LogTerms(), logger=[CSVLogger(str(tmp_path / name))])
        files.append((tmp_path / name / "metrics.csv").read_bytes())
    assert files[0] == files[1]
    assert len(files[0].splitlines()) == 5


def test_a_term_of_some_iterations_only(tmp_path):
    fit(tmp_path, LogTerms(), log_every_n_steps=2)
    last = rows_of(tmp_path / "metrics.csv")[-1]
    assert last["train/d_adv"] == ""
    assert float(last["train/g_adv"]) == pytest.approx(float(last["train/g_adv"]))
