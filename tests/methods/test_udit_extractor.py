"""The semantic extractor: independent classifiers, the choice of D, and what its release says."""

import copy
import shutil
from pathlib import Path

import pytest
import tiny
import torch
import torch.nn.functional as F
import yaml
from tiny_world import TinyWorld

from datamodules.labelled_images import LabelledImages
from lit_synth.augment.base import Augment
from lit_synth.cli import main
from lit_synth.contracts.classifier import Classifier
from lit_synth.errors import InputError
from lit_synth.inference.loading import load_method
from lit_synth.methods.udit import UDIT
from lit_synth.methods.udit_extractor import SemanticExtractor
from lit_synth.networks import (
    ContentEncoder,
    ConvBackbone,
    MultiScaleDiscriminator,
    StyleDecoder,
    StyleEncoder,
)
from lit_synth.networks.extractor import ExtractorNet
from lit_synth.releases.format import load_release, save_release
from lit_synth.stages import Stage
from lit_synth.tensors.hashing import image_digests

pytestmark = pytest.mark.usefixtures("workdir")


def extractor(iterations=2, backbone=True, widths=(1, 2, 4), backbone_widths=(4, 8), **settings):
    torch.manual_seed(0)
    trunk = ConvBackbone(3, widths=list(backbone_widths)) if backbone else None
    stages = [Stage("train", iterations)]
    return SemanticExtractor(16, 2, stages, trunk, widths=list(widths), **settings)


def data(attribute="texture", **settings):
    sizes = {"n_train": 64, "n_val": 16, "n_test": 16, "batch_size": 8}
    return LabelledImages(TinyWorld(), attribute, **(sizes | settings))


def test_each_width_learns_as_if_it_were_alone():
    together = extractor(3)
    start = tiny.state(together)
    tiny.fit(together, data())
    for name, width in (("d1", 1), ("d4", 4)):
        alone = extractor(3, widths=[width])
        alone.heads[name].load_state_dict(
            {key: start[f"heads.{name}.{key}"] for key in alone.heads[name].state_dict()}
        )
        tiny.fit(alone, data())
        for part in ("backbones", "heads"):
            theirs = getattr(together, part)[name].state_dict()
            for key, value in getattr(alone, part)[name].state_dict().items():
                torch.testing.assert_close(theirs[key], value)
    assert not torch.equal(*(next(together.backbones[name].parameters()) for name in ("d1", "d4")))


class Halved(Augment):
    def forward(self, x, rand):  # noqa: ARG002 - as all augmentations
        return x / 2


@pytest.mark.parametrize(("augment", "share"), [(None, 1), (Halved(), 0.5)])
def test_loss_is_the_cross_entropy_of_what_reads_the_reduced_map(augment, share):
    method = extractor(1, augment=augment).double()
    before, record, batches = copy.deepcopy(method), tiny.Minimized(method), []
    step = method.training_step
    method.training_step = lambda batch: batches.append(batch) or step(batch)
    tiny.fit(method, data(), precision="64-true")
    (batch,) = batches
    loss = 0
    for name in ("d1", "d2", "d4"):
        head, maps = before.heads[name], before.backbones[name](share * batch["image"])
        reduced = torch.einsum("oc,nchw->nohw", head.reduce.weight[:, :, 0, 0], maps)
        flat = (reduced + head.reduce.bias[:, None, None]).reshape(8, -1)
        logits = flat @ head.classify.weight.T + head.classify.bias
        loss = loss - F.log_softmax(logits, 1)[torch.arange(8), batch["label"]].mean()
    torch.testing.assert_close(record.losses[0], loss.detach())


@pytest.mark.parametrize(
    ("accuracies", "chosen"),
    [
        ({}, "d4"),
        ({"d1": 0.5, "d2": 0.98, "d4": 0.99}, "d2"),
        ({"d1": 0.5, "d2": 0.97, "d4": 0.99}, "d4"),
        ({"d1": 0.99, "d2": 1.0, "d4": 0.2}, "d1"),
        ({"d1": 0.99, "d2": 1.0}, "d1"),
    ],
)
def test_the_smallest_width_within_the_tolerance_is_released(accuracies, chosen):
    method = extractor(tolerance=0.01)
    method.measured({f"{name}/accuracy": value for name, value in accuracies.items()})
    assert method.chosen == chosen


def test_a_resumed_run_remembers_what_was_measured():
    method = extractor()
    method.measured({"d1/accuracy": 0.5, "d2/accuracy": 0.9, "d4/accuracy": 0.9})
    tiny.fit(method, data()).save_checkpoint("saved.ckpt")
    again = extractor(3)
    tiny.trainer().fit(again, data(), ckpt_path="saved.ckpt", weights_only=True)
    assert again.chosen == "d2"


def test_classifies_by_name():
    method, x = extractor(), torch.rand(3, 3, 16, 16)
    assert isinstance(method, Classifier)
    found = method.eval().classify(x)
    assert {name: logits.shape for name, logits in found.items()} == {
        f"d{width}": (3, 2) for width in (1, 2, 4)
    }
    net = ExtractorNet(method.backbones["d2"], method.heads["d2"])
    assert torch.equal(found["d2"], net(x))
    with pytest.raises(InputError, match="makes none: give its release to UDIT"):
        method.generate({})


