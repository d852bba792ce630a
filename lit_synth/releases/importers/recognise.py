"""What a file of weights is, and the networks of ours that it becomes."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.rebuilding import WithoutRandomStart
from lit_synth.networks.stylegan2 import StyleGAN2Generator
from lit_synth.releases.importers import (
    bicyclegan,
    biggan,
    cyclegan,
    dcgan,
    deeplab,
    munit,
    oasis,
    pgan,
    pix2pix,
    rosinality,
    seg2eye,
    spade,
    stargan_v2,
    stylegan2_ada,
    stylegan2_tf,
)
from lit_synth.releases.importers.files import read_weights, told_of
from lit_synth.releases.importers.keeping import key_of
from lit_synth.releases.importers.layout import Found, Layout, Options, Part, listed, to_own
from lit_synth.releases.importers.states import StateDict, states_of

LAYOUTS = (
    stylegan2_ada.LAYOUT,
    stylegan2_tf.LAYOUT,
    rosinality.LAYOUT,
    biggan.LAYOUT,
    pgan.LAYOUT,
    stargan_v2.LAYOUT,
    dcgan.LAYOUT,
    deeplab.LAYOUT,
    cyclegan.LAYOUT,
    pix2pix.LAYOUT,
    munit.LAYOUT,
    seg2eye.LAYOUT,
    bicyclegan.LAYOUT,
    spade.LAYOUT,
    oasis.LAYOUT,
)
ESTIMATED_FROM = 8192  # latents, of which the mean of w is taken where a file lacks it


@dataclass
class Imported:
    """Networks of a file, and what becomes known on the way.

    Attributes:
        layout: What the file was taken for.
        networks: Name -> network, in eval mode.
        sha256: Hash of the file, or of the files of a folder, by name.
        used: Path in the file -> keys that the networks have.
        places: Network -> path in the file, by `key_of`.
        kept: Tensors of which no image depends, to give the file back, by `key_of`.
        absent: What the file may lack, and does, by `key_of`.
        not_taken: Paths of state dicts that are left in the file.
        notes: Sentences for the report.
        method: What builds a method of the networks, where there is one.
    """

    layout: Layout
    networks: dict[str, nn.Module]
    sha256: str
    used: dict[str, list[str]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    kept: dict[str, Tensor] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    not_taken: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    method: dict[str, Any] | None = None


def import_networks(path: str | Path, options: Options) -> Imported:
    """Read a file, or a folder of files, as networks of ours.

    Raises:
        InputError: It cannot be read, is of no known layout, or does not fit its layout.
    """
    states, sha256 = _read(Path(path))
    layout, found = recognise(states, options, str(path))
    tensors = {state.path: state.tensors for state in states} | found.tensors
    imported = Imported(layout, {}, sha256, method=found.method)
    imported.notes += found.notes
    for place, part in found.parts.items():
        where = f"'{place}' of {path}" if place else str(path)
        for name, state in to_own(part, tensors[place], where).items():
            imported.networks[name] = built(*part.networks[name], state)
        _account(imported, place, part, tensors[place])
    if found.estimate_w:
        imported.notes.append(_estimate_w(imported.networks["generator"]))
    imported.not_taken = [s.path for s in states if s.path not in found.parts]
    return imported


def recognise(states: list[StateDict], options: Options, path: str) -> tuple[Layout, Found]:
    """Return the layout of a file's state dicts, and what they are in it."""
    for layout in LAYOUTS:
        with told_of(Path(path)):  # keys may be of a layout, and shapes of none
            found = layout.read(states, options)
        if found is not None:
            return layout, found
    seen = "; ".join(f"at '{s.path}': {listed(sorted(s.tensors))}" for s in states[:4])
    known = ", ".join(layout.title for layout in LAYOUTS)
    raise InputError(
        f"{path} is of no layout known here (it has {seen or 'no tensors'}); expected {known}."
    )


def built(cls: type[nn.Module], init_args: dict[str, Any], state: dict[str, Tensor]) -> nn.Module:
    """Return a network of these tensors, in eval mode; random generators stay as they were."""
    with torch.random.fork_rng(devices=[]), WithoutRandomStart():
        network = cls(**init_args)
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


def _account(imported: Imported, place: str, part: Part, tensors: dict[str, Tensor]) -> None:
    expected = [pair.public for pair in part.pairs]
    imported.used[place] = [*(key for key in expected if key in tensors), *part.constants]
    inert = {key: tensors[key] for key in part.inert if key in tensors}
    imported.kept |= {key_of(part, key): tensor for key, tensor in inert.items()}
    imported.absent += [key_of(part, key) for key in expected if key not in tensors]
    imported.places[key_of(part, "")] = place


def _read(path: Path) -> tuple[list[StateDict], str]:
    if not path.is_dir():
        return _states(path), _digest(path)
    files = _of_an_epoch(path) or [
        file for file in sorted(path.glob("*.pth")) if _is_network(file.stem)
    ]
    if not files:
        raise InputError(
            f"the folder '{path}' has no G_ema.pth, G.pth or D.pth, nor EPOCH_net_G.pth: give a "
            "folder of BigGAN-PyTorch, SPADE or Seg2Eye, or a file of weights."
        )
    states = [state for file in files for state in _states(file, file.stem)]
    digests = "".join(f"{file.name} {_digest(file)}\n" for file in files)
    return states, hashlib.sha256(digests.encode()).hexdigest()


def _states(file: Path, path: str = "") -> list[StateDict]:
    content = read_weights(file)
    with told_of(file):
        return states_of(content, path)


def _of_an_epoch(folder: Path) -> list[Path]:
    """Return the files `<epoch>_net_<network>.pth` of the epoch `latest`, else of the last one."""
    epochs: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*_net_[GDE].pth")):
        epochs.setdefault(file.stem.partition("_net_")[0], []).append(file)
    numbered = {int(name): name for name in epochs if name.isdecimal()}
    last = "latest" if "latest" in epochs else numbered[max(numbered)] if numbered else ""
    return epochs.get(last, [])


def _is_network(stem: str) -> bool:
    return stem.startswith(("G", "D")) and "optim" not in stem


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@torch.no_grad()
def _estimate_w(generator: nn.Module) -> str:
    """Set the mean of w to that of many latents, and say so."""
    assert isinstance(generator, StyleGAN2Generator), "only these have it"
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(ESTIMATED_FROM, generator.latent_dim, generator=rng)
    generator.w_avg.copy_(generator.mapping(z, None).mean(dim=0))
    return (
        f"The file lacks the mean of w, to which truncation pulls: it is that of {ESTIMATED_FROM} "
        "latents of seed 0."
    )
