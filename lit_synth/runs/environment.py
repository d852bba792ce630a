"""Where a run takes place: command, machine, libraries, revision."""

import platform
import re
import secrets
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from lit_synth.runs.files import write_atomically

LIBRARIES = ("torch", "torchvision", "pytorch-lightning", "numpy", "torchmetrics", "lit-synth")
_SECRET = re.compile(r"(key|token|secret|password)[^=\s]*=\S+", re.IGNORECASE)


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
