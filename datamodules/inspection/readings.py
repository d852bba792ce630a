"""How a folder is understood: its parts, and the data module that reads them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from datamodules.files.archives import Source
from datamodules.inspection.looks import Look

Task = Literal["generate", "classes", "pairs", "domains", "attributes"]
Tree = Mapping[str, Sequence[Look]]  # first-level folder -> what is in it; "" of loose files

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Folder:
    """A folder or archive that was looked at.

    Attributes:
        root: Its path.
        source: Its files.
        looks: A look at each picture.
    """

    root: Path
    source: Source
    looks: Sequence[Look]

    @property
    def usable(self) -> list[Look]:
        """What can be read."""
        return [each for each in self.looks if each.problem is None]


@dataclass(frozen=True)
class Part:
    """Some files of a folder that belong together.

    Attributes:
        name: What it is called.
        looks: At its files.
        split: `train`, `val` or `test`; '' where the data module splits.
        modality: Domain, class or modality whose pictures these are; '' of plain images.
    """

    name: str
    looks: Sequence[Look]
    split: str = ""
    modality: str = ""


@dataclass(frozen=True)
class Reading:
    """How a folder is understood.

    Attributes:
        what: A phrase.
        task: What it is data for.
        data: Class of the data module.
        options: Its arguments, but for sizes and counts.
        parts: Of the folder.
        modalities: Name -> declaration, of scenes.
        pair: Source and target, where there are pairs.
        names: Of domains, classes or attributes.
        tables: Files that say what the images show.
        mend: What a run would refuse.
        notes: What else is worth knowing.
    """

    what: str
    task: Task
    data: str
    options: Mapping[str, Any]
    parts: Sequence[Part]
    modalities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pair: tuple[str, str] | None = None
    names: Sequence[str] = ()
    tables: Sequence[str] = ()
    mend: Sequence[str] = ()
    notes: Sequence[str] = ()


def by_folder(looks: Sequence[Look], under: str = "") -> dict[str, list[Look]]:
    """Return the looks under a folder by the next folder of their paths, '' for loose files."""
    found: dict[str, list[Look]] = defaultdict(list)
    for each in looks:
        if each.name.startswith(under):
            head, _, rest = each.name.removeprefix(under).partition("/")
            found[head if rest else ""].append(each)
    return dict(sorted(found.items()))


def shortened(names: Sequence[str], n: int = 4) -> str:
    """Return the first names, and how many there are more."""
    more = f" and {len(names) - n} more" if len(names) > n else ""
    return ", ".join(names[:n]) + more
