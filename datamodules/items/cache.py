"""The folder of what is made once and kept: rendered worlds, findings about files."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return `$LIT_SYNTH_CACHE`, else `$XDG_CACHE_HOME/lit-synth`, else `~/.cache/lit-synth`."""
    if own := os.environ.get("LIT_SYNTH_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lit-synth"
