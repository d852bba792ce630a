"""The release format: a folder of networks whose weights cannot execute code.

model.safetensors   every tensor, keyed `<network>.<tensor>`
config.yaml         format version, class and constructor arguments of each network, and class and
                    settings of the method that trained them, where it is to be had back
card.md             what it is, for people

In a method's settings `$release` stands for the release itself: what a run took from other releases
is taken from its own.
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
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.rebuilding import WithoutRandomStart, rebuilt, spec_of
from lit_synth.runs.yaml_files import read_mapping

FORMAT = 1
SELF = "$release"
NETWORKS = "lit_synth.networks"
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
    method: dict[str, Any] | None = None,
) -> Path:
    """Write `networks`, each built by a `records_init_args` constructor, as a release.

    Args:
        folder: Created if missing.
        networks: Name -> network.
        card: Markdown for `card.md`.
        extra: JSON-able facts kept in `config.yaml`.
        method: `class_path` and `init_args` that build the method without any other file; None:
            the networks are all that can be had back.
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
        "networks": {name: spec_of(network) for name, network in networks.items()},
        "extra": extra or {},
        **({"method": method} if method else {}),
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
    config, tensors = read_release(folder)
    networks = {}
    for key, spec in config["networks"].items():
        network, prefix = _build(spec, folder), f"{key}."
        state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"the weights of '{key}' in {folder} do not fit: {reason}") from error
        networks[key] = network.eval()
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    return Release(folder, networks, config.get("extra", {}), digest)


def read_release(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what config.yaml of a release folder says, and all tensors; nothing is built.

    Raises:
        InputError: If one cannot be read, is damaged or is of another format.
    """
    config = read_mapping(folder / "config.yaml", "the settings of the release")
    if config.get("lit_synth_release") != FORMAT:
        raise InputError(
            f"{folder}/config.yaml is not a release of format {FORMAT}: it says "
            f"{config.get('lit_synth_release')}."
        )
    _check_config(config, folder)
    try:
        tensors = load_file(folder / "model.safetensors")
    except (SafetensorError, OSError) as error:
        raise InputError(f"the release {folder} cannot be read: {error}") from error
    return config, tensors


def _check_config(config: dict[str, Any], folder: Path) -> None:
    """Raise InputError unless it names networks, each by its class and arguments."""
    networks = config.get("networks")
    extra = config.get("extra", {})
    if not isinstance(networks, dict) or not networks or not isinstance(extra, dict):
        networks = {"networks": None}
    for name, spec in networks.items():
        given = spec if isinstance(spec, dict) else {}
        class_path, init_args = given.get("class_path"), given.get("init_args")
        if not (
            isinstance(name, str)
            and isinstance(class_path, str)
            and isinstance(init_args, dict)
            and all(isinstance(key, str) for key in init_args)
        ):
            raise InputError(
                f"{folder}/config.yaml is damaged at '{name}': expected `networks`, each with a "
                "class_path and init_args; get the release again."
            )


def _build(spec: dict[str, Any], folder: Path) -> nn.Module:
    try:
        # Its random weights are replaced: leave no trace.
        with torch.random.fork_rng(devices=[]), WithoutRandomStart():
            return rebuilt(spec, lambda path: _trusted_class(path, folder))
    except InputError:
        raise
    except Exception as error:  # wrong arguments can fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{folder}/config.yaml gives {spec['class_path']} arguments with which it cannot be "
            f"built: {reason}"
        ) from error


def trusted(class_path: str, *packages: str) -> bool:
    """Tell whether a class is of one of these packages, or of one that LIT_SYNTH_TRUST lists."""
    listed = [*packages, *filter(None, os.environ.get(TRUST, "").split(","))]
    return any(class_path.startswith(f"{package}.") for package in listed)


def _trusted_class(class_path: str, folder: Path) -> type[nn.Module]:
    if not trusted(class_path, NETWORKS):
        raise InputError(
            f"{folder}/config.yaml asks for the class {class_path}, but only classes of "
            f"{NETWORKS} are built from a release: if you trust its package, list it in the "
            f"environment variable {TRUST}."
        )
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{folder}/config.yaml asks for the class {class_path}, but there is none: the release "
            "may be of another version of lit-synth."
        ) from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise InputError(f"{folder}/config.yaml names {class_path}, which is not a network.")
    return found