def test_a_release_says_what_it_is_and_udit_takes_it():
    method, images = extractor(20, attribute="texture", lr=5e-3), data()
    method.measured({"d1/accuracy": 0.5, "d2/accuracy": 0.9, "d4/accuracy": 0.9})
    tiny.fit(method, images)
    networks, facts = method.release()
    train = images.split("train").fetch(range(64))["image"]
    assert (facts["attribute"], facts["width"]) == ("texture", 2)
    accuracies = {"accuracy_d1": 0.5, "accuracy_d2": 0.9, "accuracy_d4": 0.9}
    assert facts["accuracies"] == pytest.approx(accuracies)
    assert facts["trained_on"] == {"count": 64, "images": image_digests(train)}
    # All pairs of training images, one after the other.
    net = ExtractorNet(networks["backbone"], networks["head"]).eval()
    for kind in ("reduced", "naive"):
        feature = net.feature(train, kind).detach().flatten(1)
        pairs = (feature[:, None] - feature).abs().mean(2)
        mean = pairs.sum().item() / (64 * 63)
        assert facts["scale"][kind] == pytest.approx(mean, rel=0.1)

    save_release("h", networks, "# h\n", facts)
    judge = UDIT(
        ContentEncoder(3, 2, 2, 1),
        StyleEncoder(3, [2, 4], 3),
        StyleDecoder(3, 2, 2, 1, style_dim=3),
        MultiScaleDiscriminator(3, [4], 1),
        "h",
        [Stage("train", 1)],
    )
    assert judge.judged_attribute == "texture"
    torch.testing.assert_close(judge.judge(train), method.eval().classify(train)["d2"])
    # 1 is as different as two random images.
    apart = judge.semantic(train, train.roll(1, 0)).item()
    assert apart == pytest.approx(1, rel=0.15)


def test_a_frozen_backbone_is_shared_and_stays_as_it_is():
    method = extractor(backbone_frozen=True)
    start = tiny.state(method)
    tiny.fit(method, data())
    assert tiny.changed_networks(start, tiny.state(method)) == {"heads"}
    assert list(method.backbones) == ["all"]
    networks, _ = method.train().release()
    for key, value in networks["backbone"].state_dict().items():
        assert torch.equal(value, start[f"backbones.all.{key}"]), key


def test_starts_from_the_backbone_of_another_property():
    first = extractor(attribute="colour")
    tiny.fit(first, data("colour"))
    networks, facts = first.release()
    save_release("generic", networks, "# generic\n", facts)
    method = extractor(backbone=False, start="generic", backbone_frozen=True)
    for key, value in networks["backbone"].state_dict().items():
        assert torch.equal(method.backbones["all"].state_dict()[key], value), key
    for settings in ({"backbone": False}, {"start": "generic"}):
        with pytest.raises(InputError, match="give one of them"):
            extractor(**settings)


def test_needs_to_know_what_it_is_trained_on():
    batch = data().split("train").fetch(range(4))
    with pytest.raises(InputError, match=r"data module that has split\('train'\)"):
        tiny.fit(extractor(1), [batch])


def test_widths_rise():
    with pytest.raises(InputError, match=r"widths is \[4, 2\]: give rising"):
        extractor(widths=[4, 2])


def test_command_line_trains_chooses_and_releases():
    config = {
        "model": {
            "class_path": "SemanticExtractor",
            "init_args": {
                "image_size": 16,
                "num_classes": 2,
                "attribute": "texture",
                "backbone": {"class_path": "ConvBackbone", "init_args": {"widths": [8, 8]}},
                "widths": [1, 4],
                "lr": 0.005,
                "stages": [{"name": "train", "iterations": 60, "decay": "cosine"}],
            },
        },
        "data": {
            "class_path": "LabelledImages",
            "init_args": {
                "source": {"class_path": "tiny_world.TinyWorld"},
                "attribute": "texture",
                "n_train": 200,
                "n_val": 50,
                "batch_size": 16,
            },
        },
        "trainer": {"accelerator": "cpu", "logger": False},
        "samples": {"every_n_iterations": None},
        "evaluate": {"every_n_iterations": 30},
        "checkpoint": {"best": None},
    }
    Path("extractor.yaml").write_text(yaml.safe_dump(config))
    assert main(["fit", "--config", "extractor.yaml"]) == 0
    run = Path("runs/extractor/seed0")
    facts = load_release(run / "release").extra
    assert facts["accuracies"].keys() == {"accuracy_d1", "accuracy_d4"}
    assert max(facts["accuracies"].values()) > 0.8

    # Had back from its release alone, it classifies as the run's last weights do.
    method, x = extractor(widths=[1, 4], backbone_widths=[8, 8]), torch.rand(3, 3, 16, 16)
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    method.load_state_dict(state)
    shutil.copytree(run / "release", "copy")
    shutil.rmtree(run)
    name = f"d{facts['width']}"
    again = load_method("copy").classify(x)
    assert again.keys() == {name}
    assert torch.equal(again[name], method.eval().classify(x)[name])
