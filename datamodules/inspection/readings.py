"""What a folder is: which layout its names and pictures have, and which data module reads it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from datamodules.inspection.looks import Look, classes
from datamodules.modalities import IGNORE, Kind
from datamodules.sources import Archive, Directory, Source

Task = Literal["generate", "classes", "pairs", "domains", "attributes"]
Tree = Mapping[str, Sequence[Look]]  # first-level folder -> what is in it; "" of loose files

SPLITS = ("train", "val", "test")

_LABEL_WORDS = ("mask", "label", "seg", "annot", "gt", "parsing")
_DEPTH_WORDS = ("depth", "disp", "range")
_PAIR_WORDS = (
    *_LABEL_WORDS, *_DEPTH_WORDS, "image", "img", "photo", "rgb", "color", "colour", "input",
    "target", "edge", "sketch", "normal", "nir", "ir", "source", "before", "after", "left", "right",
)  # fmt: skip
_ALIGNED = 0.8  # share of files with partners, from which they are meant to be pairs
_RARE = 0.01  # share of files: an id beyond a gap that fewer have is stray
_MANY = 10  # files, from which that can be told
_HALVES = 0.9  # share of files twice as wide as high, from which they are two halves


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
    mend: Sequence[str] = ()
    notes: Sequence[str] = ()


def read(folder: Folder) -> Reading:
    """Say what a folder is, which holds some picture that can be read."""
    from datamodules.inspection.attribute_files import read_table  # which makes a `Reading` too

    tree = by_folder(folder.looks)
    if isinstance(folder.source, Archive) or folder.source.has_labels:
        return _archive(folder, tree)
    return (
        read_table(folder, tree)
        or _lettered_domains(folder, tree)
        or _in_train(folder, tree)
        or _several_sets(folder, tree)
        or _beside_each_other(folder, tree)
        or _class_folders(folder, tree)
        or _images(folder)
    )


def by_folder(looks: Sequence[Look], under: str = "") -> dict[str, list[Look]]:
    """Return the looks under a folder by the next folder of their paths, '' for loose files."""
    found: dict[str, list[Look]] = defaultdict(list)
    for each in looks:
        if each.name.startswith(under):
            head, _, rest = each.name.removeprefix(under).partition("/")
            found[head if rest else ""].append(each)
    return dict(sorted(found.items()))


def _archive(folder: Folder, tree: Tree) -> Reading:
    """Return the reading of a zip, or of a folder with StyleGAN's dataset.json."""
    from datamodules.errors import DataError
    from datamodules.folders import class_names

    options: dict[str, Any] = {"root": str(folder.root)}
    kind = "a zip archive" if isinstance(folder.source, Archive) else "a folder"
    mend: list[str] = []
    names: list[str] = []
    if folder.source.has_labels:
        try:
            names = class_names(folder.source, "auto")
        except DataError as error:
            mend.append(str(error).rstrip("."))
    elif "" not in tree and len(tree) > 1:
        names, options["labels"] = list(tree), "folders"
    if not names:
        return Reading(
            f"{kind} of images", "generate", "Unconditional", options, [Part("", folder.looks)],
            mend=mend,
        )  # fmt: skip
    how = "class folders" if "labels" in options else "labels in dataset.json"
    options.setdefault("labels", "dataset.json")
    return Reading(
        f"{kind} with {how}, {len(names)} classes", "classes", "Unconditional", options,
        [Part("", folder.looks)], names=names,
    )  # fmt: skip


def _lettered_domains(folder: Folder, tree: Tree) -> Reading | None:
    """Return the reading of trainA and trainB, testA and testB."""
    domains = [name.removeprefix("train") for name in tree if name.startswith("train")]
    domains = [name for name in domains if name]
    if len(domains) < 2:
        return None
    parts = [
        Part(f"{split}{domain}", tree[f"{split}{domain}"], split, domain)
        for split in SPLITS
        for domain in domains
        if f"{split}{domain}" in tree
    ]
    return _domains(folder, domains, parts, "{split}{domain}")


def _domains(folder: Folder, domains: list[str], parts: list[Part], place: str) -> Reading:
    mend = [
        f"{part.name} has a single image; a domain takes 2 or more"
        for part in parts
        if part.split == "train" and len(part.looks) < 2
    ]
    there = {(part.split, part.modality) for part in parts}
    for split in SPLITS[1:]:
        lacking = [name for name in domains if (split, name) not in there]
        if 0 < len(lacking) < len(domains):
            names = ", ".join(place.format(split=split, domain=name) for name in lacking)
            mend.append(f"{names} is missing: fill it, or leave {split} out for all domains")
    mend += [f"{each.name} is of one colour" for each in flat(parts)]
    options = {"root": str(folder.root), "domains": {name: name for name in domains}}
    return Reading(
        f"{len(domains)} domains without partners: {shortened(domains)}", "domains", "Unpaired",
        options, parts, names=domains, mend=mend,
    )  # fmt: skip


def flat(parts: Sequence[Part]) -> list[Look]:
    """Return the training images that show nothing."""
    return [
        each for part in parts if part.split in ("", "train") for each in part.looks if each.flat
    ]


