"""Layouts: which of those that data modules read a folder has."""

from collections import Counter
from dataclasses import replace
from typing import Any

from datamodules.errors import DataError
from datamodules.files.archives import Archive
from datamodules.files.images import class_names
from datamodules.inspection.attribute_files import read_table
from datamodules.inspection.readings import (
    SPLITS,
    Folder,
    Part,
    Reading,
    Tree,
    by_folder,
    shortened,
)
from datamodules.inspection.scenes import are_partners, scenes

BOTH_HALVES = "both halves"  # in place of a modality

_HALVES = 0.9  # share of files twice as wide as high, from which they are two halves


def read(folder: Folder) -> Reading:
    """Say what a folder is, which holds some picture that can be read."""
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


def _archive(folder: Folder, tree: Tree) -> Reading:
    """Return the reading of a zip, or of a folder with StyleGAN's dataset.json."""
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
    mend += [
        f"{each.name} is of one colour"
        for part in parts
        if part.split == "train"
        for each in part.looks
        if each.spread == 0
    ]
    options = {"root": str(folder.root), "domains": {name: name for name in domains}}
    return Reading(
        f"{len(domains)} domains without partners: {shortened(domains)}", "domains", "Unpaired",
        options, parts, names=domains, mend=mend,
    )  # fmt: skip


def _in_train(folder: Folder, tree: Tree) -> Reading | None:
    """Return the reading of what lies in train, and maybe val and test."""
    if "train" not in tree:
        return None
    unread = [
        f"{name} is not read: only {', '.join(SPLITS)} are" for name in {*tree} - {*SPLITS, ""}
    ]
    reading = _split_folders(folder, tree)
    return replace(reading, notes=[*reading.notes, *sorted(unread)])


def _split_folders(folder: Folder, tree: Tree) -> Reading:
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
    if are_partners({name: train[name] for name in folders}, "train/"):
        if len(folders) == 2:
            return scenes("Paired", {"root": str(folder.root)}, parts, [folders])
        return scenes("Disjoint", {"root": str(folder.root)}, parts, [folders], ["train"])
    return _domains(folder, folders, parts, "{split}/{domain}")


def _halves(folder: Folder, tree: Tree) -> Reading | None:
    looks = [each for each in tree["train"] if each.problem is None]
    if not looks:
        return None
    wide = [each for each in looks if each.size[0] == 2 * each.size[1]]
    if len(wide) < _HALVES * len(looks):
        return None
    parts = [Part(s, tree[s], s, BOTH_HALVES) for s in SPLITS if s in tree]
    odd = [each for part in parts for each in part.looks if each.size[0] % 2]
    return Reading(
        "pairs side by side: a is the left half, b the right one",
        "pairs", "Paired", {"root": str(folder.root)}, parts,
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
        "" in names or len(names) < 2 or not are_partners(inner[s], f"{s}/")
        for s, names in sets.items()
    ):  # fmt: skip
        return None
    parts = [
        Part(f"{name}/{modality}", found[modality], name if name in SPLITS else "train", modality)
        for name, found in inner.items()
        for modality in found
    ]
    options = {"root": str(folder.root)}
    return scenes("Disjoint", options, parts, list(sets.values()), list(sets))


def _beside_each_other(folder: Folder, tree: Tree) -> Reading | None:
    """Return the reading of `images/1.jpg` and `masks/1.png`."""
    if "" in tree or len(tree) < 2 or not are_partners(tree, ""):
        return None
    parts = [Part(name, looks, "train", name) for name, looks in tree.items()]
    return scenes("Disjoint", {"root": str(folder.root)}, parts, [list(tree)], ["."])


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
