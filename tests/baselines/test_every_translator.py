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

from lit_synth.checkpoints.release import load_release, save_release
from lit_synth.cli import main

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

# Means over the iterations of a seeded tiny run on a CPU; a change of any is a change of training.
LOSSES = {
    "cyclegan": {
        "g_adv": 4.50711,
        "g_cycle": 0.954266,
        "g_identity": 0,
        "d_a": 1.41611,
        "d_b": 5.05022,
    },
    "drit": {
        "d_content": 1.38622,
        "d_encoded": 5.54551,
        "d_random": 5.54498,
        "g_content": 1.38629,
        "g_encoded": 2.77264,
        "g_random": 2.7726,
        "g_cycle": 1.02675,
        "g_rec": 0.943138,
        "g_latent": 1.72171,
        "g_kl": 7.50265,
    },
    "icgan": {
        "d_wrong": 1.37699,
        "d_made": 1.3879,
        "g_adv": 0.727612,
        "z_rec": 1.02775,
        "y_rec": 1.60388,
    },
    "mmnets_unpaired": {
        "d_adv": 1.17327,
        "g_adv": 2.91467,
        "g_cycle": 1.34094,
        "g_auto": 1.16509,
    },
    "munit": {
        "d_adv": 3.99838,
        "g_adv": 3.99792,
        "g_rec": 1.24779,
        "g_content": 2.59054,
        "g_style": 1.66575,
    },
    "pix2pix": {
        "d_adv": 1.04985,
        "g_adv": 1.08771,
        "g_rec": 0.53621,
    },
    "sdit": {
        "d_adv": 0.00137215,
        "d_gp": 0.951609,
        "d_cls": 1.09775,
        "d_lat": 0.773728,
        "g_adv": 0.00944935,
        "g_cls": 1.09808,
        "g_lat": 0.820857,
        "g_rec": 0.452828,
    },
    "stargan": {
        "d_adv": -0.00125535,
        "d_gp": 0.929793,
        "d_cls": 1.09629,
        "g_adv": -0.00898079,
        "g_cls": 1.10013,
        "g_rec": 0.45971,
    },
    "stargan_modalities": {
        "d_adv": -0.00202703,
        "d_cls": 3.26205,
        "d_gp": 1.57928,
        "g_adv": -0.0540468,
        "g_cls": 3.29818,
        "g_cycle": 1.29235,
        "g_rec": 1.69793,
    },
    "udit": {
        "d_adv": 3.99838,
        "g_adv": 3.99793,
        "g_rec": 1.25084,
        "g_content": 2.59001,
        "g_style": 1.66649,
        "g_semantic": 0.548141,
    },
    "two_pix2pix": {
        "d_adv_depth_to_rgb": 0.922464,
        "g_rec_depth_to_rgb": 0.669891,
        "g_adv_depth_to_rgb": 0.767708,
        "g_rec_rgb_to_segmentation": 2.02768,
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


def test_losses_of_a_seeded_run_are_pinned(name, trained):
    assert trained[0].tracked() == pytest.approx(LOSSES[name], rel=1e-4, abs=1e-6)


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
