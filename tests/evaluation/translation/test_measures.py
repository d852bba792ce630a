"""Evaluation of translations: values against those computed by hand, and what it leaves alone."""

import json
from dataclasses import replace

import pytest
import torch
from tiny_scenes import CLASSES, MODALITIES, TinyScenes, scenes
from torch import nn
from toy_run import fit, same, trainer_of, weights
from toy_translator import CASCADE, CLASS, DEPTH, TO_CLASSES, TO_DEPTH, ToyMixer, ToyTranslator

from lit_synth.callbacks.checkpoint import Checkpoint
from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.errors import InputError
from lit_synth.evaluation.translation.batch_norm import batch_statistics
from lit_synth.evaluation.translation.prior import priors
from lit_synth.features.base import extract
from lit_synth.features.choice import load_extractor
from lit_synth.features.random import RandomFeatures
from lit_synth.metrics.card import read_card
from lit_synth.metrics.fid import fid
from lit_synth.networks.parts.norms import BatchNorm
from lit_synth.runs.resume import find_checkpoint


def evaluated(folder, method=ToyTranslator, data=None, **settings):
    """Fit the toy and return what its last evaluation measured."""
    judge = Evaluate(**({"every_n_iterations": 2, "batch_size": 3, "metrics": []} | settings))
    fit(folder, judge, method=method, data=data or TinyScenes())
    return judge.latest


def hidden(split="val", n=8):
    return TinyScenes().split(split).fetch(range(n))


def share(labels, index=CLASS):
    return float((labels == index).sum() / (labels != 255).sum())


def test_constant_translations_have_their_analytic_values(tmp_path):
    values = evaluated(tmp_path)
    x = hidden()
    of_class = share(x["segmentation"])
    for name in ("depth_to_segmentation", "rgb+depth_to_segmentation", CASCADE.name):
        assert values[f"{name}/accuracy"] == pytest.approx(of_class)
        assert values[f"{name}/iou_c"] == pytest.approx(of_class)
        assert values[f"{name}/miou"] == pytest.approx(of_class / CLASSES)
    z = x["depth"][x["depth"] > 0].double()
    assert values["rgb_to_depth/rmse"] == pytest.approx(float((DEPTH - z).square().mean().sqrt()))
    within = (torch.maximum(DEPTH / z, z / DEPTH) < 1.25).double().mean()
    assert values["rgb_to_depth/delta1"] == pytest.approx(float(within))
    assert values.keys() >= {f"depth_to_rgb/{name}" for name in ("l1", "mse", "psnr")}
    assert not any(name.startswith(("alignment", "swap")) or "@" in name for name in values)


def test_images_are_compared_with_the_target_of_their_own_scene(tmp_path):
    class Exact(ToyTranslator):
        def translate(self, x, translation):
            made = super().translate(x, translation)
            return x["rgb"] + 0.5 if translation.target == "rgb" else made

    values = evaluated(tmp_path, Exact)
    assert values["depth_to_rgb/l1"] == pytest.approx(0.5)
    assert values["depth_to_rgb/mse"] == pytest.approx(0.25)
    assert values["depth_to_rgb/psnr"] == pytest.approx(12.0412, abs=1e-4)


def test_the_priors_of_scenes_kept_larger_are_of_their_middle():
    class Larger(TinyScenes):
        image_size = 16

        def load_set(self, name):
            return scenes(10, self.sets[name], size=32)

    found, depth = priors(Larger()), Larger().training_set("rd").fetch(range(10))["depth"]
    assert found["segmentation"].shape == (1, 16, 16)
    assert found["depth"][0, 0, 3, 5] == depth[:, 0, 8 + 3, 8 + 5].median()


