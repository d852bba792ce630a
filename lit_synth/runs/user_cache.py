"""Where everything is kept that is made once for all runs of a user."""

import os
from pathlib import Path

CACHE = "LIT_SYNTH_CACHE"


def cache_folder() -> Path:
    """Return the folder of everything that is made once and kept for all runs of this user.

    It is `$LIT_SYNTH_CACHE`, else `$XDG_CACHE_HOME/lit-synth`, else `~/.cache/lit-synth`; data
    modules keep what they render and scan in the same one.
    """
    if own := os.environ.get(CACHE):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lit-synth"
