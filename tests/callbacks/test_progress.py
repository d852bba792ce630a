"""Progress: lines in a log file, a bar in a terminal."""

import io

import pytest
from rich.console import Console
from toy_run import fit

from lit_synth.callbacks import progress
from lit_synth.callbacks.log_terms import LogTerms
from lit_synth.callbacks.progress import TrainingProgress


def lines(output):
    return [line for line in output.splitlines() if "/8  " in line]


def test_a_line_at_start_stage_and_end(tmp_path, capsys):
    fit(tmp_path, LogTerms(), TrainingProgress())
    found = lines(capsys.readouterr().out)
    assert [line.split()[:2] for line in found] == [
        ["1/8", "first"],
        ["5/8", "second"],
        ["8/8", "second"],
    ]
    assert all("images/s" in line and " left" in line for line in found)
    assert "d_adv" not in found[0]
    assert "g_adv" in found[2]


def test_a_line_now_and_then(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    fit(tmp_path, TrainingProgress())
    assert len(lines(capsys.readouterr().out)) == 8


def test_a_bar_in_a_terminal(tmp_path, monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(progress, "Console", lambda: terminal)
    monkeypatch.setattr(progress, "REFRESH_S", 0.0)
    monkeypatch.setattr(
        progress.sys, "stdout", type("Tty", (io.StringIO,), {"isatty": lambda _: True})()
    )
    bar = TrainingProgress()
    fit(tmp_path, LogTerms(), bar)
    assert "8/8" in screen.getvalue()
    assert "second" in screen.getvalue()
    assert bar._bar is None


def test_the_bar_goes_when_training_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(
        progress, "Console", lambda: Console(file=io.StringIO(), force_terminal=True)
    )
    monkeypatch.setattr(
        progress.sys, "stdout", type("Tty", (io.StringIO,), {"isatty": lambda _: True})()
    )
    bar = TrainingProgress()

    class Failing(LogTerms):
        def on_train_batch_end(self, *_):
            raise KeyError

    with pytest.raises(KeyError):
        fit(tmp_path, bar, Failing())
    assert bar._bar is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00:00"), (75, "0:01:15"), (7322, "2:02:02")]
)
def test_clock(seconds, text):
    assert progress._clock(seconds) == text
