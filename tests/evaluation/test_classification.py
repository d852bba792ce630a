"""Evaluation of methods that classify: accuracies by name, which the method is told."""

import json
import re

import pytest
import torch
from torch import nn
from toy_run import ToyData, fit, trainer_of

from lit_synth.callbacks.checkpoint import Checkpoint
from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.callbacks.report import Report
from lit_synth.errors import InputError
from lit_synth.method import Method
from lit_synth.metrics.card import read_card
from lit_synth.networks.parts.rebuilding import records_init_args
from lit_synth.runs.resume import find_checkpoint
from lit_synth.stages import Stage


class Bias(nn.Module):
    @records_init_args
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))


class ToyClassifiers(Method):
    """Tells dark from bright, and says dark of everything."""

    def __init__(self):
        super().__init__([Stage("only", 4)])
        self.net, self.told, self.sizes = Bias(), [], []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)

    def training_step(self, batch):
        (optimizer,) = self.optimizers()
        self.minimize((batch["image"].mean() + self.net.bias).square().sum(), optimizer)

    def classify(self, images):
        assert not self.net.training
        self.sizes.append(len(images))
        level = images.mean((1, 2, 3)) + 0.2
        sure = torch.ones(len(images))
        return {"level": torch.stack([-level, level], 1), "dark": torch.stack([sure, 0 * sure], 1)}

    def measured(self, values):
        self.told.append(values)

    def generate(self, batch):
        return batch["image"]


def test_accuracy_by_name_and_the_method_is_told(tmp_path):
    judge = Evaluate(2, batch_size=10)
    method, _ = fit(tmp_path, judge, Report(), method=ToyClassifiers)
    expected = {"level/accuracy": 1.0, "dark/accuracy": 0.5}
    assert judge.latest == expected
    assert method.told == [expected] * 2
    assert method.sizes == [10, 10, 4] * 2
    card, values = read_card(tmp_path / "cards" / "val-00000004.json")
    assert values == expected
    assert (card.extractor, card.n_real, card.n_fake) == ("none", 24, 0)
    assert card.data_sha256 == ToyData().split("val").sha256
    page = (tmp_path / "report.html").read_text()
    assert "<span>level <b>1</b></span><span>dark <b>0.5</b></span>" in page
    charts = re.findall(r'aria-label="([^"]*)"', page)
    assert charts == ["accuracy, val-00000004", "accuracy"]


def test_by_the_test(tmp_path):
    fit(tmp_path, Checkpoint(best=None), method=ToyClassifiers)
    judge = Evaluate(batch_size=10)
    method = ToyClassifiers()
    trainer = trainer_of(tmp_path, judge, Checkpoint(best=None))
    trainer.test(method, ToyData(), ckpt_path=find_checkpoint(tmp_path), weights_only=True)
    values = json.loads((tmp_path / "cards" / "test.json").read_text())["values"]
    assert values == judge.latest == method.told[0]


def test_images_without_labels(tmp_path):
    with pytest.raises(InputError, match="the data's have no labels"):
        fit(tmp_path, Evaluate(2), method=ToyClassifiers, data=ToyData(labelled=False))
