"""References ranked by a segmenter: which they are, that they are kept, what is refused."""

from copy import deepcopy

import pytest
import tiny
import tiny_people
import torch
import yaml
from bad_input import refused
from jsonargparse import ArgumentParser

from datamodules.errors import DataError
from datamodules.items.modalities import Modality
from lit_synth.cli import main
from lit_synth.errors import InputError
from lit_synth.method import Method
from lit_synth.releases.format import save_release
from lit_synth.runs.user_cache import cache_folder
from lit_synth.training import ranking
from lit_synth.training.ranking import Ranking, rank_references

CONF = tiny.CONF / "translation" / "segmenter.yaml"


@pytest.fixture(autouse=True)
def _own_cache(workdir, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(workdir / "cache"))


@pytest.fixture
def segmenter(workdir):
    """The release of a segmenter, of 4 classes of grey images, that was not trained."""
    settings = yaml.safe_load(CONF.read_text())["model"]
    settings["class_path"] = "lit_synth.methods.segmenter.Segmenter"
    settings["init_args"] |= {"classes": 4, "source": "image", "target": "mask"}
    settings["init_args"]["network"]["init_args"]["out_channels"] = 4
    parser = ArgumentParser()
    parser.add_subclass_arguments(Method, "model")
    method = parser.instantiate(parser.parse_object({"model": deepcopy(settings)})).model
    tiny.randomise(method.network, torch.Generator().manual_seed(0))
    network = {"class_path": "lit_synth.networks.DeepLab", "init_args": method.network.init_args}
    settings["init_args"]["network"] = network
    save_release(workdir / "release", method.release()[0], "# seg\n", method=settings)
    return method.eval()


def test_references_are_the_images_whose_masks_are_nearest(segmenter):
    data = tiny_people.TinyPeople(references=2)
    rank_references(data, Ranking("release", candidates=3))
    data.setup("fit")
    pairs, pool = data.pairs("train").fetch(range(16)), data.pool("train").fetch(range(20))
    masks = segmenter.translate(pool, segmenter.translations()[0])
    for i in range(16):
        of_person = (pool["person"] == pairs["person"][i]).nonzero().flatten()
        differing = (masks[of_person] != pairs["mask"][i]).sum((1, 2))
        nearest = of_person[differing.sort(stable=True).indices[:3]]
        assert torch.equal(data.references("train").of(i), nearest)
    assert torch.equal(
        data.split("val").fetch([0])["references"],
        data.references("val").nearest(torch.tensor([0]), 2),
    )


@pytest.mark.usefixtures("segmenter")
def test_a_ranking_is_kept_with_a_card(monkeypatch):
    first = tiny_people.TinyPeople(references=1)
    rank_references(first, Ranking("release", candidates=2))
    ranked = first.references("train").ranking
    (card,) = cache_folder().glob("ranking-*/card.md")
    assert "16 pairs, 20 images in their pools" in card.read_text()
    monkeypatch.setattr(ranking, "rank_people", None)  # nothing is ranked again
    again = tiny_people.TinyPeople(references=1)
    rank_references(again, Ranking("release", candidates=2))
    assert torch.equal(again.references("train").ranking, ranked)


@pytest.mark.usefixtures("segmenter")
def test_a_pool_smaller_than_asked_for_is_refused():
    data = tiny_people.TinyPeople(references=1)
    rank_references(data, Ranking("release", candidates=6))
    with pytest.raises(DataError, match="6 masks were asked for, of a pool of 5"):
        data.references("train")


@pytest.mark.usefixtures("segmenter")
def test_what_cannot_rank_is_refused(capsys):
    with pytest.raises(InputError, match="expected at least 1"):
        Ranking("release", candidates=0)
    data = tiny_people.TinyPeople(references=1)
    data.modalities["mask"] = Modality("labels", 5)
    rank_references(data, Ranking("release", candidates=1))
    with pytest.raises(InputError, match="a Segmenter of 4 classes, and the masks have 5"):
        data.references("train")
    words = ["--ranking", "{segmenter: release, candidates: 1}"]
    assert "has none: set ranking to null" in refused(capsys, "fit", "--config", str(CONF), *words)


@pytest.mark.usefixtures("segmenter")
def test_a_run_may_not_go_on_with_another_ranking(capsys):
    config = ["--config", str(tiny.CONF / "translation" / "seg2eye.yaml")]
    assert main(["fit", *config, "--ranking", "{segmenter: release, candidates: 3}"]) == 0
    other = ["--ranking", "{segmenter: release, candidates: 2}"]
    assert "ranking.candidates = 3, but now it is 2" in refused(capsys, "fit", *config, *other)
