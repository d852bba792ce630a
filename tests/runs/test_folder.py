"""Run folders: only whole, own, harmless checkpoints are used, and no run overwrites another."""

import json
import os
import pickle
import signal
import sys
import zipfile

import pytest
import torch
import yaml

from lit_synth.errors import InputError
from lit_synth.runs.environment import environment, wandb_id
from lit_synth.runs.files import write_atomically
from lit_synth.runs.folder import claim_folder, run_folder
from lit_synth.runs.resume import checkpoint_folder, find_checkpoint

GOOD = {
    "iteration": 3,
    "rng": torch.Generator().get_state(),
    **{key: [] for key in ("random", "tracked", "optimizer_states")},
    **{key: {} for key in ("state_dict", "loops", "callbacks")},
}


def settings(iterations=10, lr=0.1, seed=0, **data):
    return {
        "seed_everything": seed,
        "trainer": {"devices": 1},
        "model": {
            "class_path": "WGANGP",
            "init_args": {"stages": [{"name": "train", "iterations": iterations}], "lr": lr},
        },
        "data": {"class_path": "Digits", "init_args": {"batch_size": 4, **data}},
    }


def put(folder, name="last", **changes):
    """Save a checkpoint of the run in `folder`, good unless changed."""
    path = checkpoint_folder(folder) / f"{name}.ckpt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(GOOD | {"weights": torch.arange(1000.0)} | changes, path)
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "digits" / "seed0"


# The folder.


def test_run_folder(tmp_path):
    assert run_folder(tmp_path, "digits", "seed0") == tmp_path / "digits" / "seed0"


@pytest.mark.parametrize("run_id", ["", "..", "a/b", "/"])
def test_a_run_id_is_a_plain_name(tmp_path, run_id):
    with pytest.raises(InputError, match="run_id"):
        run_folder(tmp_path, "digits", run_id)


def test_prepare_writes_settings_and_environment(folder, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lit-synth", "fit", "--wandb.api_key=hunter2", "--lr=1"])
    monkeypatch.setenv("SOME_TOKEN", "hunter3")
    claim_folder(folder, settings())
    assert yaml.safe_load((folder / "config.yaml").read_text()) == settings()
    text = (folder / "environment.json").read_text()
    environment = json.loads(text)
    assert (
        environment["libraries"]["torch"] == torch.__version__.split("+")[0]
        or environment["libraries"]["torch"] == torch.__version__
    )
    assert environment["command"] == ["lit-synth", "fit", "--wandb.api_key=***", "--lr=1"]
    assert "hunter" not in text
    assert not list(folder.glob("*.partial"))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--x.api_key", "hunter2", "--lr", "1"], ["--x.api_key", "***", "--lr", "1"]),
        (["--Password=a b", "c"], ["--Password=***", "c"]),
        (["--logger", '{"api_key": "hunter2"}'], ["--logger", '{"api_key":***']),
        (["--token", "--lr", "1"], ["--token", "--lr", "1"]),
        (["--config", "monkey.yaml"], ["--config", "monkey.yaml"]),
    ],
)
def test_secrets_are_not_kept(monkeypatch, given, shown):
    monkeypatch.setattr(sys, "argv", ["lit-synth", *given])
    assert environment()["command"] == ["lit-synth", *shown]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    with pytest.raises(InputError, match="cannot be written"):
        claim_folder(tmp_path / "runs" / "digits" / "seed0", settings())


def test_a_run_may_go_on_longer(folder):
    claim_folder(folder, settings(iterations=10))
    put(folder)
    longer = settings(iterations=20, num_workers=2) | {"trainer": {"devices": 2}}
    claim_folder(folder, longer)
    assert yaml.safe_load((folder / "config.yaml").read_text()) == longer


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"lr": 0.2}, "model.init_args.lr = 0.1, but now it is 0.2"),
        ({"limit": 7}, "data.init_args.limit = None, but now it is 7"),
        ({"seed": 1}, "seed_everything = 0, but now it is 1"),
    ],
)
def test_other_settings_are_refused_by_name(folder, changed, name):
    claim_folder(folder, settings())
    put(folder)
    before = (folder / "config.yaml").read_bytes()
    with pytest.raises(InputError, match=name) as error:
        claim_folder(folder, settings(**changed))
    assert "--run_id" in str(error.value)
    assert "--ckpt_path fresh" in str(error.value)
    assert (folder / "config.yaml").read_bytes() == before


def test_a_run_of_a_version_without_a_setting_goes_on_where_that_is_off(folder):
    claim_folder(folder, settings(classes=[1, 0]))
    put(folder)
    claim_folder(folder, settings(classes=[1, 0], shuffle=False, note=""))
    with pytest.raises(InputError, match=r"data.init_args.limit = None, but now it is 7"):
        claim_folder(folder, settings(classes=[1, 0], limit=7))
    with pytest.raises(InputError, match=r"data.init_args.classes.2 = None, but now it is 0"):
        claim_folder(folder, settings(classes=[1, 0, 0]))


def test_other_settings_are_fine_before_anything_is_saved(folder):
    claim_folder(folder, settings())
    claim_folder(folder, settings(lr=0.2))
    assert yaml.safe_load((folder / "config.yaml").read_text()) == settings(lr=0.2)


@pytest.mark.parametrize("damage", ["", "- 1\n", "model: [", "\x00\x01"])
def test_damaged_settings_are_one_sentence(folder, damage):
    claim_folder(folder, settings())
    put(folder)
    (folder / "config.yaml").write_text(damage)
    with pytest.raises(InputError, match=r"the settings of the run, .*--ckpt_path fresh"):
        claim_folder(folder, settings())
    assert (folder / "config.yaml").read_text() == damage
    claim_folder(folder, settings(), "fresh")


