"""The report: one file, with everything in it."""

import re

import pytest
from html_checker import Checker
from toy_run import ToyData, ToyGAN, fit, trainer_of

from lit_synth.callbacks.checkpoint import Checkpoint
from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.callbacks.log_terms import LogTerms
from lit_synth.callbacks.report import Report
from lit_synth.callbacks.sample_grid import SampleGrid
from lit_synth.reports.html import chart
from lit_synth.reports.run import best_iteration
from lit_synth.runs.metrics_csv import read_curves
from lit_synth.runs.resume import find_checkpoint


class Mining(ToyGAN):
    def training_step(self, batch):
        super().training_step(batch)
        share = self.rand(1).squeeze()
        self.track(p_0=share, p_1=1 - share)


@pytest.fixture
def run(tmp_path):
    """A finished run of the toy with everything that a report shows."""
    folder = tmp_path / "toy" / "seed0"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("seed_everything: 0 # <b>&\n")
    judge = Evaluate(4, n_fake=8, batch_size=8, extractor="random")
    callbacks = [SampleGrid(2, n=4), judge, LogTerms(), Report(), Checkpoint(best="fid")]
    fit(folder, *callbacks, method=Mining)
    return folder, judge


def test_it_needs_nothing_else(run):
    page = (run[0] / "report.html").read_text()
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert checker.fetched == []
    assert "http" not in page
    assert "viewport" in page


def test_what_it_shows(run):
    folder, judge = run
    page = (folder / "report.html").read_text()
    assert "toy/seed0: Mining" in page
    assert "<td>second</td><td>4</td><td>critic</td>" in page
    assert f'<td>fid ↓</td><td class="number">{judge.latest["fid"]:.4g}</td>' in page
    assert "extractor: random" in page
    for name in ("train/d_adv", "val/kid", "selector"):
        assert f'aria-label="{name}"' in page
    assert 'aria-label="train/p_0"' not in page
    captions = re.findall(r'<img alt="([^"]*)"', page)
    assert captions[:2] == ["real", next(c for c in captions if "iteration 8 (last" in c)]
    assert sum("nearest to the best" in caption for caption in captions) == 1
    assert "iteration 0 (first)" in captions
    assert len(captions) == len(set(captions))
    assert "&lt;b&gt;&amp;" in page


def test_the_result_comes_first_and_says_what_it_means(run):
    page = (run[0] / "report.html").read_text()
    heads = re.findall(r"<h2>(.*?)</h2>", page)
    assert heads == ["Result", "On the way", "Numbers", "Curves", "Stages", "Settings"]
    result = page[page.index("<h2>Result") : page.index("<h2>On the way")]
    assert '<img alt="real"' in result
    assert re.search(r'<td>kid ↓</td><td class="number">[^<]*</td><td class="words">[A-Z]', result)


def test_it_is_there_from_the_first_evaluation(tmp_path):
    seen = []

    class Watch(LogTerms):
        def on_train_batch_end(self, *_):
            seen.append((tmp_path / "report.html").is_file())

    judge = Evaluate(4, n_fake=8, batch_size=8, extractor="random")
    fit(tmp_path, judge, Report(), Watch())
    assert seen == [False] * 3 + [True] * 5


def test_the_test_is_added(run):
    folder, _ = run
    judge = Evaluate(n_fake=8, batch_size=8, extractor="random")
    trainer = trainer_of(folder, judge, Report(), Checkpoint(best="fid"))
    trainer.test(Mining(), ToyData(), ckpt_path=find_checkpoint(folder), weights_only=True)
    page = (folder / "report.html").read_text()
    assert f'<td>coverage ↑</td><td class="number">{judge.latest["coverage"]:.4g}</td>' in page
    assert 'aria-label="train/d_adv"' in page


def test_a_run_without_evaluation(tmp_path):
    fit(tmp_path, Report())
    page = (tmp_path / "report.html").read_text()
    assert "Stages" in page
    assert "Numbers" not in page


def test_curves(tmp_path):
    (tmp_path / "metrics.csv").write_text("iteration,stage,val/fid\n2,0,\n4,0,7.5\n6,1,3.25\n")
    curves = read_curves(tmp_path / "metrics.csv")
    assert curves == {"val/fid": [(4, 7.5), (6, 3.25)]}
    assert best_iteration(curves, ("val/fid", "min")) == 6
    assert best_iteration(curves, ("val/fid", "max")) == 4
    assert best_iteration(curves, ("val/kid", "min")) is None


def test_chart():
    drawn = chart("loss", {"": [(0, 1.0), (5, float("nan")), (10, 3.0)]}, marks=[5])
    assert 'points="0.0,90.0 300.0,0.0"' in drawn
    assert 'points="150.0,0.0 150.0,90.0"' in drawn
    assert chart("loss", {"": [(0, float("inf"))]}) == ""
    long = chart("loss", {"": [(i, float(i)) for i in range(5000)]})
    assert 300 < long.count(",") < 500
    assert "300.0,0.0" in long
