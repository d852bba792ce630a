"""Run folders: where a run lives, and who may work there.

config.yaml  environment.json  wandb_id.txt  metrics.csv  tensorboard/  samples/  cards/
checkpoints/last.ckpt  previous.ckpt  best.ckpt  iteration_*.ckpt
"""

import fcntl
import json
import os
from pathlib import Path
from typing import Any, TextIO

import yaml
from lightning_fabric.utilities.rank_zero import rank_zero_only

from lit_synth.errors import InputError
from lit_synth.runs.environment import environment
from lit_synth.runs.files import write_atomically, writing
from lit_synth.runs.resume import FRESH, checkpoints_of
from lit_synth.runs.settings import CONFIG, check_same_settings

ENVIRONMENT = "environment.json"
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


@rank_zero_only
def claim_folder(folder: Path, config: dict[str, Any], ckpt_path: str | None = None) -> None:
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
        if checkpoints_of(folder):
            if ckpt_path == FRESH:
                os.rename(folder, _next_free(folder))
                _lock(folder)
            else:
                check_same_settings(folder, config)
        write_atomically(folder / CONFIG, yaml.safe_dump(config, sort_keys=False).encode())
        write_atomically(folder / ENVIRONMENT, json.dumps(environment(), indent=2).encode())


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
