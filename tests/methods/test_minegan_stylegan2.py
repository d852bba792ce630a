"""`configs/minegan_stylegan2.yaml` with a tiny source: killed, evaluated, and asked for images."""

import pytest
import torch
from forkserver import ROOT, server

from lit_synth.networks.stylegan2 import StyleGAN2Generator
from lit_synth.releases.format import load_release, save_release
from lit_synth.runs.resume import checkpoint_folder

DATA, MODEL = "--data.init_args", "--model.init_args"
CRITIC = f"{MODEL}.critic.init_args"


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The shipped configuration, with a source of 32 pixels."""
    home = tmp_path_factory.mktemp("mining")
    generator = StyleGAN2Generator(32, 3, 5, 8, 64, 8, 2, noise="none", harmonics=1)
    save_release(home / "source", {"generator": generator}, "# tiny\n")
    return [
        *("--config", ROOT / "configs/minegan_stylegan2.yaml", "--runs_dir", home / "runs"),
        *(f"{MODEL}.sources", f"[{home / 'source'}]", "--iterations", 5),
        *(f"{CRITIC}.image_size", 32, f"{CRITIC}.channel_base", 64, f"{CRITIC}.channel_max", 8),
        *(f"{DATA}.source.init_args.image_size", 32, f"{DATA}.batch_size", 4),
        *(f"{DATA}.n_train", 9, f"{DATA}.n_val", 6, f"{DATA}.n_test", 6),
        *("--evaluate.n_fake", 8, "--trainer.accelerator", "cpu"),
        *("--checkpoint.every_n_iterations", 1, "--samples.every_n_iterations", "null"),
    ]


def test_it_resumes_exactly_and_is_evaluated_and_drawn_from(command, tmp_path):
    log, runs = tmp_path / "log", command[3]
    assert server().run(log, "fit", *command, "--run_id", "whole") == 0, log.read_text()
    assert server().run(log, "fit", *command, "--run_id", "killed", kill_in_iteration=3) == -9
    assert server().run(log, "fit", *command, "--run_id", "killed") == 0, log.read_text()
    states = [
        torch.load(
            checkpoint_folder(runs / "minegan_stylegan2" / run) / "last.ckpt", weights_only=True
        )
        for run in ("whole", "killed")
    ]
    assert states[0]["iteration"] == states[1]["iteration"] == 5
    for key, value in states[0]["state_dict"].items():
        assert torch.equal(states[1]["state_dict"][key], value), key

    ours = [*command, "--run_id", "whole"]
    assert server().run(log, "test", *ours) == 0, log.read_text()
    assert server().run(log, "predict", *ours, "--n_images", 3, "--out", tmp_path / "made") == 0
    assert len(list((tmp_path / "made").glob("*.png"))) == 3
    release = load_release(runs / "minegan_stylegan2" / "whole" / "release")
    assert release.extra["game"]["class_path"].endswith(".Logistic")
