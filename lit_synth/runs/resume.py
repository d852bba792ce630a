"""Which checkpoint a run goes on from."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.runs.telling import warn
from lit_synth.tensors.tensor_files import load_tensors

AUTO, FRESH = "auto", "fresh"
Misfit: TypeAlias = Callable[[dict[str, Any]], str | None]  # says why a checkpoint does not fit

# What a checkpoint of a run holds, and of which kind each is.
CHECKPOINT_KEYS: dict[str, type] = {
    "iteration": int,
    "rng": torch.Tensor,
    **dict.fromkeys(("random", "tracked", "optimizer_states"), list),
    **dict.fromkeys(("state_dict", "loops", "callbacks"), dict),
}


def checkpoint_folder(folder: str | Path) -> Path:
    """Return where the checkpoints of the run in `folder` are."""
    return Path(folder) / "checkpoints"


def find_checkpoint(
    folder: Path, ckpt_path: str | None = None, misfit: Misfit = lambda _: None
) -> Path | None:
    """Return the checkpoint to start from, or None to start from nothing.

    Args:
        folder: The run's folder.
        ckpt_path: None or 'auto' for the newest usable checkpoint of the run; 'fresh' for none; the
            name of one of the run's checkpoints, such as 'best'; or a path.
        misfit: Says why what a checkpoint holds does not fit the method, None if it does.

    Raises:
        InputError: The checkpoint asked for cannot be used, or none of the run's can.
    """
    if ckpt_path == FRESH:
        return None
    if ckpt_path in (None, AUTO):
        return _newest_usable(folder, misfit)
    named = checkpoint_folder(folder) / f"{ckpt_path}.ckpt"
    path = named if named.is_file() else Path(str(ckpt_path))
    if problem := _problem(path, misfit):
        raise InputError(f"--ckpt_path {ckpt_path} cannot be used: {path} {problem}.")
    return path


def _newest_usable(folder: Path, misfit: Misfit) -> Path | None:
    unusable = []
    for path in checkpoints_of(folder):
        problem = _problem(path, misfit)
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


def checkpoints_of(folder: Path) -> list[Path]:
    """Return the run's checkpoints, the one to prefer first."""
    checkpoints = checkpoint_folder(folder)
    numbered = sorted(checkpoints.glob("iteration_*.ckpt"), reverse=True)
    last, previous, best = (checkpoints / f"{name}.ckpt" for name in ("last", "previous", "best"))
    return [path for path in (last, previous, *numbered, best) if path.is_file()]


def _problem(path: Path, misfit: Misfit) -> str | None:
    """Say what is wrong with a checkpoint file, or return None; nothing in it is executed."""
    try:
        if path.exists() and not path.is_file():
            return "is not a file"
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            return f"is damaged in {damaged}"
        checkpoint = load_tensors(path, mmap=True)
    except FileNotFoundError:
        return "does not exist"
    except zipfile.BadZipFile:
        return "is not a complete checkpoint"
    except pickle.UnpicklingError as error:
        return str(error)
    except Exception as error:  # an archive that torch has not written can fail in any way
        return f"cannot be read ({(str(error) or repr(error)).splitlines()[0]})"
    if not isinstance(checkpoint, dict) or not checkpoint.keys() & CHECKPOINT_KEYS.keys():
        return "is not a checkpoint of a lit-synth run"
    for key, kind in CHECKPOINT_KEYS.items():
        if not isinstance(checkpoint.get(key), kind):
            return f"is damaged: its '{key}' is missing or no {kind.__name__}"
    return misfit(checkpoint)


def check_same_architecture(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """Raise InputError, naming the first tensor that differs, unless names and shapes agree.

    A tensor that is still empty here, as an image pool's before its first image, takes any shape.
    """
    for name in sorted(ours.keys() | theirs.keys()):
        here, there = (
            list(state[name].shape) if name in state else "missing" for state in (ours, theirs)
        )
        if here != there and here != [0]:
            raise InputError(
                f"the checkpoint is of another architecture: {name} is {there} there and {here} "
                "here; give the settings that it was trained with."
            )
