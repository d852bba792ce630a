"""A finished run's method, had back: with its weights, its settings, and nothing disturbed."""

import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from tiny_domains import domain
from toy_styles import BOTH_WAYS, ToyStyles

from lit_synth.cli import main
from lit_synth.errors import InputError
from lit_synth.inference.loading import load_method


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of all runs, with one of the toy."""
    folder = tmp_path_factory.mktemp("beside")
    settings = {
        "model": {"class_path": "toy_styles.ToyStyles", "init_args": {"lr": 0.5}},
        "data": {"class_path": "tiny_domains.TinyDomains"},
        "trainer": {"accelerator": "cpu", "logger": False},
        "evaluate": {"every_n_iterations": None},
        "samples": {"every_n_iterations": None},
        "runs_dir": str(folder / "runs"),
    }
    (folder / "toy.yaml").write_text(yaml.safe_dump(settings))
    assert main(["fit", "--config", str(folder / "toy.yaml")]) == 0
    return folder / "runs"


@pytest.fixture
def release(trained, tmp_path):
    """A copy of the run's release, in its run folder."""
    shutil.copytree(trained, tmp_path / "runs")
    return tmp_path / "runs" / "toy" / "seed0" / "release"


def change(release, **init_args):
    """Change settings of the run."""
    path = release.parent / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["model"]["init_args"] |= init_args
    path.write_text(yaml.safe_dump(settings))


def test_the_method_has_its_weights_and_settings(release):
    method = load_method(release)
    assert isinstance(method, ToyStyles)
    assert method.lr == 0.5
    saved = load_file(release / "model.safetensors")["generator.trace"]
    assert method.generator.trace == saved != ToyStyles().generator.trace
    assert not any(each.training for each in method.modules())
    assert not any(each.requires_grad for each in method.parameters())
    x = domain("dark", 2).fetch(range(2))
    with torch.no_grad():
        assert method.translate(x, BOTH_WAYS[0]).shape == x["dark"].shape


def test_the_callers_randomness_is_untouched(release):
    before = torch.get_rng_state()
    load_method(str(release))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_was_prepared_is_found_beside_the_run(release, tmp_path, monkeypatch):
    """From another folder than the run was started in."""
    sources = tmp_path / "runs" / "first" / "seed7" / "release"
    shutil.copytree(release, sources)
    config = {
        "model": {"class_path": f"{__name__}.TakesRelease", "init_args": {"source": "$prepare.a"}},
        "prepare": {"a": "configs/first.yaml"},
        "seed_everything": 7,
    }
    (release.parent / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    method = load_method("../runs/toy/seed0/release")
    assert method.source == str(sources)
    shutil.rmtree(sources)
    with pytest.raises(InputError, match=r"\$prepare\.a is not trained yet"):
        load_method("../runs/toy/seed0/release")


class TakesRelease(ToyStyles):
    def __init__(self, source: str):
        super().__init__()
        self.source = source


class Folded(ToyStyles):
    def release(self):
        return {"generator": type(self.generator)()}, {}


def no_release(release):
    shutil.rmtree(release)


def no_settings(release):
    (release.parent / "config.yaml").unlink()


def other_settings(release):
    change(release, width=3)


def other_shapes(release):
    save_file({"generator.trace": torch.zeros(3)}, release / "model.safetensors")


def fewer_networks(release):
    save_file({"other.trace": torch.zeros(())}, release / "model.safetensors")


def more_networks(release):
    tensors = load_file(release / "model.safetensors")
    save_file({**tensors, "other.trace": torch.zeros(())}, release / "model.safetensors")


def damaged(release):
    (release / "model.safetensors").write_bytes(b"nothing")


def folded(release):
    config = {"model": {"class_path": f"{__name__}.Folded"}, "seed_everything": 0}
    (release.parent / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (no_release, "no release at"),
        (no_settings, "is in no run folder"),
        (other_settings, "cannot be built from its run's settings: .*width"),
        (other_shapes, "are not those of the run's settings: .*size mismatch"),
        (fewer_networks, "are not those of the run's settings: .*Missing key"),
        (more_networks, "has 'other.trace', which ToyStyles does not have"),
        (damaged, "are not those of the run's settings"),
        (folded, "Folded releases 'generator' in another form"),
    ],
)
def test_what_cannot_be_had_back(release, spoil, sentence):
    spoil(release)
    with pytest.raises(InputError, match=sentence):
        load_method(release)