def test_the_priors_are_of_the_training_sets_at_each_pixel(tmp_path):
    values, data = evaluated(tmp_path), TinyScenes()
    labels = data.training_set("rs").fetch(range(10))["segmentation"]
    depth = data.training_set("rd").fetch(range(10))["depth"]
    x, found = hidden(), priors(data)
    assert found.keys() == {"segmentation", "depth"}
    constant = found["segmentation"][0]
    for row, column in ((0, 2), (5, 9), (15, 15)):
        here = [int((labels[:, row, column] == k).sum()) for k in range(CLASSES)]
        assert here[int(constant[row, column])] == max(here)
        known = depth[:, 0, row, column].sort().values
        assert found["depth"][0, 0, row, column] == known[(len(known) - 1) // 2]
    # One pixel of each has no truth anywhere.
    assert constant[0, 0] == labels[labels != 255].mode().values
    assert found["depth"][0, 0, 0, 1] == depth[depth > 0].median()
    kept = x["segmentation"] != 255
    right = (constant.expand_as(x["segmentation"]) == x["segmentation"])[kept].double().mean()
    assert values["prior/accuracy"] == pytest.approx(float(right))
    known = x["depth"] > 0
    error = (found["depth"].expand_as(x["depth"]) - x["depth"])[known].square().mean().sqrt()
    assert values["prior/rmse"] == pytest.approx(float(error), rel=1e-5)


def test_latents_and_side_information(tmp_path):
    # Batches of 3 of 8 scenes: the last is filled up, and what fills it must not count.
    values = evaluated(tmp_path, ToyMixer)
    assert values["alignment/rgb-depth"] == pytest.approx(1)
    assert values["alignment/rgb-depth_retrieval"] == 1
    assert values["alignment/rgb-depth_mismatched"] < 0.5
    assert values["alignment/rgb-depth_raw"] == pytest.approx(1)
    assert values["alignment/rgb-depth_raw_mismatched"] > 0.8
    assert values["alignment/depth-segmentation"] < 0.5
    assert values["swap/rgb_to_depth/abs_rel"] > values["rgb_to_depth/abs_rel"]
    assert 0 < values["swap/depth_to_segmentation/miou"] < 1
    names = {name.rsplit("/", 1)[0] for name in values if name.startswith("swap")}
    assert names == {f"swap/{each.name}" for each in (TO_DEPTH, TO_CLASSES)}


def test_batches_have_one_size_in_a_fixed_order(tmp_path):
    method, _ = fit(
        tmp_path, Evaluate(2, batch_size=3, metrics=[]), method=ToyTranslator, data=TinyScenes()
    )
    batches = [index for name, index in method.asked if name == TO_DEPTH.name]
    assert batches == [[0, 1, 2], [3, 4, 5], [6, 7, 0]]
    card, _ = read_card(tmp_path / "cards" / "val-00000002.json")
    assert (card.n_real, card.n_fake, card.extractor) == (8, 8, "none")
    assert card.data_sha256 == TinyScenes().split("val").sha256
    assert (
        "Iteration 2, the networks' own weights. Scenes in order, translated 3 at a time."
        in card.note
    )


def test_n_fake_caps_the_scenes(tmp_path):
    values = evaluated(tmp_path, n_fake=5)
    assert values["depth_to_segmentation/accuracy"] == pytest.approx(
        share(hidden(n=5)["segmentation"])
    )
    assert read_card(tmp_path / "cards" / "val-00000002.json")[0].n_fake == 5


def test_batch_statistics(tmp_path):
    values = evaluated(tmp_path, batch_statistics=True, batch_size=4)
    assert values["depth_to_rgb@batch/mse"] != values["depth_to_rgb/mse"]
    assert values[f"{CASCADE.name}@batch/miou"] == values[f"{CASCADE.name}/miou"]
    assert {n.split("@")[0] for n in values if "@" in n} == {
        t.name for t in ToyTranslator().translations()
    }


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(2), BatchNorm(2, running_stats=True)])
def test_batch_statistics_are_those_of_the_batch_and_leave_no_trace(norm):
    norm.running_mean.fill_(3.0)
    norm.eval()
    before, x = weights(norm), torch.randn(6, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    running = norm(x)
    with batch_statistics(norm):
        made = norm(x)
    assert made.mean((0, 2, 3)).abs().max() < 1e-6
    assert made.var((0, 2, 3), correction=0).sub(1).abs().max() < 1e-3
    assert same(before, weights(norm))
    assert not norm.training
    assert torch.equal(norm(x), running)


def test_fid_of_image_targets(tmp_path):
    values = evaluated(tmp_path, metrics=["fid"], extractor="random")
    assert {name for name in values if name.endswith("/fid")} == {"depth_to_rgb/fid"}
    method, _ = fit(tmp_path / "again", method=ToyTranslator, data=TinyScenes())
    with torch.no_grad():
        made = method.eval().net(hidden()["depth"]).tanh().expand(-1, 3, -1, -1)
    features = [extract(RandomFeatures(), each).features for each in (hidden()["rgb"], made)]
    assert values["depth_to_rgb/fid"] == pytest.approx(fid(*features), rel=1e-5)


def test_a_classifier_judges_the_class_that_the_target_or_the_scene_has(tmp_path, sources):
    method, _ = fit(tmp_path, method=ToyTranslator, data=TinyScenes())
    with torch.no_grad():
        made = method.eval().net(hidden()["depth"]).tanh().expand(-1, 3, -1, -1)
    classifier = str(sources / "classifier")
    logits = extract(load_extractor(classifier), made).logits
    likeliest = int(logits.argmax(1).mode().values)

    one_class = TinyScenes()
    one_class.modalities = {**MODALITIES, "rgb": replace(MODALITIES["rgb"], label=likeliest)}

    class Labelled(TinyScenes):
        def load_held_out(self, name):
            split = super().load_held_out(name)
            split.fields = {"label": torch.arange(8)}
            return split

    for data, intended in ((one_class, likeliest), (Labelled(), torch.arange(8))):
        values = evaluated(tmp_path / type(data).__name__, data=data, extractor=classifier)
        right = (logits.argmax(1) == intended).double().mean()
        assert values["depth_to_rgb/class_accuracy"] == pytest.approx(float(right))
        assert not any("fid" in name for name in values)
    assert "class_accuracy" not in str(evaluated(tmp_path / "none", extractor=classifier))


def test_unaligned_data_is_only_compared_as_a_whole(tmp_path):
    data = TinyScenes()
    data.aligned = False
    values = evaluated(tmp_path, ToyMixer, data, metrics=["fid"], extractor="random")
    assert values.keys() == {"depth_to_rgb/fid"}
    with pytest.raises(InputError, match="there is nothing to measure"):
        evaluated(tmp_path / "none", ToyMixer, data)


def test_training_is_the_same_with_and_without(tmp_path):
    plain, _ = fit(tmp_path / "plain", method=ToyMixer, data=TinyScenes())
    judge = Evaluate(1, batch_size=3, metrics=[], batch_statistics=True)
    watched, _ = fit(tmp_path / "watched", judge, method=ToyMixer, data=TinyScenes())
    assert same(weights(plain), weights(watched))


def test_single_classes_are_on_the_card_alone(tmp_path):
    values = evaluated(tmp_path)
    assert read_card(tmp_path / "cards" / "val-00000002.json")[1] == values
    header = (tmp_path / "metrics.csv").read_text().splitlines()[0].split(",")
    assert "val/depth_to_segmentation/miou" in header
    assert not any("iou_" in name for name in header)


@pytest.mark.parametrize("verb", ["validate", "test"])
def test_the_verbs(tmp_path, verb, capsys):
    fit(tmp_path, Checkpoint(best=None), method=ToyMixer, data=TinyScenes())
    judge = Evaluate(batch_size=3, metrics=[])
    trainer = trainer_of(tmp_path, judge, Checkpoint(best=None))
    trainer.limit_val_batches = 1.0
    ask = getattr(trainer, verb)
    ask(ToyMixer(), TinyScenes(), ckpt_path=find_checkpoint(tmp_path), weights_only=True)
    split = {"validate": "val", "test": "test"}[verb]
    report = json.loads((tmp_path / "cards" / f"{split}.json").read_text())
    assert report["values"] == judge.latest
    expected = share(hidden(split)["segmentation"])
    assert judge.latest["depth_to_segmentation/accuracy"] == pytest.approx(expected)
    timed = {name for name in judge.latest if name.endswith("/ms_per_image")}
    assert len(timed) == (5 if verb == "test" else 0)
    out = capsys.readouterr().out
    assert "depth_to_segmentation/miou" in out
    assert "iou_a" not in out


def test_best_by_a_measure_of_a_translation_and_by_one_that_is_not_there(tmp_path, capsys):
    judge = Evaluate(1, metrics=[])
    checkpoint = Checkpoint(best="rgb_to_depth/rmse")
    fit(tmp_path / "there", judge, checkpoint, method=ToyTranslator, data=TinyScenes())
    assert checkpoint.best_value == judge.latest["rgb_to_depth/rmse"]
    fit(
        tmp_path / "not",
        Evaluate(1, metrics=[]),
        Checkpoint(),
        method=ToyTranslator,
        data=TinyScenes(),
    )
    assert not (tmp_path / "not" / "checkpoints" / "best.ckpt").exists()
    assert capsys.readouterr().err.count("no best.ckpt is kept") == 1


class Broken(ToyTranslator):
    def translate(self, x, translation):
        return super().translate(x, translation) * float("nan")


class Small(ToyTranslator):
    def translate(self, x, translation):
        return super().translate(x, translation)[..., ::2]


class Strange(ToyTranslator):
    def translations(self):
        return [type(TO_DEPTH)(("rgb",), ("sound",))]


@pytest.mark.parametrize(
    ("method", "settings", "sentence"),
    [
        (Broken, {}, "what rgb_to_depth makes is not finite"),
        (Small, {}, "rgb_to_depth makes depth of shape"),
        (Strange, {}, "translates 'sound', but the data has rgb, depth"),
        (ToyTranslator, {"metrics": ["memorisation"]}, "'memorisation', which is not measured of"),
    ],
)
def test_what_cannot_be_measured(tmp_path, method, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        evaluated(tmp_path, method, **settings)
