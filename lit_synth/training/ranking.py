"""Ranking a person's images by their masks: segmented once, and kept for all later runs."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from datamodules.base.person_data import MASK, Part, PersonData
from datamodules.items.nearest_masks import rank_people
from datamodules.items.references import References
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.inference.ask import translate
from lit_synth.inference.loading import load_method
from lit_synth.methods.segmenter import Segmenter
from lit_synth.releases.format import load_release
from lit_synth.runs.user_cache import cache_folder

FILE, CARD = "ranking.safetensors", "card.md"


@dataclass(frozen=True)
class Ranking:
    """Which images of a person's pool may be references of a pair: those with the nearest masks.

    Args:
        segmenter: Release of a `Segmenter`, which makes the masks of the pool: its folder.
        candidates: Number of images that are kept of each pair.
    """

    segmenter: str
    candidates: int = 100

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise InputError(f"ranking.candidates is {self.candidates}: expected at least 1.")


def rank_references(data: object, wanted: Ranking) -> None:
    """Have the references of data ranked, split by split, when they are needed.

    Raises:
        InputError: The data has no people.
    """
    if not isinstance(data, PersonData):
        raise InputError(
            f"ranking sorts images of people, and {type(data).__name__} has none: set ranking to "
            "null, or give data of people, such as Persons."
        )
    data.rank_by(partial(_ranked, data.modalities[MASK].channels, wanted))


def _ranked(classes: int, wanted: Ranking, part: Part, references: References) -> Tensor:
    """Return the ranking of a split, from the cache where the same was ever made."""
    facts = [
        f"pairs {references.pairs.sha256}",
        f"pool {references.pool.sha256}",
        f"segmenter {load_release(wanted.segmenter).sha256}",
        f"candidates {wanted.candidates}",
    ]
    place = cache_folder() / f"ranking-{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"
    with contextlib.suppress(OSError, SafetensorError, KeyError):  # damaged: made anew
        return load_file(place / FILE)["index"].long()
    segment = _segmenting(wanted.segmenter, classes)
    print(f"lit-synth: ranking the images of {part} by their masks, kept in {place}.", flush=True)
    found = rank_people(references, MASK, segment, classes, wanted.candidates)
    tensors = {"index": found.index.int(), "distance": found.distance}
    _keep(place, tensors, _card(part, facts, references, found.distance))
    return found.index


def _segmenting(release: str, classes: int) -> Callable[[Tensor], Tensor]:
    """Return what makes masks (N, H, W) of images; InputError unless it knows these classes."""
    segmenter = load_method(release)
    if not isinstance(segmenter, Segmenter) or segmenter.coding.channels != classes:
        what = type(segmenter).__name__
        if isinstance(segmenter, Segmenter):
            what += f" of {segmenter.coding.channels} classes"
        raise InputError(
            f"ranking.segmenter {release} is a {what}, and the masks have {classes} classes: give "
            "the release of a Segmenter of these."
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_device = segmenter.to(device)
    way = Translation((segmenter.source,), (segmenter.target,))
    return lambda images: translate(on_device, {way.sources[0]: images.to(device)}, way).cpu()


def _keep(place: Path, tensors: dict[str, Tensor], card: str) -> None:
    """Write a ranking beside its place and rename it; of two processes at once, one is kept."""
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
            made = Path(temporary) / place.name
            made.mkdir()
            save_file(tensors, made / FILE)
            (made / CARD).write_text(card)
            os.rename(made, place)


def _card(part: Part, facts: list[str], references: References, distance: Tensor) -> str:
    return "\n".join(
        [
            f"# Ranking of the references of {part}",
            "",
            f"{len(references.pairs)} pairs, {len(references.pool)} images in their pools. `index` "
            "has for each pair the positions of the images whose predicted masks are nearest to "
            "its mask, `distance` is L2 between both, one-hot.",
            "",
            *(f"- {fact}" for fact in facts),
            f"- mean distance of the nearest {float(distance[:, 0].mean()):.2f}, of the last "
            f"{float(distance[:, -1].mean()):.2f}",
            "",
        ]
    )
