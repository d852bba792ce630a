"""Run folders: where a run lives, whether it may go on there, and from which checkpoint.

config.yaml  environment.json  wandb_id.txt  metrics.csv  tensorboard/  samples/  cards/
checkpoints/last.ckpt  previous.ckpt  best.ckpt  iteration_*.ckpt
"""

import fcntl
import json
import os
import pickle
import platform
import re
import secrets
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

import torch
import yaml
from lightning_fabric.utilities.rank_zero import rank_zero_only

from lit_synth.errors import InputError

CONFIG, ENVIRONMENT = "config.yaml", "environment.json"
AUTO, FRESH = "auto", "fresh"
CHECKPOINT_KEYS = {"iteration", "state_dict", "optimizer_states", "loops", "callbacks"}
LIBRARIES = ("torch", "torchvision", "pytorch-lightning", "numpy", "torchmetrics", "lit-synth")

# Settings that may change between the starts of one run: duration, and what alters no result.
_MAY_CHANGE = re.compile(r"model\.init_args\.stages\.\d+\.iterations|data\.init_args\.num_workers")
_SECRET = re.compile(r"(key|token|secret|password)[^=\s]*=\S+", re.IGNORECASE)

_locks: list[TextIO] = []  # closing any would let go of the folder


def run_folder(runs_dir: str | Path, config_name: str, run_id: str) -> Path:
    """Return the folder of a run: `<runs_dir>/<config name>/<run id>`."""
    if run_id in ("", "..") or Path(run_id).name != run_id:
        raise InputError(f"--run_id is '{run_id}': expected a plain folder name, such as seed0.")
    return Path(runs_dir) / config_name / run_id


def run_with(config: str | Path) -> Path | None:
    """Return the folder of the run that `config` is the config.yaml of, or None."""
    folder = Path(config).resolve().parent
    own = Path(config).name == CONFIG and (folder / ENVIRONMENT).is_file()
    return folder if own else None


def checkpoint_folder(folder: str | Path) -> Path:
    """Return where the checkpoints of the run in `folder` are."""
    return Path(folder) / "checkpoints"


@rank_zero_only
def prepare(folder: Path, config: dict[str, Any], ckpt_path: str | None = None) -> None:
    """Make `folder` ready for a run to start or go on, and write config.yaml and environment.json.

    With `ckpt_path` 'fresh', a run already there is kept whole, under the next free name
    `<folder>.1`, `<folder>.2`, ...

    Args:
        folder: The run's folder.
        config: All settings of the run.
        ckpt_path: What was asked for.

    Raises:
        InputError: The folder cannot be written, is in use by another process, or holds a run with
            other settings.
    """
    with writing(folder):
        _lock(folder)
        if _checkpoints(folder):
            if ckpt_path == FRESH:
                os.rename(folder, _next_free(folder))
                _lock(folder)
            else:
                check_same_settings(folder, config)
        write_atomically(folder / CONFIG, yaml.safe_dump(config, sort_keys=False).encode())
        write_atomically(folder / ENVIRONMENT, json.dumps(environment(), indent=2).encode())


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failure to write into one sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({error.strerror}): what was saved before is kept; make "
            "room or make it writable and give the same command, or choose another --runs_dir."
        ) from error


