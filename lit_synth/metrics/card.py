"""The card that goes with every number: what measured it, on what, and with which versions."""

import json
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path

from lit_synth import __version__
from lit_synth.errors import InputError
from lit_synth.features.base import Extractor

FEW = 250  # held-out images, below which a card says so
LIBRARIES = ("torch", "torchvision", "torch-fidelity")


def library_versions() -> dict[str, str]:
    """Versions of the libraries that can change a metric's value."""
    return {"lit-synth": __version__} | {name: version(name) for name in LIBRARIES}


def caution(n_real: int) -> list[str]:
    """Return a sentence on too few held-out images, or nothing."""
    if n_real >= FEW:
        return []
    return [
        f"Only {n_real} held-out images, fewer than {FEW}, were compared: read intervals and "
        "floors, and FID, recall and coverage with care."
    ]


@dataclass(frozen=True)
class Card:
    """How a set of numbers was measured.

    Attributes:
        extractor: Name of the feature extractor.
        extractor_sha256: Hash of its weights.
        resize: How images reach the extractor's size, in words.
        n_real: Number of real images.
        n_fake: Number of generated images.
        split: Which real images they were compared with.
        seed: Seed of the generated images and of every subsample.
        data_sha256: Content hash of the real images.
        versions: Library name -> version.
        note: What a reader should know before trusting the numbers.
    """

    extractor: str
    extractor_sha256: str
    resize: str
    n_real: int
    n_fake: int
    split: str
    seed: int
    data_sha256: str
    versions: dict[str, str] = field(default_factory=library_versions)
    note: str = ""

    @classmethod
    def of(
        cls,
        extractor: Extractor,
        n_real: int,
        n_fake: int,
        split: str,
        seed: int,
        data_sha256: str,
        note: str = "",
    ) -> "Card":
        """Card of numbers measured with `extractor`; its own limits go before `note`."""
        notes = " ".join(part for part in (extractor.note, note) if part)
        return cls(
            extractor=extractor.name,
            extractor_sha256=extractor.sha256,
            resize=extractor.resize,
            n_real=n_real,
            n_fake=n_fake,
            split=split,
            seed=seed,
            data_sha256=data_sha256,
            note=notes,
        )

    def lines(self) -> list[str]:
        """The card for people, one fact per line."""
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        facts = {
            "extractor": f"{self.extractor} ({self.extractor_sha256[:12]})",
            "resize": self.resize,
            "images": f"{self.n_real} real, {self.n_fake} fake",
            "real data": f"{self.split} ({self.data_sha256[:12]})",
            "seed": str(self.seed),
            "versions": versions,
            "note": self.note,
        }
        return [f"{name}: {value}" for name, value in facts.items() if value]


def comparable(a: Card, b: Card) -> list[str]:
    """Fields, notes apart, in which two cards differ; with none, their numbers share a table."""
    names = [f.name for f in fields(Card) if f.name != "note"]
    return [name for name in names if getattr(a, name) != getattr(b, name)]


def write_card(path: str | Path, card: Card, values: dict[str, float]) -> None:
    """Write `{"values": ..., "card": ...}` as JSON, making the folder where needed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"values": values, "card": asdict(card)}, indent=2) + "\n")


def read_card(path: str | Path) -> tuple[Card, dict[str, float]]:
    """Read what `write_card` wrote.

    Raises:
        InputError: If the file is not such a report.
    """
    try:
        report = json.loads(Path(path).read_text())
        return Card(**report["card"]), report["values"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"'{path}' is not a metric report ({error!r}): expected JSON with 'values' and 'card', "
            "as `lit-synth evaluate --out` writes it."
        ) from error
