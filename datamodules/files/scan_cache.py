"""What earlier scans of a folder found in its files, kept by content."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL

from datamodules.items.cache import cache_folder

Facts = list[Any]  # what JSON can say of one file


class ScanCache:
    """A JSON file in the cache folder; losing it costs time, never a result.

    Args:
        root: The folder that is scanned.
        what: Is looked for in it; scans of one folder for different things don't share a file.
    """

    def __init__(self, root: Path, what: str) -> None:
        where = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
        # Another version of the decoder may judge otherwise.
        self.path = cache_folder() / "scans" / f"{where}-{what}-pillow-{PIL.__version__}.json"
        self._known = self._load()
        self._new: dict[str, Facts] = {}

    def recall(self, key: str, judge: Callable[[], Facts]) -> Facts:
        """Return what is known under `key`, asking `judge` if nothing is; safe in threads."""
        facts = self._known.get(key) or self._new.get(key)
        if facts is None:
            facts = self._new[key] = judge()
        return facts

    def save(self) -> None:
        """Write what is known, if there is anything new, whole or not at all."""
        if not self._new:
            return
        partial = self.path.with_suffix(f".{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps({**self._known, **self._new}))
            partial.replace(self.path)
        except OSError:
            partial.unlink(missing_ok=True)  # a full or read-only home costs time, not the run

    def _load(self) -> dict[str, Facts]:
        try:
            stored = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}  # no cache, or a damaged one: scan afresh
        return stored if isinstance(stored, dict) else {}
