"""What holds for every method that translates with discriminators: turns, resume, processes."""

import contextlib
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
import torch.multiprocessing as mp
from translator_ranks import gradients, run_rank, run_rank_one

from lit_synth.cli import main
from lit_synth.releases.format import load_release, save_release

pytestmark = pytest.mark.usefixtures("workdir")

GENERATORS_FIRST = [{"generator_ab", "generator_ba"}, {"discriminator_a", "discriminator_b"}]

DRIT = {
    "attribute_encoders",
    "content_encoders",
    "generators",
    "shared_encoder",
    "shared_generator",
}

# The networks that each call of `minimize` may move, in order, over a whole tiny run.
TURNS = {
    "cyclegan": 4 * GENERATORS_FIRST,
    "drit": 2
    * [
        {"content_discriminator"},
        {"content_discriminator"},
        {"encoded_discriminators", "random_discriminators"},
        DRIT,
    ],
    "icgan": [
        *2 * [{"discriminator"}, {"generator"}],
        *2 * [{"encoder_z"}],
        *2 * [{"encoder_y"}],
    ],
    "mmnets_unpaired": 4 * [{"encoders", "decoders"}, {"discriminators"}],
    "munit": 4 * [{"discriminators"}, {"content_encoders", "style_encoders", "decoders"}],
    "pix2pix": 4 * [{"discriminator"}, {"generator"}],
    "sdit": 2 * [{"discriminator"}, {"discriminator"}, {"generator"}],
    "stargan": 2 * [{"discriminator"}, {"discriminator"}, {"generator"}],
    "stargan_modalities": 2 * [{"discriminator"}, {"discriminator"}, {"generator"}],
    "udit": 4 * [{"discriminators"}, {"content_encoders", "style_encoders", "decoders"}],
    "two_pix2pix": 4 * [{"discriminators"}, {"generators"}, {"generators"}],
}

