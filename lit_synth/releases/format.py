"""The release format: a folder of networks whose weights cannot execute code.

model.safetensors   every tensor, keyed `<network>.<tensor>`
config.yaml         format version, and class and constructor arguments of each network
card.md             what it is, for people
"""

import hashlib
import importlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from lit_synth.errors import InputError

FORMAT = 1
TRUST = "LIT_SYNTH_TRUST"  # packages of networks of your own, joined by commas
ASSETS = Path(__file__).parent.parent / "assets"


@dataclass
class Release:
    """Networks loaded from a release folder.

    Attributes:
        folder: Where it was read from.
        networks: Name -> network, in eval mode, on the CPU.
        extra: Facts saved with the networks.
        sha256: Hash of the weights file.
    """

    folder: Path
    networks: dict[str, nn.Module]
    extra: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""

    def network(self, name: str) -> nn.Module:
        """Return the network called `name`; InputError lists what there is."""
        if name not in self.networks:
            raise InputError(
                f"the release {self.folder} has no network '{name}', "
                f"only {', '.join(self.networks)}."
            )
        return self.networks[name]


def bundled() -> list[str]:
    """Return the names of the releases that come with the package."""
    return sorted(path.parent.name for path in ASSETS.glob("*/model.safetensors"))


def find_release(name: str | Path) -> Path:
    """Return the folder of a release given as a path or as the name of a bundled one."""
    for folder in (Path(name), ASSETS / name):
        if (folder / "model.safetensors").is_file() and (folder / "config.yaml").is_file():
            return folder
    raise InputError(
        f"no release at '{name}': expected a folder with model.safetensors and config.yaml, "
        f"or one of the bundled releases ({', '.join(bundled()) or 'none'})."
    )


def save_release(
    folder: str | Path,
    networks: dict[str, nn.Module],
    card: str,
    extra: dict[str, Any] | None = None,
) -> Path:
    """Write `networks`, each built by a `records_init_args` constructor, as a release.

    Args:
        folder: Created if missing.
        networks: Name -> network.
        card: Markdown for `card.md`.
        extra: JSON-able facts kept in `config.yaml`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{name}.{key}": tensor.detach().cpu().clone().contiguous()
        for name, network in networks.items()
        for key, tensor in network.state_dict().items()
    }
    config = {
        "lit_synth_release": FORMAT,
        "networks": {
            name: {
                "class_path": f"{type(network).__module__}.{type(network).__qualname__}",
                "init_args": network.init_args,
            }
            for name, network in networks.items()
        },
        "extra": extra or {},
    }
    (folder / "model.safetensors").write_bytes(save(tensors))
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / "card.md").write_text(card)
    return folder


def load_release(name: str | Path) -> Release:
    """Load a release folder, or a bundled one by its name.

    A release names classes, and building one runs its code: only classes of `lit_synth.networks`,
    and of the packages that the environment variable LIT_SYNTH_TRUST lists, are built.

    Args:
        name: Path of a release folder, or name of a bundled release.

    Raises:
        InputError: No release there, a class that is not trusted, or weights of another shape.
    """
    folder = find_release(name)
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
        tensors = load_file(folder / "model.safetensors")
    except (SafetensorError, yaml.YAMLError) as error:
        raise InputError(f"the release {folder} cannot be read: {error}") from error
    if config.get("lit_synth_release") != FORMAT:
        raise InputError(
            f"{folder}/config.yaml is not a release of format {FORMAT}: it says "
            f"{config.get('lit_synth_release')}."
        )
    networks = {}
    for key, spec in config["networks"].items():
        network = _build(spec["class_path"], spec["init_args"], folder)
        prefix = f"{key}."
        state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise InputError(f"the weights of '{key}' in {folder} do not fit: {error}") from error
        networks[key] = network.eval()
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    return Release(folder, networks, config.get("extra", {}), digest)


def _build(class_path: str, init_args: dict[str, Any], folder: Path) -> nn.Module:
    module, _, name = class_path.rpartition(".")
    trusted = ["lit_synth.networks", *filter(None, os.environ.get(TRUST, "").split(","))]
    if not any(module == package or module.startswith(f"{package}.") for package in trusted):
        raise InputError(
            f"{folder}/config.yaml asks for the class {class_path}, but only classes of "
            f"{', '.join(trusted)} are built from a release: if you trust its package, list it in "
            f"the environment variable {TRUST}."
        )
    with torch.random.fork_rng(devices=[]):  # its random weights are replaced: leave no trace
        network = getattr(importlib.import_module(module), name)(**init_args)
    if not isinstance(network, nn.Module):
        raise InputError(f"{folder}/config.yaml names {class_path}, which is not a network.")
    return network