def _lock(folder: Path) -> None:
    """Hold the folder until this process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    # A POSIX lock: not inherited by data workers, so none outlives a killed run.
    file = (folder / ".lock").open("w")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise InputError(
            f"the run in {folder} is going on in another process: wait for it, or use --run_id NEW."
        ) from error
    except OSError:
        return  # a file system without locks
    _locks.append(file)


def _next_free(folder: Path) -> Path:
    taken = {path.name for path in folder.parent.iterdir()}
    return next(
        folder.with_name(name)
        for i in range(1, len(taken) + 2)
        if (name := f"{folder.name}.{i}") not in taken
    )


def check_same_settings(folder: Path, config: dict[str, Any]) -> None:
    """Raise InputError if the run in `folder` has settings with which it may not go on."""
    for name, (before, now) in changed_settings(folder, config).items():
        if not _MAY_CHANGE.fullmatch(name):
            raise InputError(
                f"{folder} holds a run with {name} = {before}, but now it is {now}: use "
                "--run_id NEW for a new run beside it, or --ckpt_path fresh to start again."
            )


def changed_settings(folder: Path, config: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the settings that decide a run's results and differ: name -> before and now."""
    path = folder / CONFIG
    if not path.is_file():
        return {}
    before, now = _settings(yaml.safe_load(path.read_text())), _settings(config)
    return {
        name: (before.get(name), now.get(name))
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    }


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return what decides the results of a run, flattened to dotted names."""
    chosen = {key: config.get(key) for key in ("model", "data", "seed_everything", "prepare")}
    return dict(_flatten(json.loads(json.dumps(chosen)), ""))


def _flatten(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, child in items:
            yield from _flatten(child, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def find_checkpoint(folder: Path, ckpt_path: str | None = None) -> Path | None:
    """Return the checkpoint to start from, or None to start from nothing.

    Args:
        folder: The run's folder.
        ckpt_path: None or 'auto' for the newest usable checkpoint of the run; 'fresh' for none; the
            name of one of the run's checkpoints, such as 'best'; or a path.

    Raises:
        InputError: The checkpoint asked for cannot be used, or none of the run's can.
    """
    if ckpt_path == FRESH:
        return None
    if ckpt_path in (None, AUTO):
        return _newest_usable(folder)
    named = checkpoint_folder(folder) / f"{ckpt_path}.ckpt"
    path = named if named.is_file() else Path(str(ckpt_path))
    if problem := _problem(path):
        raise InputError(f"--ckpt_path {ckpt_path} cannot be used: {path} {problem}.")
    return path


def _newest_usable(folder: Path) -> Path | None:
    unusable = []
    for path in _checkpoints(folder):
        problem = _problem(path)
        if problem is None:
            return path
        unusable.append(path)
        warn(f"not used: {path} {problem}.")
    if unusable:
        raise InputError(
            f"none of the {len(unusable)} checkpoints in {checkpoint_folder(folder)} can be used: "
            "start again with --ckpt_path fresh."
        )
    return None


@rank_zero_only
def warn(sentence: str) -> None:
    """Tell the user, once for all processes."""
    print(f"lit-synth: {sentence}", file=sys.stderr)


def _checkpoints(folder: Path) -> list[Path]:
    """Return the run's checkpoints, the one to prefer first."""
    checkpoints = checkpoint_folder(folder)
    numbered = sorted(checkpoints.glob("iteration_*.ckpt"), reverse=True)
    last, previous, best = (checkpoints / f"{name}.ckpt" for name in ("last", "previous", "best"))
    return [path for path in (last, previous, *numbered, best) if path.is_file()]


def _problem(path: Path) -> str | None:
    """Say what is wrong with a checkpoint file, or return None; nothing in it is executed."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            return f"is damaged in {damaged}"
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        return "does not exist"
    except zipfile.BadZipFile:
        return "is not a complete checkpoint"
    except pickle.UnpicklingError:
        return "holds more than tensors and plain values, and such a file could execute code"
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        return f"cannot be read ({str(error).splitlines()[0]})"
    if not isinstance(checkpoint, dict) or not checkpoint.keys() >= CHECKPOINT_KEYS:
        return "is not a checkpoint of a lit-synth run"
    return None


def environment() -> dict[str, Any]:
    """Describe where a run takes place, in JSON values, without secrets."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [_SECRET.sub(r"\1=***", argument) for argument in sys.argv],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "revision": _revision(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _revision() -> str | None:
    """Return the git commit of this code, marked if it was changed, or None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def wandb_id(folder: Path) -> str:
    """Return the id of the run at Weights & Biases, drawn once and kept in the folder."""
    path = folder / "wandb_id.txt"
    if not path.is_file():
        write_atomically(path, secrets.token_hex(4).encode())
    return path.read_text()


def write_atomically(path: Path, data: bytes | memoryview, keep: Path | None = None) -> None:
    """Write a file so that a reader, a crash or a full disk never meets half of it.

    Args:
        path: Written in full, or left as it was; its folder is made if missing.
        data: The contents.
        keep: Where the file that is replaced moves to, if there is one; None drops it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    if keep is not None and path.exists():
        os.replace(path, keep)
    os.replace(partial, path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
