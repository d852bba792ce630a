"""Evaluation: when, on what, that it leaves training alone, and what is written down."""

import dataclasses
import json

import pytest
import pytorch_lightning as pl
import torch
from jsonargparse import ArgumentParser
from toy_run import SIZE, ToyConditionalGAN, ToyData, ToyGAN, fit, same, trainer_of, weights

from lit_synth.callbacks.checkpoint import Checkpoint
from lit_synth.callbacks.ema import EMA
from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.callbacks.sample_grid import SampleGrid
from lit_synth.errors import InputError
from lit_synth.evaluation import extractors
from lit_synth.evaluation.extractors import choose_extractor
from lit_synth.evaluation.settings import EvaluationSettings
from lit_synth.features.base import extract
from lit_synth.features.classifier import Recipe, train_classifier
from lit_synth.features.random import RandomFeatures
from lit_synth.metrics.card import read_card
from lit_synth.metrics.fid import fid
from lit_synth.runs.resume import find_checkpoint
from lit_synth.stages import Stage


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A classifier of dark and bright, trained on the toy's training images."""
    split = ToyData().split("train")
    everything = split.fetch(range(len(split)))
    folder = tmp_path_factory.mktemp("classifier") / "toy"
    recipe = Recipe(iterations=30, batch_size=16)
    return str(train_classifier(everything["image"], everything["label"], folder, recipe))


def evaluate(**settings):
    return Evaluate(**({"n_fake": 10, "batch_size": 4, "extractor": "random"} | settings))


def test_when_and_what(tmp_path):
    asked = []

    class Watch(pl.Callback):
        def on_train_batch_end(self, _, pl_module, *__):
            asked.append((pl_module.iteration, judge.iteration, dict(judge.latest)))

    judge = evaluate(every_n_iterations=3)
    fit(tmp_path, judge, Watch())
    assert [when for _, when, _ in asked] == [None, None, 3, 3, 3, 6, 6, 8]
    assert asked[-1][2].keys() == {"fid", "kid", "kid_std"}
    names = sorted(path.name for path in (tmp_path / "cards").iterdir())
    assert names == ["val-00000003.json", "val-00000006.json", "val-00000008.json"]
    card, values = read_card(tmp_path / "cards" / "val-00000008.json")
    assert values == judge.latest
    assert (card.split, card.n_real, card.n_fake, card.seed) == ("val", 24, 10, 0)
    assert card.data_sha256 == ToyData().split("val").sha256
    assert "Iteration 8, the networks' own weights." in card.note
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert rows[0] == "iteration,val/fid,val/kid,val/kid_std"
    assert rows[-1].startswith(f"8,{judge.latest['fid']!r},")


def test_the_value_is_that_of_the_first_n_images_of_the_average(tmp_path):
    judge, ema = evaluate(every_n_iterations=8, seed=3), EMA(half_life_kimg=0.02)
    method, _ = fit(tmp_path, judge, ema)
    rng = torch.Generator().manual_seed(3)
    method.eval()
    with torch.no_grad(), ema.applied(method):
        made = torch.cat([method.generate(method.prior(4, rng)) for _ in range(3)])[:10]
    extractor, split = RandomFeatures(), ToyData().split("val")
    real = extract(extractor, split.fetch(range(len(split)))["image"]).features
    # Features of batches of other sizes differ in their last bits.
    expected = fid(real, extract(extractor, made).features)
    assert judge.latest["fid"] == pytest.approx(expected, rel=1e-6)


def test_training_is_the_same_with_and_without(tmp_path, classifier):
    plain, _ = fit(tmp_path / "plain")
    watched, _ = fit(
        tmp_path / "watched",
        evaluate(every_n_iterations=1, extractor=classifier),
        SampleGrid(every_n_iterations=1, n=4),
        EMA(),
    )
    assert len(watched.generated) == 1 + 8 + 8 * 3
    assert same(weights(plain), weights(watched))
    assert torch.equal(plain.draws.rng.get_state(), watched.draws.rng.get_state())


def test_real_features_are_computed_once(tmp_path, monkeypatch):
    calls = []
    original = RandomFeatures.forward
    monkeypatch.setattr(
        RandomFeatures, "forward", lambda self, x: (calls.append(len(x)), original(self, x))[1]
    )
    fit(tmp_path, evaluate(every_n_iterations=4, n_fake=3, batch_size=3))
    assert calls == [24, 3, 3]


def test_the_test_card(tmp_path, classifier, capsys):
    judge = evaluate(every_n_iterations=None, extractor=classifier, n_fake=20)
    fit(tmp_path, EMA(), Checkpoint(best=None), method=ToyConditionalGAN)
    method = ToyConditionalGAN()
    trainer = trainer_of(tmp_path, judge, EMA(), Checkpoint(best=None))
    trainer.test(method, ToyData(), ckpt_path=find_checkpoint(tmp_path), weights_only=True)
    report = json.loads((tmp_path / "cards" / "test.json").read_text())
    assert report["values"] == judge.latest
    expected = {"fid", "kid", "kmmd", "mv", "precision", "recall", "density", "coverage"}
    expected |= {"memorisation_ratio", "memorisation_share", "accuracy", "ms_per_image"}
    expected |= {"fid_low", "fid_high", "fid_floor", "mind", "memorised_excess", "f_score"}
    assert expected <= judge.latest.keys()
    assert judge.latest["accuracy"] == 1
    assert judge.latest["class_0"] + judge.latest["class_1"] == 1
    assert 0 < judge.latest["class_0"] < 1
    assert judge.latest["ms_per_image"] > 0
    assert report["card"]["split"] == "test"
    assert "Iteration 8, the networks' averaged weights." in report["card"]["note"]
    assert "fewer than 250" in report["card"]["note"]
    assert "fid" in capsys.readouterr().out