# Means over the iterations of a seeded tiny run in float64, in which processors agree; in float32
# they round differently, and few iterations make .0002 of it. A change of any is one of training.
LOSSES = {
    "cyclegan": {
        "g_adv": 4.5069728,
        "g_cycle": 0.95426619,
        "g_identity": 0.0,
        "d_a": 1.4291437,
        "d_b": 5.0745721,
    },
    "drit": {
        "d_content": 1.3861963,
        "d_encoded": 5.5455103,
        "d_random": 5.5449824,
        "g_content": 1.3862946,
        "g_encoded": 2.7726469,
        "g_random": 2.7726035,
        "g_cycle": 1.0001637,
        "g_rec": 0.98113805,
        "g_latent": 1.3265052,
        "g_kl": 7.4296603,
    },
    "icgan": {
        "d_wrong": 1.377692,
        "d_made": 1.3879688,
        "g_adv": 0.72834605,
        "z_rec": 1.0764064,
        "y_rec": 1.6038814,
    },
    "mmnets_unpaired": {
        "d_adv": 1.1738075,
        "g_adv": 2.9154482,
        "g_cycle": 1.3411741,
        "g_auto": 1.1653067,
    },
    "munit": {
        "d_adv": 3.9988079,
        "g_adv": 3.998282,
        "g_rec": 1.0137742,
        "g_content": 2.5942559,
        "g_style": 1.613734,
    },
    "pix2pix": {
        "d_adv": 1.0498503,
        "g_adv": 1.0877061,
        "g_rec": 0.53621012,
    },
    "sdit": {
        "d_adv": 0.0013610076,
        "d_gp": 0.95204681,
        "d_cls": 1.0977323,
        "d_lat": 0.77775121,
        "g_adv": 0.0092175202,
        "g_cls": 1.0986013,
        "g_lat": 0.69565576,
        "g_rec": 0.44905853,
    },
    "stargan": {
        "d_adv": -0.0011512798,
        "d_gp": 0.92919081,
        "d_cls": 1.0962864,
        "g_adv": -0.0089551136,
        "g_cls": 1.0991905,
        "g_rec": 0.46176434,
    },
    "stargan_modalities": {
        "d_adv": -0.0020258883,
        "d_cls": 3.2620428,
        "d_gp": 1.5830659,
        "g_adv": -0.054099753,
        "g_cls": 3.2981901,
        "g_cycle": 1.2923474,
        "g_rec": 1.6979345,
    },
    "udit": {
        "d_adv": 3.9988079,
        "g_adv": 3.9982824,
        "g_rec": 1.0144734,
        "g_content": 2.5942283,
        "g_style": 1.6127297,
        "g_semantic": 0.5925169,
    },
    "two_pix2pix": {
        "d_adv_depth_to_rgb": 0.92246413,
        "g_rec_depth_to_rgb": 0.66989064,
        "g_adv_depth_to_rgb": 0.76770836,
        "g_rec_rgb_to_segmentation": 2.0276823,
    },
}


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory, sources):
    """A folder as `workdir` is, for what is trained once for several tests."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "sources").symlink_to(sources)
    with contextlib.chdir(folder):
        yield


@pytest.fixture(scope="module", params=TURNS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def trained(name):
    """A method after its tiny run: the method, its state before, and what its steps did."""
    method, data = build(name)
    start, record = tiny.state(method), tiny.Minimized(method)
    tiny.fit(method, data)
    return method, start, record


def build(name, iterations=None, **settings):
    """Return method and data of a tiny run, of one stage if its `iterations` are given."""
    method, data = tiny.build(f"translation/{name}", **settings)
    if iterations is not None:
        method.stages = [replace(method.stages[0], iterations=iterations)]
    return method, data


def test_command_line_fits_and_tests(name):
    config = ["--config", str(tiny.CONF / "translation" / f"{name}.yaml")]
    assert main(["fit", *config]) == 0
    assert main(["test", *config]) == 0
    run = Path("runs", name, "seed0")
    assert (run / "release" / "model.safetensors").is_file()
    assert (run / "cards" / "test.json").is_file()
    assert (run / "samples" / "00000004.png").is_file()


def test_each_player_moves_only_its_own_weights_on_its_own_turn(name, trained):
    method, start, record = trained
    assert record.moved == TURNS[name]
    outside = tiny.changed_networks(start, tiny.state(method)) - set().union(*TURNS[name])
    assert outside <= {"pool_a", "pool_b", "pools"}


def test_losses_of_a_seeded_run_are_pinned(name):
    method, data = build(name)
    method.double()
    tiny.fit(method, data, precision="64-true")
    assert method.means.read() == pytest.approx(LOSSES[name], rel=1e-6, abs=1e-9)


def test_translates_data_into_data(name):
    method, data = build(name)
    scenes = data.split("val").fetch(range(3))
    method.eval()
    for translation in method.translations():
        made = method.translate(scenes, translation)
        truth = scenes[translation.target]
        assert (made.shape, made.dtype) == (truth.shape, truth.dtype)
        assert not made.requires_grad


def test_a_release_holds_the_same_networks(trained):
    networks, extra = trained[0].release()
    release = load_release(save_release("release", networks, "# Tiny\n", extra))
    assert release.extra == extra
    assert release.networks.keys() == networks.keys()
    for key, network in networks.items():
        for tensor, value in release.networks[key].state_dict().items():
            assert torch.equal(network.state_dict()[tensor], value), f"{key}.{tensor}"


def test_a_stopped_run_goes_on_as_if_it_had_not(name):
    whole, data = build(name, iterations=4)
    tiny.fit(whole, data)
    first, data = build(name, iterations=2)
    tiny.fit(first, data).save_checkpoint("saved.ckpt")
    second, data = build(name, iterations=4, seed=1)
    tiny.trainer().fit(second, data, ckpt_path="saved.ckpt", weights_only=True)
    for key, value in whole.state_dict().items():
        assert torch.equal(second.state_dict()[key], value), key


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """A folder with what two processes gave, each run with half the batch each."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = port, str(folder), list(TURNS)
    other = mp.spawn(run_rank_one, arguments, join=False)
    run_rank(0, *arguments)
    other.join()
    return folder


def test_two_processes_give_the_gradients_of_one(name, two_processes):
    steps, end = gradients(name, 4)
    assert 2 * len(steps) == len(TURNS[name])
    for rank in range(2):
        found, other_end = torch.load(two_processes / f"{name}-{rank}.pt", weights_only=True)
        for step, (expected, got) in enumerate(zip(steps, found, strict=True)):
            for parameter, value in expected.items():
                if value is not None:
                    where = f"rank {rank}, step {step}, {parameter}"
                    assert_near(got[parameter], value, where)
        for key, value in end.items():
            assert_near(other_end[key], value, key)


def assert_near(ours, theirs, where):
    torch.testing.assert_close(
        ours, theirs, rtol=1e-3, atol=1e-5, msg=lambda text: f"{where}: {text}"
    )
