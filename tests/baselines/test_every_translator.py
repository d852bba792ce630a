"""What holds for every method that translates with discriminators: turns, resume, processes."""

import contextlib
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
import torch.nn.functional as F
from forkserver import server
from torch import nn
from torch.utils._pytree import tree_leaves
from translator_ranks import gradients, run_rank

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

STARGAN_V2 = [
    {"discriminator"},
    {"discriminator"},
    {"generator", "mapping", "style_encoder"},
    {"generator"},
]

# The networks that each call of `minimize` may move, in order, over a whole tiny run.
TURNS = {
    "bicyclegan": 4 * [{"generator", "encoder"}, {"discriminators"}],
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
    "inade": 4 * [{"generator"}, {"discriminator"}],
    "mmnets_unpaired": 4 * [{"encoders", "decoders"}, {"discriminators"}],
    "munit": 4 * [{"discriminators"}, {"content_encoders", "style_encoders", "decoders"}],
    "oasis": 4 * [{"generator"}, {"discriminator"}],
    "pix2pix": 4 * [{"discriminator"}, {"generator"}],
    "seg2eye": 4 * [{"generator", "encoder"}, {"discriminator"}],
    "seg2eye_refiner": 4 * [{"network"}],
    "segmenter": 4 * [{"network"}],
    "remix": 4 * STARGAN_V2,
    "sdit": 2 * [{"discriminator"}, {"discriminator"}, {"generator"}],
    "sisug_mapper": 4 * [{"mapper"}, {"critic"}],
    "spade": 4 * [{"generator", "encoder"}, {"discriminator"}],
    "step": [
        *2 * [{"discriminator"}, {"generator"}],
        {"encoder"},
        *[{"discriminator"}, {"generator", "encoder"}],
        {"mapper"},
    ],
    "stargan": 2 * [{"discriminator"}, {"discriminator"}, {"generator"}],
    "stargan_modalities": 2 * [{"discriminator"}, {"discriminator"}, {"generator"}],
    "stargan_v2": 4 * STARGAN_V2,
    "udit": 4 * [{"discriminators"}, {"content_encoders", "style_encoders", "decoders"}],
    "two_pix2pix": 4 * [{"discriminators"}, {"generators"}, {"generators"}],
}

# Stages without discriminators, of runs whose first stage has some.
OTHER_STAGES = ["step@1", "step@3"]

# Methods that judge real and made images in one pass: their discriminators must not couple images.
IN_ONE_PASS = {
    "bicyclegan",
    "drit",
    "inade",
    "munit",
    "oasis",
    "sdit",
    "seg2eye",
    "spade",
    "stargan",
    "stargan_modalities",
    "udit",
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
    assert outside <= {"annotated_w", "pool_a", "pool_b", "pools", "remix", "seed"}


@pytest.mark.parametrize("name", [*TURNS, "mmnets"])
def test_generators_play_against_the_discriminators_that_were_trained(name):
    pools = {"pool_size": 0} if name in ("cyclegan", "mmnets_unpaired") else {}
    method, data = build(name, iterations=2, lr=0.0, **pools)  # none moves between its calls
    method.double()
    asked = {judge: [] for judge in discriminators(method)}
    for judge in asked:
        if name not in IN_ONE_PASS:
            couple_images(judge)
        judge.register_forward_pre_hook(lambda judge, given: asked[judge].append(given))
    tiny.fit(method, data, precision="64-true")
    for judge, calls in list(asked.items()):
        of_generators = [given for given in calls if given[0].requires_grad]
        of_its_own = [given for given in calls if not given[0].requires_grad]
        pairs = [(g, d, place(g[0], d[0])) for g in of_generators for d in of_its_own]
        pairs = [(g, d, rows) for g, d, rows in pairs if rows is not None]
        assert pairs
        for g, d, rows in pairs:
            got, trained = slope(judge, g, slice(None)), slope(judge, d, rows)
            assert torch.cosine_similarity(got.flatten(), trained.flatten(), dim=0) > 0.999


def discriminators(method):
    """Return the networks that judge, as they are called."""
    named = [network for name, network in method.named_children() if "discriminator" in name]
    return [
        judge
        for network in named
        for judge in (network.values() if isinstance(network, nn.ModuleDict) else [network])
    ]


def couple_images(network):
    """Have a network of any kind standardise its features over the batch, as batch norm does."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.LeakyReLU)]
    assert layers
    for layer in layers:
        layer.register_forward_hook(lambda _, __, y: F.batch_norm(y, None, None, training=True))


def place(images, batch):
    """Return which rows of a batch are the given images, or None."""
    n = len(images)
    alike = images.shape[1:] == batch.shape[1:]
    starts = range(len(batch) - n + 1) if alike else []
    starts = [i for i in starts if torch.allclose(batch[i : i + n], images)]
    return slice(starts[0], starts[0] + n) if starts else None


def slope(judge, given, rows):
    """Return the gradient in some rows' images of what LSGAN's generators minimise of them."""
    x = given[0].detach().requires_grad_()
    scores = tree_leaves(judge(x, *given[1:]))
    loss = torch.stack([(each[rows] - 1).square().sum() for each in scores]).sum()
    return torch.autograd.grad(loss, x)[0][rows]


def test_losses_of_a_seeded_run_are_pinned(name):
    method, data = build(name)
    method.double()
    tiny.fit(method, data, precision="64-true")
    assert method.means.read() == pytest.approx(
        tiny.expected(f"translation/{name}")["losses"], rel=1e-6, abs=1e-9
    )


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
    arguments = port, str(folder), [*TURNS, *OTHER_STAGES]
    with server().other_rank("translator_ranks.run_rank", *arguments):
        run_rank(0, *arguments)
    return folder


def test_two_processes_give_the_gradients_of_one(name, two_processes):
    assert 2 * compare(name, two_processes) == len(TURNS[name])


@pytest.mark.parametrize("stage", OTHER_STAGES)
def test_two_processes_give_the_gradients_of_one_in_other_stages(stage, two_processes):
    assert compare(stage, two_processes) == 1


def compare(name, two_processes):
    """Compare all gradients of two processes with those of one; return how many steps there are."""
    steps, end = gradients(name, 4)
    for rank in range(2):
        found, other_end = torch.load(two_processes / f"{name}-{rank}.pt", weights_only=True)
        for step, (expected, got) in enumerate(zip(steps, found, strict=True)):
            for parameter, value in expected.items():
                if value is not None:
                    where = f"rank {rank}, step {step}, {parameter}"
                    assert_near(got[parameter], value, where)
        for key, value in end.items():
            assert_near(other_end[key], value, key)
    return len(steps)


def assert_near(ours, theirs, where):
    torch.testing.assert_close(
        ours, theirs, rtol=1e-3, atol=1e-5, msg=lambda text: f"{where}: {text}"
    )
