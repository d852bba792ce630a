"""What is trained once: kept by its facts, whole or not at all, and never needed."""

import pytest
import torch

from datamodules.items.cache import cache_folder as cache_of_data
from lit_synth.networks.classifier import SmallClassifier
from lit_synth.releases import cache
from lit_synth.releases.cache import Trained, trained_once
from lit_synth.runs.user_cache import cache_folder


def trained():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = SmallClassifier(image_size=8, image_channels=1, num_classes=2, width=4)
    return Trained({"classifier": network}, "# Card\n", {"count": 3})


def never():
    pytest.fail("trained again")


def test_it_is_trained_once_for_its_facts(tmp_path):
    first = trained_once("thing", "facts", tmp_path / "cache", trained)
    again = trained_once("thing", "facts", tmp_path / "cache", never)
    assert again.sha256 == first.sha256
    assert first.folder.name == "thing-0694aacb66d62e74"
    assert again.extra == {"count": 3}
    for kind, facts in (("thing", "others"), ("other", "facts")):
        with pytest.raises(pytest.fail.Exception, match="trained again"):
            trained_once(kind, facts, tmp_path / "cache", never)


def test_a_killed_run_leaves_nothing(tmp_path, monkeypatch):
    def killed(folder, *_):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "save_release", killed)
    with pytest.raises(KeyboardInterrupt):
        trained_once("thing", "facts", tmp_path, trained)
    assert list(tmp_path.iterdir()) == []


def test_of_two_runs_at_once_one_is_kept(tmp_path):
    def trained_meanwhile():
        trained_once("thing", "facts", tmp_path, trained)
        return trained()

    release = trained_once("thing", "facts", tmp_path, trained_meanwhile)
    assert list(tmp_path.iterdir()) == [release.folder]


def test_a_cache_that_cannot_be_written_changes_no_value(tmp_path):
    (tmp_path / "file").write_text("")
    kept = trained_once("thing", "facts", tmp_path, trained)
    unkept = trained_once("thing", "facts", tmp_path / "file" / "cache", trained)
    assert (unkept.sha256, unkept.extra) == (kept.sha256, kept.extra)
    assert not unkept.network("classifier").training
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(unkept.network("classifier")(x), kept.network("classifier")(x))


def test_there_is_one_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("LIT_SYNTH_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == cache_of_data() == tmp_path / ".cache" / "lit-synth"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == cache_of_data() == tmp_path / "xdg" / "lit-synth"
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path / "own"))
    assert cache_folder() == cache_of_data() == tmp_path / "own"
