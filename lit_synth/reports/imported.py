"""What goes with an imported release: its card, the account of all keys, sample grids."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from lit_synth.contracts.generator import Generator, as_generator, mined_spaces
from lit_synth.networks.parts.initialising import fresh_critic
from lit_synth.pictures.grid import grid, png
from lit_synth.releases.format import save_release
from lit_synth.releases.games import published
from lit_synth.releases.importers.keeping import KEPT
from lit_synth.releases.importers.recognise import Imported
from lit_synth.releases.sampling import sample
from lit_synth.tensors.hashing import weights_hash

ACCOUNT = "import.json"
TRUNCATIONS = (1.0, 0.7)
COLUMNS = 4
_DRAW = """
from lit_synth.releases.format import load_release
from lit_synth.releases.sampling import sample

generator = load_release("FOLDER").network("generator")  # the folder of this card
images = next(sample(generator, n=4, seed=0, truncation=0.7))  # (4, C, H, W), [-1, 1]
"""
_TRANSLATE = """
from lit_synth.releases.format import load_release

translator = load_release("FOLDER").network("generator")  # the folder of this card
made = translator(images)  # (N, C, H, W) in [-1, 1], as given
"""
_METHOD = """
from lit_synth.inference.ask import translate
from lit_synth.inference.loading import load_method

method = load_method("FOLDER")  # the folder of this card
way = method.translations()[0]  # a_to_b
made = translate(method, {"a": images}, way)  # images (N, C, H, W) in [-1, 1]
"""


def write_release(
    imported: Imported, file: str, licence: str, folder: Path, class_names: Sequence[str] = ()
) -> None:
    """Write a release with its card, the account of the file's keys, and sample grids.

    Args:
        imported: What was read.
        file: Name of the file.
        licence: Of its weights.
        folder: Of the release.
        class_names: Names of the generator's classes, empty if nobody knows them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = _draw(imported.networks, folder)
    text = card(imported, file, licence, pictures)
    facts = {
        "layout": imported.layout.name,
        "file_sha256": imported.sha256,
        "licence": licence,
        "places": imported.places,
        "absent": sorted(imported.absent),
    }
    names = {"class_names": [*class_names]} if class_names else {}
    game = published(imported.networks.get("generator"))
    extra = {"imported": facts, **names, **game}
    save_release(folder, imported.networks, text, extra, imported.method)
    if imported.kept:
        kept = {key: tensor.contiguous().clone() for key, tensor in imported.kept.items()}
        (folder / KEPT).write_bytes(save(kept))
    (folder / ACCOUNT).write_text(json.dumps(account(imported, file, licence), indent=1))


def account(imported: Imported, file: str, licence: str) -> dict[str, Any]:
    """Return every key of the file and what became of it, and the hashes."""
    return {
        "file": file,
        "file_sha256": imported.sha256,
        "taken_for": imported.layout.title,
        "licence": licence,
        "used": imported.used,
        "kept_without_effect": sorted(imported.kept),
        "lacking_without_effect": sorted(imported.absent),
        "missing": [],
        "left_over": [],
        "not_taken": imported.not_taken,
        "parameters": {name: _count(net) for name, net in imported.networks.items()},
        "tensors_sha256": {name: weights_hash(net) for name, net in imported.networks.items()},
        "notes": imported.notes,
    }


def card(imported: Imported, file: str, licence: str, pictures: list[str]) -> str:
    """Return the Markdown of an imported release."""
    hashes = [
        f"- {name}: {_count(net):,} parameters, tensors {weights_hash(net)}"
        for name, net in imported.networks.items()
    ]
    keys = sum(map(len, imported.used.values()))
    return "\n".join(
        [
            f"# {imported.layout.title}: imported from {file}",
            "",
            *pictures,
            *[""][: len(pictures)],
            f"Taken for {imported.layout.title}. {keys} tensors of the file are used, "
            f"{len(imported.kept)} kept that change no image, none is left over or missing; "
            f"`{ACCOUNT}` lists them.",
            "",
            *hashes,
            f"- file: sha256 {imported.sha256}",
            *(f"- left in the file: '{path}'" for path in imported.not_taken),
            "",
            *(f"Note: {note}" for note in imported.notes),
            *[""][: len(imported.notes)],
            "## Use",
            "",
            *(f"- {line}" for line in uses(imported)),
            "",
            "## Data",
            "",
            "- what it was trained on is not in the file",
            "",
            f"Licence: {licence}",
            "",
            "## Use it from Python",
            "",
            "```python",
            _code(imported).strip(),
            "```",
            "",
        ]
    )


def uses(imported: Imported) -> list[str]:
    """Return how a release can be used, a sentence each."""
    if imported.layout.kind == "translator":
        by = "from Python" if imported.method else "by `lit-synth translate`"
        return [f"{_translates(imported.networks)}; of a folder of photos {by}"]
    generator = as_generator(imported.networks["generator"])
    size, channels = generator.image_size, generator.image_channels
    classes = f"{generator.num_classes} classes" if generator.num_classes else "no classes"
    lines = [
        f"source: images of {channels} x {size} x {size}, z of {generator.latent_dim}, {classes}"
    ]
    mined = ", ".join(mined_spaces(generator))
    lines.append(f"`sources:` of MineGAN, which can mine {mined}; `source:` of TransferGAN")
    if "critic" in imported.networks:
        return [*lines, "with its critic, from which both start"]
    return [
        *lines,
        f"no critic: MineGAN and TransferGAN need a fresh one, as by `{fresh_critic(generator)}`. "
        "It knows nothing at first, which costs iterations and, where the target has few images, "
        "quality.",
    ]


def _translates(networks: dict[str, nn.Module]) -> str:
    args = vars(next(iter(networks.values())))["init_args"]
    channels = args.get("in_channels", args.get("channels"))
    made = args.get("out_channels", channels)
    size = args.get("image_size", "any multiple of 4")
    return f"translator: images of {channels} x H x W to {made} x H x W, H and W {size}"


def summary(imported: Imported, folder: Path) -> list[str]:
    """Return what the command prints."""
    keys = sum(map(len, imported.used.values()))
    return [
        f"{folder}: {imported.layout.title}, {keys} tensors used, {len(imported.kept)} kept "
        "without effect, none left over or missing.",
        *uses(imported),
        *imported.notes,
        f"Report: {folder / 'card.md'}",
    ]


def _draw(networks: dict[str, nn.Module], folder: Path) -> list[str]:
    """Write a grid for each truncation; return the lines of the card that show them."""
    generator = networks.get("generator")
    if generator is None or not hasattr(generator, "latent_dim"):
        return []
    lines = []
    for truncation in TRUNCATIONS:
        images = torch.cat(list(sample(generator, _tiles(generator), 0, 4, truncation)))
        name = f"sample-{truncation:g}.png"
        (folder / name).write_bytes(png(grid(images, COLUMNS)))
        lines.append(f"![Truncation {truncation:g}]({name})")
    return lines


def _tiles(generator: nn.Module) -> int:
    made: Generator = as_generator(generator)
    return max(2, min(16, 1024 // made.image_size))  # a StyleGAN2's cost grows with its side


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _code(imported: Imported) -> str:
    if imported.method is not None:
        return _METHOD
    return _DRAW if imported.layout.kind == "source" else _TRANSLATE
