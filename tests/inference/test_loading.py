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
from lit_synth.networks.parts.rebuilding import spec_of
from lit_synth.networks.small import SmallCritic, SmallGenerator
from lit_synth.releases.format import save_release


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


def hostile(tmp_path, monkeypatch, **settings):
    """A release of a WGANGP with foreign settings, and a module that tells when it is imported."""
    (tmp_path / "words.py").write_text("import pathlib\npathlib.Path('proof').touch()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    networks = {"generator": SmallGenerator(16, 1, 8, 4), "critic": SmallCritic(16, 1, 4)}
    specs = {name: spec_of(network) for name, network in networks.items()}
    init_args = {**specs, "stages": [{"name": "only", "iterations": 1}]} | settings
    method = {"class_path": "lit_synth.baselines.wgan_gp.WGANGP", "init_args": init_args}
    return save_release(tmp_path / "alone" / "bad", networks, "# Bad\n", method=method)


@pytest.mark.parametrize(
    "named", ["words.Evil", {"class_path": "words.Evil"}, {"class_path": "torch.nn.Identity"}]
)
def test_a_release_alone_imports_and_builds_nothing_foreign(named, tmp_path, monkeypatch):
    folder = hostile(tmp_path, monkeypatch, generator=named)
    with pytest.raises(
        InputError, match=r"asks for the class (words\.Evil|torch\.nn\.Identity), but"
    ):
        load_method(folder)
    assert not (tmp_path / "proof").exists()
    assert load_method(hostile(tmp_path, monkeypatch)).generator.latent_dim == 8


def test_bare_words_build_nothing_foreign(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"asks for the class torch\.nn\..*Identity, but"):
        load_method(hostile(tmp_path, monkeypatch, generator="Identity"))


def no_release(release):
    shutil.rmtree(release)


def no_settings(release):
    (release.parent / "config.yaml").unlink()


def older_alone(release):
    no_settings(release)
    path = release / "config.yaml"
    config = yaml.safe_load(path.read_text())
    del config["method"]
    path.write_text(yaml.safe_dump(config))


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
        (no_settings, "asks for the class toy_styles.ToyStyles, but only classes of"),
        (older_alone, "does not say what method it is of, and is in no run folder"),
        (other_settings, "cannot be built from its settings: .*width"),
        (other_shapes, "are not those of its settings: .*size mismatch"),
        (fewer_networks, "are not those of its settings: .*Missing key"),
        (more_networks, "are not those of its settings: .*Unexpected key.*other.trace"),
        (damaged, "cannot be read"),
        (folded, "Folded releases 'generator' in another form"),
    ],
)
def test_what_cannot_be_had_back(release, spoil, sentence):
    spoil(release)
    with pytest.raises(InputError, match=sentence):
        load_method(release)