def test_checkpoints_without_settings_are_not_gone_on_with(folder):
    claim_folder(folder, settings())
    put(folder)
    (folder / "config.yaml").unlink()
    with pytest.raises(InputError, match=r"holds checkpoints but no config\.yaml"):
        claim_folder(folder, settings(lr=0.2))


def test_fresh_keeps_the_earlier_runs_whole(folder):
    for i in range(3):
        claim_folder(folder, settings(lr=i), "fresh")
        put(folder, iteration=i)
        (folder / "metrics.csv").write_text(f"{i}")
    kept = {path.name: (path / "metrics.csv").read_text() for path in folder.parent.iterdir()}
    assert kept == {"seed0": "2", "seed0.1": "0", "seed0.2": "1"}
    first = folder.with_name("seed0.1") / "checkpoints" / "last.ckpt"
    assert torch.load(first, weights_only=True)["iteration"] == 0


def test_one_process_per_run(folder):
    held, hold = os.pipe()
    pid = os.fork()
    if pid == 0:
        claim_folder(folder, settings())
        os.write(hold, b"held")
        signal.pause()
    assert os.read(held, 4) == b"held"
    with pytest.raises(InputError, match="another process"):
        claim_folder(folder, settings())
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    claim_folder(folder, settings())


def test_the_wandb_id_stays(folder):
    first = wandb_id(folder)
    assert wandb_id(folder) == first
    assert len(first) == 8


# Checkpoints.


def test_nothing_to_start_from(folder):
    assert find_checkpoint(folder) is None
    assert find_checkpoint(folder, "auto") is None


def test_the_last_checkpoint_is_used_unless_fresh(folder):
    last = put(folder)
    put(folder, "best")
    assert find_checkpoint(folder) == last
    assert find_checkpoint(folder, "auto") == last
    assert find_checkpoint(folder, "fresh") is None


def test_a_checkpoint_can_be_named(folder, tmp_path):
    put(folder)
    best = put(folder, "best")
    elsewhere = put(tmp_path / "other")
    assert find_checkpoint(folder, "best") == best
    assert find_checkpoint(folder, str(elsewhere)) == elsewhere


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def flip(path):
    """Change a byte of the weights, which torch would load without a word."""
    data = bytearray(path.read_bytes())
    data[data.index(torch.arange(1000.0).numpy().tobytes()) + 8] ^= 1
    path.write_bytes(data)


def empty(path):
    path.write_bytes(b"")


def other_contents(path):
    torch.save({"G": torch.zeros(1)}, path)


def not_a_dict(path):
    torch.save([1, 2], path)


class Attack:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def attack(path):
    torch.save(GOOD | {"evil": Attack(path.with_name("executed"))}, path)


def plain_pickle(path):
    path.write_bytes(pickle.dumps(Attack(path.with_name("executed"))))


def other_archive(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def without_rng(path):
    torch.save({key: value for key, value in GOOD.items() if key != "rng"}, path)


def no_number(path):
    torch.save(GOOD | {"iteration": "three"}, path)


SPOILT = [
    *(cut, flip, empty, other_contents, not_a_dict, attack, plain_pickle, other_archive),
    *(without_rng, no_number),
]


@pytest.mark.parametrize("spoil", SPOILT)
def test_an_unusable_last_checkpoint_falls_back_to_the_previous(folder, spoil, capsys):
    previous, last = put(folder, "previous"), put(folder)
    spoil(last)
    assert find_checkpoint(folder) == previous
    assert str(last) in capsys.readouterr().err
    assert not last.with_name("executed").exists()


@pytest.mark.parametrize("spoil", SPOILT)
def test_an_unusable_checkpoint_asked_for_is_an_error(folder, spoil):
    path = put(folder)
    spoil(path)
    with pytest.raises(InputError, match="cannot be used") as error:
        find_checkpoint(folder, str(path))
    assert "weights_only" not in str(error.value)  # torch's advice would execute the file
    assert not path.with_name("executed").exists()


def test_a_missing_checkpoint_asked_for_is_an_error(folder):
    with pytest.raises(InputError, match="does not exist"):
        find_checkpoint(folder, "nowhere.ckpt")


def test_a_run_without_usable_checkpoints_is_not_started_over(folder):
    cut(put(folder))
    with pytest.raises(InputError, match="none of the 1 checkpoints"):
        find_checkpoint(folder)


def test_a_checkpoint_that_does_not_fit_falls_back_too(folder, capsys):
    previous = put(folder, "previous")
    last = put(folder, iteration=4)

    def misfit(checkpoint):
        return "is of another architecture" if checkpoint["iteration"] == 4 else None

    assert find_checkpoint(folder, misfit=misfit) == previous
    assert f"not used: {last} is of another architecture." in capsys.readouterr().err


def test_the_newest_numbered_checkpoint_comes_before_the_best(folder):
    put(folder, "best")
    put(folder, "iteration_00000900")
    newest = put(folder, "iteration_00001000")
    assert find_checkpoint(folder) == newest


# Atomic writing.


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_the_replaced_file_can_be_kept(tmp_path):
    path, previous = tmp_path / "last", tmp_path / "previous"
    for text in (b"1", b"2", b"3"):
        write_atomically(path, text, keep=previous)
    assert (path.read_bytes(), previous.read_bytes()) == (b"3", b"2")
