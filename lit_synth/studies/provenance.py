"""Where results come from: the code's revision, the machine, and the version of a world."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lit_synth import __version__
from lit_synth.errors import InputError
from lit_synth.studies.code_hash import ROOT, code_hash, module_of

DECIDING = ("lit_synth", "datamodules", "configs")  # other files change no result
DIRTY = "-dirty"


@cache
def revision(root: Path = ROOT) -> str:
    """Return git's name of the code, marked where it was changed; without git, the version.

    A process keeps the one that it began with, as it keeps the code.
    """
    try:
        told = _git(root, "describe", "--always", "--abbrev=12", "--exclude=*")
        changed = _git(root, "status", "--porcelain", "--", *DECIDING)
    except (OSError, subprocess.CalledProcessError):
        return f"version {__version__}"
    return told + DIRTY * bool(changed)


def refuse_dirty(named: str) -> None:
    """Raise InputError if a revision is one of changed files, which nobody could come back to."""
    if named.endswith(DIRTY):
        raise InputError(
            f"files of {', '.join(DECIDING)} differ from the revision {named.removesuffix(DIRTY)}: "
            "commit them, or give --allow-dirty for a run that is not to be published."
        )


def machine(accelerator: str = "cpu") -> dict[str, Any]:
    """Return what computes: processor, cores, the graphics card that is asked for, and PyTorch."""
    told = {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": version("torch"),
    }
    torch = sys.modules.get("torch")
    if accelerator == "gpu" and torch is not None and torch.cuda.is_available():
        told["gpu"] = torch.cuda.get_device_name()
    return told


def world_versions(class_paths: Iterable[str]) -> dict[str, str]:
    """Return a hash of the code of each data module or world of ours, by its class's name."""
    return {
        path.rpartition(".")[2]: code_hash(frozenset([path]), ())[:12]
        for path in sorted(set(class_paths))
        if module_of(path)
    }


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
