"""Oracles: they learn from pairs, are kept by content, and leave the run as it is."""

import json

import pytest
import torch
import yaml
from tiny_scenes import TinyScenes, scenes
from toy_run import fit, same, weights
from toy_translator import ToyMixer

from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.errors import InputError
from lit_synth.evaluation.translation import oracles
from lit_synth.evaluation.translation.oracles import Oracle, Oracles
from lit_synth.evaluation.translation.tally import meter_of
from lit_synth.features.random import RandomFeatures
from lit_synth.metrics.card import read_card
from lit_synth.releases.format import load_release

CPU = torch.device("cpu")
SMALL = {"iterations": 60, "batch_size": 8, "blocks": [[8], [8]], "lr": 0.03}
TO_CLASSES = Oracle("depth", "segmentation", **SMALL)
BRIEF = Oracle("depth", "segmentation", **{**SMALL, "iterations": 8})


class Complete(TinyScenes):
    """Tiny scenes, and others of which an oracle may know everything."""

    first = 30_000

    def complete_set(self, names):
        return scenes(24, names, self.first)


class NotTrainedError(Exception):
    pass


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*_):
        raise NotTrainedError

    return lambda: monkeypatch.setattr(oracles, "_fit", refuse)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache that has been in use."""
    folder = tmp_path_factory.mktemp("cache")
    measured(folder)
    return folder


def measured(folder, *oracles, data=None, n=8, batch_size=3, extractor=None):
    """Return translation -> metric -> value."""
    made = Oracles(data or Complete(), oracles or [TO_CLASSES], folder)
    tallies = made.tallies("val", n, batch_size, CPU, extractor)
    return {each.translation.name: each.values() for each in tallies}


def test_it_learns_and_is_measured_on_the_first_scenes_of_the_split(cache):
    values = measured(cache, n=5)["depth_to_segmentation"]
    (folder,) = cache.glob("oracle-*")
    network = load_release(folder).network("oracle")
    x = Complete().split("val").fetch(range(5))
    known = x["depth"] > 0
    made = network(torch.where(known, x["depth"] / 3, 1.0).log()).argmax(1)
    judge = meter_of(Complete().modalities["segmentation"])
    judge.update(made, x["segmentation"])
    assert values == pytest.approx(judge.values(), abs=1e-6)
    assert values["accuracy"] > 0.5  # of five classes
    assert measured(cache, n=5, batch_size=5)["depth_to_segmentation"] == pytest.approx(values)


def test_every_kind_of_modality(tmp_path):
    brief, pixels = {**SMALL, "iterations": 2}, {"l1", "mse", "psnr"}
    pairs = [("depth", "rgb"), ("rgb", "depth"), ("segmentation", "nir")]
    data = Complete({"rs": ["rgb", "segmentation"], "nd": ["nir", "depth"]})
    oracles = [Oracle(*pair, side="none", **brief) for pair in pairs]
    found = measured(tmp_path, *oracles, data=data, extractor=RandomFeatures())
    assert {name: set(values) for name, values in found.items()} == {
        "depth_to_rgb": pixels,
        "rgb_to_depth": {"abs_rel", "delta1", "delta2", "delta3", "rmse", "rmse_log"},
        "segmentation_to_nir": pixels,
    }


def test_the_cache_is_by_content_and_settings(cache, no_training):
    once = measured(cache)
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    no_training()
    assert measured(cache) == once
    other = Complete()
    other.first = 40_000
    with pytest.raises(NotTrainedError):
        measured(cache, data=other)
    for change in ({"lr": 0.02}, {"side": "skip"}, {"iterations": 61}):
        with pytest.raises(NotTrainedError):
            measured(cache, Oracle("depth", "segmentation", **{**SMALL, **change}))
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


def test_training_again_gives_the_same_network(cache, tmp_path):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    measured(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    (first,), (second,) = (list(each.glob("oracle-*")) for each in (cache, tmp_path))
    assert first.name == second.name
    networks = [load_release(each).network("oracle") for each in (first, second)]
    assert same(*map(weights, networks))


def test_a_cache_that_cannot_be_written_costs_time_alone(tmp_path):
    (tmp_path / "file").write_text("")
    assert measured(tmp_path / "file" / "cache", BRIEF) == measured(tmp_path, BRIEF)


def test_a_kept_oracle_executes_nothing(cache, tmp_path):
    (kept,) = cache.glob("oracle-*")
    place = tmp_path / kept.name
    place.mkdir()
    config = yaml.safe_load((kept / "config.yaml").read_text())
    for class_path, sentence in (
        ("os.system", "only classes of lit_synth.networks are built"),
        ("lit_synth.networks.segnet.SegNetEncoder", "do not fit"),
    ):
        config["networks"]["oracle"]["class_path"] = class_path
        config["networks"]["oracle"]["init_args"] = {"channels": 1, "blocks": [[8]]}
        (place / "config.yaml").write_text(yaml.safe_dump(config))
        (place / "model.safetensors").write_bytes((kept / "model.safetensors").read_bytes())
        with pytest.raises(InputError, match=sentence):
            measured(tmp_path)


def run(folder, *oracles):
    judge = Evaluate(1, batch_size=3, metrics=[], oracles=list(oracles))
    method, _ = fit(folder, judge, method=ToyMixer, data=Complete())
    return method, judge.latest


def test_a_run_is_the_same_without_it_with_it_and_from_the_cache(
    tmp_path, monkeypatch, capsys, no_training
):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path))
    plain, without = run(tmp_path / "plain")
    capsys.readouterr()
    trained, values = run(tmp_path / "trained", BRIEF)
    said = "Training the oracle depth_to_segmentation, once for all runs on these scenes: 8 iter"
    assert capsys.readouterr().out.count(said) == 1
    no_training()
    cached, again = run(tmp_path / "cached", BRIEF)
    assert "Training the oracle" not in capsys.readouterr().out
    assert same(weights(plain), weights(trained))
    assert same(weights(plain), weights(cached))
    assert values == again
    added = values.keys() - without.keys()
    oracle, ours = "oracle/depth_to_segmentation/", "depth_to_segmentation/"
    assert added == {f"oracle/{name}" for name in without if name.startswith(ours)}
    header = (tmp_path / "trained" / "metrics.csv").read_text().splitlines()[0].split(",")
    assert f"val/{oracle}miou" in header
    card, on_card = read_card(tmp_path / "trained" / "cards" / "val-00000002.json")
    assert on_card == values
    assert "oracle depth_to_segmentation: an upper bound, trained on 24 scenes with bo" in card.note
    assert json.loads((tmp_path / "plain/cards/val-00000002.json").read_text())["card"]["note"] in (
        card.note
    )


class Whole(Complete):
    """Scenes with hidden modalities that an oracle would ask for."""

    def load_held_out(self, name):  # noqa: ARG002 - both splits alike
        return scenes(8, ["rgb", "depth"], 10_000)


@pytest.mark.parametrize(
    ("data", "oracles", "sentence"),
    [
        (TinyScenes, [TO_CLASSES], "TinyScenes has no scenes with both depth and segmentation for"),
        (Complete, [Oracle("depth", "sound")], "names 'sound', but the data has rgb, depth"),
        (Complete, [TO_CLASSES, Oracle("depth", "segmentation")], "depth_to_segmentation twice"),
        (Whole, [TO_CLASSES], "names 'segmentation', which the scenes of val lack"),
        (Complete, [Oracle("depth", "rgb", lr=1e30, iterations=20)], "loss of the oracle depth_to"),
        (Complete, [Oracle("depth", "rgb", blocks=[[8]] * 5)], "cannot be halved 5 times"),
    ],
)
def test_what_cannot_be_had(data, oracles, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        measured(tmp_path, *oracles, data=data())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"target": "depth"}, "from 'depth' to itself"),
        ({"iterations": 0}, "iterations = 0: expected more than 0"),
        ({"batch_size": -1}, "batch_size = -1"),
        ({"lr": 0.0}, "lr = 0.0"),
        ({"blocks": [[8], []]}, "expected lists of widths"),
    ],
)
def test_impossible_settings(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        Oracle(**{"source": "depth", "target": "segmentation", **settings})
