"""What holds for every method: its tiny run, its turns, its checkpoint, its release, its losses."""

from pathlib import Path

import pytest
import tiny
import torch
from PIL import Image
from torch.utils.data import DataLoader

from lit_synth.cli import main
from lit_synth.releases.format import load_release, save_release

pytestmark = pytest.mark.usefixtures("workdir")

CRITIC_TWICE = [{"critic"}, {"critic"}, {"generator"}]

# The networks that each call of `minimize` may move, in order, over a whole tiny run.
TURNS = {
    "wgan_gp": 2 * CRITIC_TWICE,
    "transfergan": 2 * CRITIC_TWICE,
    "transfer_acgan": 2 * CRITIC_TWICE,
    "minegan": 2 * [{"critic"}, {"miners"}] + 2 * [{"critic"}, {"miners", "generators"}],
    "latent_regression": 4 * [{"generator"}],
    "vae": 4 * [{"encoder", "decoder"}],
    "bsa": 4 * [{"latents", "scales", "shifts"}],
    "dgn_am": [],
    "ppgn": 4 * [{"denoiser"}],
    "rejection": [],
    "sisug_rearranger": [
        *[{"rearranger"}, {"rearranger"}, {"critic"}] * 2,
        {"labeler"},
        *[{"rearranger"}, {"critic"}],
    ],
}


@pytest.fixture(params=tiny.METHODS)
def name(request):
    return request.param


def test_every_tiny_run_has_its_expectations():
    assert set(tiny.METHODS) == set(TURNS)


def test_command_line_fits_tests_and_predicts(name):
    config = ["--config", str(tiny.CONF / f"{name}.yaml")]
    assert main(["fit", *config]) == 0
    assert main(["test", *config]) == 0
    run = Path("runs", name, "seed0")
    assert (run / "checkpoints" / "last.ckpt").is_file()
    assert (run / "cards" / "test.json").is_file()
    assert main(["predict", *config, "--n_images", "5", "--out", "written"]) == 0
    written = sorted(Path("written").glob("*.png"))
    assert len(written) == 5
    assert Image.open(written[0]).size == (16, 16)


def test_command_line_says_in_one_sentence_what_does_not_fit(capsys):
    config = str(tiny.CONF / "transfergan.yaml")
    assert main(["fit", "--config", config, "--model.init_args.source", "sources/larger"]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("lit-synth: ")
    assert "build the network with the source's arguments" in said


def test_each_player_moves_only_its_own_weights_on_its_own_turn(name):
    method, data = tiny.build(name)
    start, record = tiny.state(method), tiny.Minimized(method)
    tiny.fit(method, data)
    assert record.moved == TURNS[name]
    outside = tiny.changed_networks(start, tiny.state(method)) - set().union(*TURNS[name])
    assert outside <= {"selector", "proxy", "seed"}


def test_generates_images_from_its_prior(name):
    method, data = tiny.build(name)
    images = tiny.draw(method, n=6)
    assert images.shape == (6, data.image_channels, 16, 16)
    assert images.abs().max() <= 1
    assert not images.requires_grad
    torch.testing.assert_close(tiny.draw(method, n=6), images)
    assert not torch.equal(tiny.draw(method, n=6, seed=4), images)


def test_a_checkpoint_generates_the_same(name):
    method, data = tiny.build(name)
    tiny.fit(method, data).save_checkpoint("saved.ckpt")
    again, _ = tiny.build(name, seed=1)
    inputs = DataLoader([method.prior(6, torch.Generator().manual_seed(3))], batch_size=None)
    (images,) = tiny.trainer().predict(again, inputs, ckpt_path="saved.ckpt", weights_only=True)
    assert torch.equal(images, tiny.draw(method, n=6, seed=3))


def test_predicts_in_float32_whatever_it_trained_in(name):
    method, _ = tiny.build(name)
    inputs = DataLoader([method.prior(6, torch.Generator().manual_seed(3))], batch_size=None)
    (images,) = tiny.trainer(precision="bf16-mixed").predict(method, inputs)
    assert torch.equal(images, tiny.draw(method, n=6, seed=3))


def test_a_release_holds_the_same_networks(name):
    method, data = tiny.build(name)
    tiny.fit(method, data)
    networks, extra = method.release()
    save_release("release", networks, "# Tiny\n", extra)
    release = load_release("release")
    assert release.extra == extra
    assert release.networks.keys() == networks.keys()
    for key, network in networks.items():
        state = release.networks[key].state_dict()
        assert state.keys() == network.state_dict().keys()
        for tensor, value in network.state_dict().items():
            assert torch.equal(state[tensor], value), f"{key}.{tensor}"


def test_losses_of_a_seeded_run_are_pinned(name):
    method, data = tiny.build(name)
    tiny.fit(method, data)
    assert method.means.read() == pytest.approx(tiny.expected(name)["losses"], rel=1e-4, abs=1e-6)
