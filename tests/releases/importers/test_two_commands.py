"""The README's two commands, `import` and `fit`: killed on the way, and in two processes."""

import shlex

import numpy as np
import pytest
import torch
from forkserver import ROOT, server
from PIL import Image
from public_files import filled, persistent, write_nvidia

from lit_synth.cli import main
from lit_synth.networks.dcgan import DCGANGenerator
from lit_synth.networks.pgan import PGANCritic, PGANGenerator
from lit_synth.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from lit_synth.releases.importers import dcgan, pgan, stylegan2_ada
from lit_synth.releases.importers.layout import to_public
from lit_synth.runs.resume import checkpoint_folder

ITERATIONS = 6  # of which the last one fine-tunes
SHORT = [
    "--iterations", ITERATIONS, "--data.init_args.image_size", 16, "--evaluate.n_fake", 20,
    "--trainer.accelerator", "cpu", "--trainer.log_every_n_steps", 2,
    "--checkpoint.every_n_iterations", 2,
]  # fmt: skip
CRITIC = "--model.init_args.critic"
SOURCES = {  # critics of groups of four images, and one of images alone
    "with-critics": ("[my-gan-1, my-gan-2, my-gan-3]", []),
    "without-a-critic": ("[my-gan-3]", [CRITIC, "ResNetCritic", f"{CRITIC}.init_args.width", 4]),
}


def readme(verb):
    """The README's first command of a verb that names `my-gan-1`, as a list of words."""
    text = (ROOT / "README.md").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.startswith(f"lit-synth {verb} ")]
    return shlex.split(next(line for line in lines if "my-gan-1" in line), comments=True)[1:]


def written(layout, **networks):
    """A file's state dicts, by place."""
    own = {
        f"{name}.{key}": tensor
        for name, network in networks.items()
        for key, tensor in filled(network).state_dict().items()
    }
    return {place: to_public(part, own) for place, part in layout.write(networks).items()}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Three files of three families, imported, and a folder of 100 photos."""
    home = tmp_path_factory.mktemp("two-commands")
    styled = [StyleGAN2Generator(16, 3, 5, 4, 64, 4, 2), StyleGAN2Discriminator(16, 3, 64, 4)]
    state = written(stylegan2_ada, generator=styled[0], critic=styled[1])
    modules = {place: persistent(place, tensors, {}) for place, tensors in state.items()}
    write_nvidia(home / "network.pkl", modules)
    grown = {"generator": PGANGenerator([8, 8, 8], 4), "critic": PGANCritic([8, 8, 8])}
    torch.save(written(pgan, **grown), home / "my-gan-2.pth")
    torch.save(written(dcgan, generator=DCGANGenerator(16, 3, 4, 2)), home / "my-gan-3.pth")
    first = readme("import")
    for name, file in {
        "my-gan-1": "network.pkl",
        "my-gan-2": "my-gan-2.pth",
        "my-gan-3": "my-gan-3.pth",
    }.items():
        put = {"network.pkl": str(home / file), "my-gan-1": str(home / name)}
        assert main([put.get(word, word) for word in first]) == 0
    (home / "photos").mkdir()
    rng = np.random.default_rng(0)
    for i in range(100):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(home / "photos" / f"{i}.png")
    return home


def fit(home, name, batch_size=8):
    """The README's second command, for these sources."""
    sources, more = SOURCES[name]
    put = {
        "configs/minegan.yaml": ROOT / "configs/minegan.yaml",
        "photos/": home / "photos",
        "[my-gan-1, my-gan-2]": sources.replace("my-gan", f"{home}/my-gan"),
    }
    words = [put.get(word, word) for word in readme("fit")]
    at = words.index("--run_id")
    del words[at : at + 2]
    if more:
        more = [*more, f"{CRITIC}.init_args.image_size", 16]
    runs = ["--runs_dir", home / name, "--data.init_args.batch_size", batch_size]
    return [*words, *SHORT, *more, *runs]


@pytest.fixture(scope="module", params=SOURCES)
def whole(request, home):
    """A run that nothing happened to, with its gradients: its name."""
    command = [*fit(home, request.param), "--run_id", "whole"]
    log, gradients = home / f"{request.param}.log", str(home / f"{request.param}.pt")
    assert server().run(log, *command, record_gradients=gradients) == 0, log.read_text()
    return request.param


def last(home, name, run_id):
    path = checkpoint_folder(home / name / "minegan" / run_id) / "last.ckpt"
    return torch.load(path, weights_only=True)


def test_a_killed_run_goes_on_exactly(home, whole):
    command = [*fit(home, whole), "--run_id", "killed"]
    log = home / f"{whole}-killed.log"
    assert server().run(log, *command, kill_in_iteration=4) == -9
    assert server().run(log, *command) == 0, log.read_text()
    ours, theirs = (last(home, whole, run_id) for run_id in ("whole", "killed"))
    assert ours["iteration"] == theirs["iteration"] == ITERATIONS
    for key, value in ours["state_dict"].items():
        assert torch.equal(theirs["state_dict"][key], value), key
    for file in ("metrics.csv", "release/model.safetensors"):
        one, other = (home / whole / "minegan" / run_id / file for run_id in ("whole", "killed"))
        assert one.read_bytes() == other.read_bytes(), file


def test_two_processes_equal_one(home, whole):
    paths = [home / f"{whole}-{rank}.pt" for rank in range(2)]
    recording = [{"record_gradients": str(path)} for path in paths]
    log, command = home / f"{whole}-two", fit(home, whole, batch_size=4)
    said = server().run_two(log, "two", *command, tampering=recording)
    assert said == [0, 0], "\n".join(path.read_text() for path in home.glob("*two-*.log"))
    one, *both = (torch.load(p, weights_only=True) for p in (home / f"{whole}.pt", *paths))
    assert len(one) == ITERATIONS + ITERATIONS // 3
    assert any(name.startswith("generators.") for name in one[-1])
    for gradients in both:
        for step, (expected, found) in enumerate(zip(one, gradients, strict=True)):
            scale = max(value.abs().max() for value in expected.values())
            for parameter, value in expected.items():
                other = found.get(parameter, torch.zeros_like(value))
                assert (other - value).abs().max() <= 1e-3 * scale, f"step {step}, {parameter}"
    state, other = (last(home, whole, run_id)["state_dict"] for run_id in ("whole", "two"))
    assert torch.equal(other["selector.shares"], state["selector.shares"])
