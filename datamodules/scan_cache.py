"""What earlier scans of a folder found in its files, kept by content."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import PIL


class ScanCache:
    """A JSON object in the cache folder; losing it costs time, never a result.

    The folder is `$LIT_SYNTH_CACHE`, else `~/.cache/lit-synth`.

    Args:
        root: The folder that is scanned.
        what: Is looked for in it; scans of one folder for different things don't share a cache.
    """

    def __init__(self, root: Path, what: str) -> None:
        base = os.environ.get("LIT_SYNTH_CACHE") or Path.home() / ".cache" / "lit-synth"
        where = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
        # Another version of the decoder may judge otherwise.
        self.path = Path(base) / "scans" / f"{where}-{what}-pillow-{PIL.__version__}.json"

    def load(self) -> dict[str, Any]:
        """Return what was stored; {} without a cache or with a damaged one."""
        try:
            stored = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return stored if isinstance(stored, dict) else {}

    def store(self, found: dict[str, Any]) -> None:
        """Replace what was stored, whole or not at all."""
        partial = self.path.with_suffix(f".{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(found))
            partial.replace(self.path)
        except OSError:
            partial.unlink(missing_ok=True)  # a full or read-only home costs time, not the run
