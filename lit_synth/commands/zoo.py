"""`lit-synth zoo`: the releases that come with lit-synth, which every verb takes by name."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `zoo`."""
    subparsers.add_parser("zoo", help="list the bundled releases", description=__doc__)


def run(args: argparse.Namespace) -> int:  # noqa: ARG001 - there are no options
    """Print what each bundled release is."""
    from lit_synth.releases.format import bundled, find_release

    for name in bundled():
        print("\n".join([name, *(f"  {line}" for line in described(find_release(name)))]))
    print("\nGive a name where a release is expected, as in lit-synth sample digits-0-4 --out made")
    return 0


def described(folder: Path) -> list[str]:
    """Return the lines about a release: what it is, its size, its licence, its card and picture.

    Args:
        folder: Of the release.
    """
    from lit_synth.reports.model_card import NOT_STATED, PICTURE, licences
    from lit_synth.runs.yaml_files import read_mapping

    config = read_mapping(folder / "config.yaml", "the settings of the release")
    card = (folder / "card.md").read_text()
    size = (folder / "model.safetensors").stat().st_size / 1e6
    picture = folder / PICTURE
    return [
        card.partition("\n")[0].lstrip("# "),
        "; ".join(f"{name}: {_network(spec)}" for name, spec in config["networks"].items()),
        f"{size:.1f} MB; licence: {', '.join(licences(card)) or NOT_STATED}",
        f"card: {folder / 'card.md'}",
        *([f"picture: {picture}"] if picture.is_file() else []),
    ]


def _network(spec: dict[str, Any]) -> str:
    name, size = spec["class_path"].rpartition(".")[2], spec["init_args"].get("image_size")
    return name if size is None else f"{name}, {size} px"
