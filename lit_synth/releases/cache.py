"""Where networks that are trained once are kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return where trained classifiers are kept for all runs of this user."""
    parent = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(parent) / "lit-synth"