def test_validate_measures_what_fit_measured(tmp_path):
    in_fit = evaluate(every_n_iterations=8)
    fit(tmp_path, in_fit, EMA(), Checkpoint(best=None))
    judge = evaluate()
    trainer = trainer_of(tmp_path, judge, EMA(), Checkpoint(best=None))
    trainer.limit_val_batches = 1.0
    trainer.validate(ToyGAN(), ToyData(), ckpt_path=find_checkpoint(tmp_path), weights_only=True)
    assert judge.latest == in_fit.latest
    assert judge.iteration == 8
    assert read_card(tmp_path / "cards" / "val.json")[1] == in_fit.latest


def test_a_run_that_was_gone_on_with_is_tested_as_it_ended(tmp_path):
    fit(tmp_path, Checkpoint(best=None), method=lambda: ToyGAN([Stage("only", 4)]))
    judge = evaluate(every_n_iterations=None)
    trainer = trainer_of(tmp_path, judge, Checkpoint(best=None))
    method, found = ToyGAN(), find_checkpoint(tmp_path)
    trainer.fit(method, ToyData(), ckpt_path=found, weights_only=True)
    trainer.test(method, ToyData())
    card, values = read_card(tmp_path / "cards" / "test.json")
    assert "Iteration 8, the networks' own weights." in card.note
    again = evaluate(every_n_iterations=None)
    other = trainer_of(tmp_path, again, Checkpoint(best=None))
    other.test(ToyGAN(), ToyData(), ckpt_path=find_checkpoint(tmp_path), weights_only=True)
    assert values["fid"] == again.latest["fid"]


def test_the_checkpoint_keeps_the_best(tmp_path):
    judge, checkpoint = evaluate(every_n_iterations=1), Checkpoint(best="fid")
    measured = []

    class Watch(pl.Callback):
        def on_train_batch_end(self, *_):
            measured.append(judge.latest["fid"])

    fit(tmp_path, judge, Watch(), checkpoint)
    assert len(measured) == 8
    assert checkpoint.best_value == min(measured)


def test_default_extractor(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path))
    monkeypatch.setattr(
        extractors, "trained_classifier", lambda *given: asked.append(given) or "trained"
    )
    monkeypatch.setattr(extractors, "load_extractor", lambda name: name)
    train = ToyData().split("train")
    assert choose_extractor(None, train) == "trained"
    images, labels, folder = asked[0]
    assert images.shape == (24, 1, SIZE, SIZE)
    assert labels.tolist() == [0, 1] * 12
    assert folder == tmp_path

    assert choose_extractor("inception", train) == "inception"
    assert choose_extractor(None, ToyData(labelled=False).split("train")) == "auto"
    one_class = train.subset(torch.arange(0, 24, 2))
    assert choose_extractor(None, one_class) == "auto"
    assert len(asked) == 1


def test_a_classifier_does_not_judge_its_training_images(tmp_path, classifier):
    with pytest.raises(InputError, match="was trained on 24 of the 24 images"):
        fit(tmp_path, evaluate(extractor=classifier, split="train"))
    assert not (tmp_path / "cards").exists()


def test_a_missing_split_is_named_before_training(tmp_path):
    class TrainOnly(ToyData):
        def has_split(self, name):
            return name == "train"

    method = ToyGAN()
    with pytest.raises(InputError, match="the data has no split 'val'"):
        fit(tmp_path, evaluate(), method=lambda: method, data=TrainOnly())
    assert method.iteration == 0


def test_images_that_are_not_finite(tmp_path):
    class Broken(ToyGAN):
        def generate(self, batch):
            return super().generate(batch) / 0

    with pytest.raises(InputError, match="the generated images are not finite"):
        fit(tmp_path, evaluate(every_n_iterations=2), method=Broken)


def test_every_setting_is_a_flat_option_with_its_default():
    parser = ArgumentParser()
    parser.add_class_arguments(Evaluate, "evaluate")
    options = vars(parser.get_defaults()["evaluate"])
    when = {"every_n_iterations": 1000, "split": "val"}
    assert options == when | dataclasses.asdict(EvaluationSettings())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"metrics": ["fidd"]}, "names 'fidd', which is none of fid"),
        ({"n_fake": 0}, "n_fake is 0: expected at least 1"),
        ({"every_n_iterations": 0}, "every_n_iterations is 0: expected at least 1"),
    ],
)
def test_bad_settings(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        evaluate(**settings)
