"""Train once and keep: networks that every later run of this user takes from one folder."""

import contextlib
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import save
from torch import nn

from lit_synth.releases.format import Release, load_release, save_release


class Trained(NamedTuple):
    """What a training leaves to be kept; see `save_release`."""

    networks: dict[str, nn.Module]
    card: str
    extra: dict[str, Any]


def trained_once(kind: str, facts: str, folder: Path, train: Callable[[], Trained]) -> Release:
    """Return the release of a training, from the cache where the same was ever trained.

    It is made beside its place and then renamed: a killed run leaves none, and of two runs at once
    one is kept. Where the disk is full or cannot be written, it is used without being kept.

    Args:
        kind: First word of the release's name, e.g. `classifier`.
        facts: All that the training depends on; its hash is the rest of the name.
        folder: The cache.
        train: Trains.
    """
    place = folder / f"{kind}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"
    if place.is_dir():
        return load_release(place)
    trained = train()
    _keep(trained, place)
    return load_release(place) if place.is_dir() else _unkept(trained, place)


def _keep(trained: Trained, place: Path) -> None:
    with contextlib.suppress(OSError):  # also where another run was first
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
            save_release(Path(temporary) / place.name, *trained).rename(place)


def _unkept(trained: Trained, place: Path) -> Release:
    """Return the release that would have been read from its place, hash included."""
    tensors = {
        f"{name}.{key}": tensor.detach().cpu().clone().contiguous()
        for name, network in trained.networks.items()
        for key, tensor in network.state_dict().items()
    }
    networks = {name: network.eval() for name, network in trained.networks.items()}
    return Release(place, networks, trained.extra, hashlib.sha256(save(tensors)).hexdigest())
