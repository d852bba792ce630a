"""What holds for every method that translates with discriminators: turns, resume, processes."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
import yaml
from forkserver import server

from lit_synth import runs
from lit_synth.checkpoints.release import load_release, save_release
from lit_synth.cli import main

pytestmark = pytest.mark.usefixtures("workdir")

GENERATORS_FIRST = [{"generator_ab", "generator_ba"}, {"discriminator_a", "discriminator_b"}]

# The networks that each call of `minimize` may move, in order, over a whole tiny run.
TURNS = {
    "cyclegan": 4 * GENERATORS_FIRST,
    "mmnets_unpaired": 4 * [{"encoders", "decoders"}, {"discriminators"}],
    "pix2pix": 4 * [{"discriminator"}, {"generator"}],
    "stargan_modalities": 2 * [{"discriminator"}, {"discriminator"}, {"generator"}],
    "two_pix2pix": 4 * [{"discriminators"}, {"generators"}, {"generators"}],
}

# Means over the iterations of a seeded tiny run on a CPU; a change of any is a change of training.
LOSSES = {}


@pytest.fixture(params=TURNS)
def name(request):
    return request.param


def build(name, iterations=None, **settings):
    """Return method and data of a tiny run; its last stage as long as it takes."""
    method, data = tiny.build(f"translation/{name}", **settings)
    if iterations is not None:
        method.stages = [replace(method.stages[0], iterations=iterations)]
    return method, data


def moving(state):
    """Return the tensors of a state that a run changes."""
    return {key: value for key, value in state.items() if "running" not in key}


def test_command_line_fits_and_tests(name):
    config = ["--config", str(tiny.CONF / "translation" / f"{name}.yaml")]
    assert main(["fit", *config]) == 0
    assert main(["test", *config]) == 0
    run = Path("runs", name, "seed0")
    assert (run / "release" / "model.safetensors").is_file()
    assert (run / "cards" / "test.json").is_file()
    assert (run / "samples" / "00000004.png").is_file()


def test_each_player_moves_only_its_own_weights_on_its_own_turn(name):
    method, data = build(name)
    start, record = tiny.state(method), tiny.Minimized(method)
    tiny.fit(method, data)
    assert record.moved == TURNS[name]
    outside = tiny.changed_networks(start, tiny.state(method)) - set().union(*TURNS[name])
    assert outside <= {"pool_a", "pool_b", "pools"}


def test_translates_data_into_data(name):
    method, data = build(name)
    scenes = data.split("val").fetch(range(3))
    method.eval()
    for translation in method.translations():
        made = method.translate(scenes, translation)
        truth = scenes[translation.target]
        assert (made.shape, made.dtype) == (truth.shape, truth.dtype)
        assert not made.requires_grad


def test_losses_of_a_seeded_run_are_pinned(name):
    method, data = build(name)
    tiny.fit(method, data)
    assert method.tracked() == pytest.approx(LOSSES[name], rel=1e-4, abs=1e-6)


def test_a_stopped_run_goes_on_as_if_it_had_not(name):
    whole, data = build(name, iterations=4)
    tiny.fit(whole, data)
    first, data = build(name, iterations=2)
    tiny.fit(first, data).save_checkpoint("saved.ckpt")
    second, data = build(name, iterations=4, seed=1)
    tiny.trainer().fit(second, data, ckpt_path="saved.ckpt", weights_only=True)
    for key, value in whole.state_dict().items():
        assert torch.equal(second.state_dict()[key], value), key


def test_a_release_translates_the_same(name):
    method, data = build(name)
    tiny.fit(method, data)
    networks, extra = method.release()
    release = load_release(save_release("release", networks, "# Tiny\n", extra))
    assert release.extra == extra
    for key, network in networks.items():
        for tensor, value in release.networks[key].state_dict().items():
            assert torch.equal(network.state_dict()[tensor], value), f"{key}.{tensor}"


def two_processes(folder, name):
    """Run a config in two processes, with half the batch each; return what each recorded."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {
        "TORCHELASTIC_RUN_ID": "two",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "0",
    }
    options = ["--trainer.devices", 2, "--trainer.strategy", "ddp_find_unused_parameters_true"]
    options += ["--data.init_args.batch_size", 2]
    return in_processes(
        folder,
        name,
        [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)],
        options,
    )


def in_processes(folder, name, environments, options=()):
    """Run a config in one process per environment; return the gradients that each recorded."""
    run_id = f"of-{len(environments)}"
    command = ["fit", "--config", folder / f"{name}.yaml", "--run_id", run_id, *options]
    records = [folder / f"{run_id}-{rank}.pt" for rank in range(len(environments))]
    logs = [record.with_suffix(".log") for record in records]
    pids = [
        server().start(log, *command, env=env, record_gradients=str(record))
        for log, env, record in zip(logs, environments, records, strict=True)
    ]
    codes = [server().wait(pid) for pid in pids]
    assert codes == [0] * len(codes), "\n".join(log.read_text() for log in logs)
    return [torch.load(record, weights_only=True) for record in records]


def test_two_processes_give_the_gradients_of_one(name, workdir):
    config = yaml.safe_load((tiny.CONF / "translation" / f"{name}.yaml").read_text())
    config["runs_dir"] = str(workdir / "runs")
    # Adam makes whole steps of the least rounding error, and max-pools choose by it.
    config["trainer"]["precision"] = "64-true"
    config["model"]["init_args"]["lr"] = 1e-6
    (workdir / f"{name}.yaml").write_text(yaml.safe_dump(config))
    (one,) = in_processes(workdir, name, [{}])
    assert len(one) == len(TURNS[name])
    for two in two_processes(workdir, name):
        for step, (expected, found) in enumerate(zip(one, two, strict=True)):
            for parameter, value in expected.items():
                other = found.get(parameter, torch.zeros_like(value))
                torch.testing.assert_close(
                    other,
                    value,
                    rtol=1e-3,
                    atol=1e-5,
                    msg=lambda text, s=step, p=parameter: f"step {s}, {p}: {text}",
                )
    ends = [
        torch.load(
            runs.checkpoint_folder(workdir / "runs" / name / each) / "last.ckpt", weights_only=True
        )
        for each in ("of-1", "of-2")
    ]
    for key, value in ends[0]["state_dict"].items():
        torch.testing.assert_close(ends[1]["state_dict"][key], value, rtol=1e-3, atol=1e-3)