def _in_train(folder: Folder, tree: Tree) -> Reading | None:
    """Return the reading of what lies in train, and maybe val and test."""
    if "train" not in tree or set(tree) - {*SPLITS, ""}:
        return None
    inner = {s: by_folder(folder.looks, f"{s}/") for s in SPLITS if s in tree}
    train = inner["train"]
    folders = [name for name in train if name]
    if not folders:
        return _halves(folder, tree) or _plain_splits(folder, tree)
    parts = [
        Part(f"{split}/{name}", found[name], split, name)
        for split, found in inner.items()
        for name in folders
        if name in found
    ]
    if len(folders) == 1:
        return _plain_splits(folder, tree)
    if _are_partners({name: train[name] for name in folders}, "train/"):
        if len(folders) == 2:
            options: dict[str, Any] = {"root": str(folder.root), "layout": "folders"}
            return _scenes("Paired", options, parts, [folders])
        return _scenes("Disjoint", {"root": str(folder.root)}, parts, [folders], ["train"])
    return _domains(folder, folders, parts, "{split}/{domain}")


def _halves(folder: Folder, tree: Tree) -> Reading | None:
    looks = [each for each in tree["train"] if each.problem is None]
    if not looks:
        return None
    wide = [each for each in looks if each.size[0] == 2 * each.size[1]]
    if len(wide) < _HALVES * len(looks):
        return None
    parts = [Part(s, tree[s], s, "both halves") for s in SPLITS if s in tree]
    odd = [each for part in parts for each in part.looks if each.size[0] % 2]
    return Reading(
        "pairs side by side: a is the left half, b the right one",
        "pairs", "Paired", {"root": str(folder.root), "layout": "side_by_side"}, parts,
        modalities={"a": {}, "b": {}}, pair=("a", "b"),
        mend=[f"{each.name} is {each.size[0]} pixels wide: it has no two halves" for each in odd],
    )  # fmt: skip


def _plain_splits(folder: Folder, tree: Tree) -> Reading:
    options: dict[str, Any] = {"root": str(folder.root / "train"), "labels": "none"}
    for split in SPLITS[1:]:
        if split in tree:
            options[f"{split}_root"] = str(folder.root / split)
    parts = [Part(split, tree[split], split) for split in SPLITS if split in tree]
    return Reading("images in splits", "generate", "Unconditional", options, parts)


def _several_sets(folder: Folder, tree: Tree) -> Reading | None:
    """Return the reading of `<set>/<modality>/<stem>`, where sets share a modality."""
    if "" in tree or len(tree) < 2:
        return None
    inner = {name: by_folder(folder.looks, f"{name}/") for name in tree}
    sets = {name: list(found) for name, found in inner.items() if name not in SPLITS}
    shared = Counter(modality for names in sets.values() for modality in names)
    if len(sets) < 2 or max(shared.values()) < 2 or any(
        "" in names or len(names) < 2 or not _are_partners(inner[s], f"{s}/")
        for s, names in sets.items()
    ):  # fmt: skip
        return None
    parts = [
        Part(f"{name}/{modality}", found[modality], name if name in SPLITS else "train", modality)
        for name, found in inner.items()
        for modality in found
    ]
    options = {"root": str(folder.root)}
    return _scenes("Disjoint", options, parts, list(sets.values()), list(sets))


def _beside_each_other(folder: Folder, tree: Tree) -> Reading | None:
    """Return the reading of `images/1.jpg` and `masks/1.png`."""
    if "" in tree or len(tree) < 2 or not _are_partners(tree, ""):
        return None
    parts = [Part(name, looks, "train", name) for name, looks in tree.items()]
    return _scenes("Disjoint", {"root": str(folder.root)}, parts, [list(tree)], ["."])


def _are_partners(tree: Tree, under: str) -> bool:
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
    return any(word in name.lower() for word in words)


def _scenes(
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
    more: dict[str, Any] = {"modalities": specs}
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


def _class_folders(folder: Folder, tree: Tree) -> Reading | None:
    if "" in tree or len(tree) < 2:
        return None
    names = list(tree)
    options = {"root": str(folder.root), "labels": "folders"}
    move = (
        f"to translate between the {len(names)} classes, move their folders to "
        f"{folder.root / 'train'} and run this command again"
    )
    return Reading(
        f"{len(names)} class folders: {shortened(names)}", "classes", "Unconditional", options,
        [Part(name, looks, "", name) for name, looks in tree.items()], names=names, notes=[move],
    )  # fmt: skip


def _images(folder: Folder) -> Reading:
    usable, notes = folder.usable, list[str]()
    if sum(each.size[0] == 2 * each.size[1] for each in usable) >= _HALVES * len(usable):
        notes.append(
            "all are twice as wide as high: pairs side by side belong into a folder train in "
            f"{folder.root}"
        )
    nested = " in nested folders" if any("/" in each.name for each in folder.looks) else ""
    return Reading(
        f"images{nested}", "generate", "Unconditional",
        {"root": str(folder.root), "labels": "none"}, [Part("", folder.looks)], notes=notes,
    )  # fmt: skip


def shortened(names: Sequence[str], n: int = 4) -> str:
    """Return the first names, and how many there are more."""
    more = f" and {len(names) - n} more" if len(names) > n else ""
    return ", ".join(names[:n]) + more


def open_folder(root: Path) -> Source:
    """Return the pictures of a folder or archive, arrays of depth among them."""
    from datamodules.sources import ARRAY_SUFFIXES, IMAGE_SUFFIXES, open_source

    if root.is_dir():
        return Directory(root, IMAGE_SUFFIXES | ARRAY_SUFFIXES)
    return open_source(root)
