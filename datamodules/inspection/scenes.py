"""Scenes in several modalities: which folders hold them, and what each modality is."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from datamodules.inspection.looks import Look, classes
from datamodules.inspection.readings import Part, Reading, Tree, shortened
from datamodules.items.modalities import IGNORE, Kind

_LABEL_WORDS = ("mask", "label", "seg", "annot", "gt", "parsing")
_DEPTH_WORDS = ("depth", "disp", "range")
_PAIR_WORDS = (
    *_LABEL_WORDS, *_DEPTH_WORDS, "image", "img", "photo", "rgb", "color", "colour", "input",
    "target", "edge", "sketch", "normal", "nir", "ir", "source", "before", "after", "left", "right",
)  # fmt: skip
_LONG = 3  # letters, from which a word may go on: masks, segmentation
_DEFAULT: dict[str, Any] = {"a": {}, "b": {}}  # modalities of `Paired`
_ALIGNED = 0.8  # share of files with partners, from which they are meant to be pairs
_RARE = 0.01  # share of files: an id beyond a gap that fewer have is stray
_MANY = 10  # files, from which that can be told


def are_partners(tree: Tree, under: str) -> bool:
    """Tell whether equal names in several folders mean one scene, and not just numbers."""
    stems = [set(stems_of(looks, f"{under}{name}/")) for name, looks in tree.items()]
    shared = set.intersection(*stems)
    if len(shared) < _ALIGNED * max(map(len, stems)):
        return False
    kinds = {kind_of(name, looks) for name, looks in tree.items()}
    hinted = all(_says(name, _PAIR_WORDS) or name.lower() in ("a", "b") for name in tree)
    return len(kinds) > 1 or hinted


def stems_of(looks: Sequence[Look], under: str) -> dict[str, Look]:
    """Return the looks by their paths below a folder, without suffix."""
    return {
        PurePosixPath(each.name.removeprefix(under)).with_suffix("").as_posix(): each
        for each in looks
    }


def kind_of(name: str, looks: Sequence[Look]) -> Kind:
    """Say what the pictures of a folder are, by its name and what is in it."""
    usable = [each for each in looks if each.problem is None]
    deep = sum(each.pixels in ("16-bit grey", "float") for each in usable)
    ids = classes(usable)
    if usable and ids is not None and not _says(name, _DEPTH_WORDS):
        small = max(ids, default=0) < IGNORE and len(ids) > 1
        palette = all(each.pixels == "palette" for each in usable)
        if _says(name, _LABEL_WORDS) or (small and palette) or (small and max(ids) < len(ids) * 2):
            return "labels"
    if usable and deep == len(usable):
        return "depth"
    return "image"


def _says(name: str, words: Sequence[str]) -> bool:
    """Tell whether a part of a name begins with a word, or is one of two letters."""
    parts = re.split("[^a-z]+", name.lower())
    return any(
        part == word if len(word) < _LONG else part.startswith(word)
        for part in parts
        for word in words
    )


def scenes(
    data: str,
    options: Mapping[str, Any],
    parts: Sequence[Part],
    sets: Sequence[list[str]],
    set_names: Sequence[str] = (),
) -> Reading:
    """Return the reading of aligned pictures in several modalities."""
    names = list(dict.fromkeys(name for each in sets for name in each))
    every = {name: [e for p in parts if p.modality == name for e in p.looks] for name in names}
    kinds = {name: kind_of(name, every[name]) for name in names}
    notes, specs = list[str](), dict[str, dict[str, Any]]()
    for name in names:
        specs[name], found = declared(name, kinds[name], every[name])
        notes += found
    first = sorted(sets[0], key=lambda name: kinds[name] != "image")  # what is seen comes first
    more: dict[str, Any] = {} if specs == _DEFAULT else {"modalities": specs}
    if set_names:
        more["sets"] = dict(zip(set_names, sets, strict=True))
    phrase = ", ".join(
        name if kinds[name] == "image" else f"{name} ({kinds[name]})" for name in names
    )
    what = "pairs" if len(names) == 2 else "scenes"
    where = f" in {len(sets)} disjoint sets" if len(sets) > 1 else ""
    return Reading(
        f"{what} of equal names{where}: {phrase}", "pairs", data, {**options, **more}, parts,
        modalities=specs, pair=(first[0], first[1]), mend=list(_partners(parts)), notes=notes,
    )  # fmt: skip


def declared(name: str, kind: Kind, looks: Sequence[Look]) -> tuple[dict[str, Any], list[str]]:
    """Return the declaration of a modality, and what is to be known of it."""
    if kind == "image" and _says(name, _LABEL_WORDS):
        return {}, [f"{name} is read as images; labels are PNGs whose grey or palette index counts"]
    if kind == "image" and _says(name, _DEPTH_WORDS):
        return {}, [f"{name} is read as images; depth has 16 bits, or is a float TIFF, npy or npz"]
    if kind == "image":
        return {}, []
    if kind == "depth":
        whole = all(each.pixels == "16-bit grey" for each in looks if each.problem is None)
        unit = "millimetres; per_metre says otherwise" if whole else "metres"
        return {"kind": "depth"}, [f"{name} is read as depth in {unit}; 0 is unknown"]
    ids = classes([each for each in looks if each.problem is None]) or {}
    stray = stray_ids(ids, len(looks))
    kept = [value for value in ids if value not in stray]
    notes = [f"{name} has the label ids {ranges(kept)}; 255 is ignored where it occurs"]
    for value in stray:
        files = f"{len(ids[value])} of {len(looks)} files: {shortened(ids[value])}"
        notes.append(f"{name} has the label {value} in {files}; proposed: ignore it")
    if kept == list(range(len(kept))) and not stray:
        return {"kind": "labels", "channels": max(2, len(kept))}, notes
    table = {value: place for place, value in enumerate(kept)}
    if IGNORE in table:
        notes[0] = f"{name} is a mask of 0 and 255, which becomes class 1"
    return {
        "kind": "labels",
        "channels": max(2, len(kept)),
        "label_map": {**table, **dict.fromkeys(stray, IGNORE)},
    }, notes


def stray_ids(ids: Mapping[int, Sequence[str]], n: int) -> list[int]:
    """Return the ids beyond a gap that next to no file has."""
    return [
        value
        for value, files in ids.items()
        if value and value - 1 not in ids and n >= _MANY and len(files) <= max(1, _RARE * n)
    ]


def ranges(values: Sequence[int]) -> str:
    """Return '0 to 12, 40' for these whole numbers, in order."""
    spans: list[list[int]] = []
    for value in values:
        if spans and value == spans[-1][1] + 1:
            spans[-1][1] = value
        else:
            spans.append([value, value])
    return ", ".join(f"{a} to {b}" if a < b else str(a) for a, b in spans)


def _partners(parts: Sequence[Part]) -> Iterator[str]:
    """Say which pictures lack partners, or have some of another size."""
    groups: dict[str, dict[str, dict[str, Look]]] = defaultdict(dict)
    for part in parts:
        where = part.name.removesuffix(part.modality)
        groups[where][part.modality] = stems_of(part.looks, f"{part.name}/")
    for where, found in groups.items():
        for stem in sorted(set().union(*found.values())):
            lacking = [name for name, files in found.items() if stem not in files]
            there = [files[stem] for files in found.values() if stem in files]
            if lacking:
                yield f"{there[0].name} has no partner in {where}{', '.join(lacking)}"
                continue
            sizes = {each.size for each in there if each.problem is None}
            if len(sizes) > 1:
                yield f"{there[0].name} and {there[1].name} are not of one size"
