"""Releases as files of tensors in public layouts; importing gives the file back bit for bit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.releases.format import Release, load_release
from lit_synth.releases.importers.keeping import kept_tensors, key_of
from lit_synth.releases.importers.layout import Layout, Part, to_public
from lit_synth.releases.importers.recognise import LAYOUTS

BESIDE = "../"  # before keys of what stands beside a state dict
SAFETENSORS = ".safetensors"


def layout_names() -> list[str]:
    """Return the layouts that can be written."""
    return [layout.name for layout in LAYOUTS if layout.writes]


def export_tensors(release: str | Path, layout_name: str, out: Path) -> int:
    """Write a release's networks in a public layout; return the number of tensors.

    Args:
        release: Folder of a release, or name of a bundled one.
        layout_name: One of `layout_names`.
        out: File to write, in safetensors if it ends so, else as torch.save does; for BigGAN the
            folder of its files.

    Raises:
        InputError: The layout has no place for such networks.
    """
    layout = next(layout for layout in LAYOUTS if layout.name == layout_name)
    loaded = load_release(release)
    content = public_content(loaded, layout)
    out.parent.mkdir(parents=True, exist_ok=True)
    if layout.folder:
        out.mkdir(exist_ok=True)
        for place, state in content.items():
            _write(state, out / f"{place or 'G_ema'}.pth")
    else:
        _write(content, out)
    return len(_flat(content))


def public_content(release: Release, layout: Layout) -> dict[str, Any]:
    """Return what a public file of a release's networks holds: state dicts, or one of them."""
    parts = layout.write(release.networks)
    if parts is None:
        names = ", ".join(type(net).__name__ for net in release.networks.values())
        raise InputError(
            f"the layout {layout.name} has no place for the networks of {release.folder} "
            f"({names}): expected those of {layout.title}."
        )
    own = {
        f"{name}.{key}": tensor
        for name, network in release.networks.items()
        for key, tensor in network.state_dict().items()
    }
    facts = release.extra.get("imported", {})
    same = facts.get("layout") == layout.name
    kept = kept_tensors(release.folder) if same else None
    absent = set(facts.get("absent", [])) if same else set()
    content: dict[str, Any] = {}
    for place, part in parts.items():
        state = to_public(part, own) | _inert(part, kept)
        state = {key: t for key, t in state.items() if key_of(part, key) not in absent}
        _put(content, facts.get("places", {}).get(key_of(part, "")) if same else None, place, state)
    return content


def _put(content: dict[str, Any], first: str | None, second: str, state: dict[str, Tensor]) -> None:
    """Add a state dict at the place that it came from, else at the layout's usual one."""
    at = beside = content
    place = second if first is None else first
    for key in filter(None, place.split(".")):
        beside, at = at, at.setdefault(key, {})
    for key, tensor in state.items():
        if key.startswith(BESIDE):
            beside[key.removeprefix(BESIDE)] = tensor
        else:
            at[key] = tensor


def _inert(part: Part, kept: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    """Return the tensors of no effect: the file's own, or else what such files usually have."""
    if kept is None:
        return {key: tensor for key, tensor in part.inert.items() if tensor is not None}
    found = {key: kept.get(key_of(part, key)) for key in part.inert}
    return {key: tensor for key, tensor in found.items() if tensor is not None}


def _write(content: dict[str, Any], path: Path) -> None:
    if path.suffix == SAFETENSORS:
        save_file({k: t.contiguous().clone() for k, t in _flat(content).items()}, path)
    else:
        torch.save(content, path)


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Tensor]:
    flat: dict[str, Tensor] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
