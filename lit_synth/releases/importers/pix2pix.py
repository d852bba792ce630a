"""The U-Net of pix2pix's `latest_net_G.pth` (pytorch-CycleGAN-and-pix2pix)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.unet import UNet
from lit_synth.releases.importers.layout import (
    SAME,
    Form,
    Found,
    Layout,
    Options,
    Pair,
    Part,
    chosen,
)
from lit_synth.releases.importers.states import StateDict

OUTERMOST = "model.model"
NORM = ("weight", "bias", "running_mean", "running_var")
NOTE = (
    "The published code translates with dropout and the statistics of its batch; imported, it "
    "drops nothing and uses running statistics, so that images are those of test.py --eval."
)


def _halves_swapped(t: Tensor) -> Tensor:
    return torch.cat(t.chunk(2)[::-1])


# Of what a layer joins the authors have the encoder's features first, ours last.
JOINED = Form(_halves_swapped, _halves_swapped)


def read(states: list[StateDict], options: Options) -> Found | None:
    """Take a file's state dict for that of a U-Net."""
    mine = [state for state in states if f"{OUTERMOST}.0.weight" in state.tensors]
    state = chosen(mine, options.key)
    if state is None:
        return None
    if not any(key.endswith("running_mean") for key in state.tensors):
        raise InputError(
            "this U-Net has no batch norm (--norm instance or none), and ours has one: only those "
            "of pix2pix's default are imported."
        )
    return Found({state.path: part(_args(state))}, notes=[NOTE])


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:
    """Return the part of a release's file."""
    generator = networks.get("generator")
    return {"": part(vars(generator)["init_args"])} if isinstance(generator, UNet) else None


def part(init_args: dict[str, Any]) -> Part:
    """Return what is what: each level of the authors' `model` holds the next, smaller one."""
    levels = int(init_args["image_size"]).bit_length() - 1
    pairs = [
        Pair(f"{OUTERMOST}.0.weight", "generator.down.0.0.weight"),
        Pair(f"{OUTERMOST}.3.weight", "generator.output.weight", JOINED),
        Pair(f"{OUTERMOST}.3.bias", "generator.output.bias"),
    ]
    counts = {}
    level = f"{OUTERMOST}.1.model"
    for i in range(1, levels):
        innermost = i == levels - 1
        up, up_norm = (3, 4) if innermost else (5, 6)
        own_up = f"generator.up.{levels - 1 - i}"
        pairs.append(Pair(f"{level}.1.weight", f"generator.down.{i}.1.weight"))
        form = SAME if innermost else JOINED
        pairs.append(Pair(f"{level}.{up}.weight", f"{own_up}.1.weight", form))
        norms = [(up_norm, f"{own_up}.2")]
        norms += [] if innermost else [(2, f"generator.down.{i}.2")]
        for at, own in norms:
            pairs += [Pair(f"{level}.{at}.{key}", f"{own}.{key}") for key in NORM]
            counts[f"{level}.{at}.num_batches_tracked"] = torch.tensor(0)
        level += ".3.model"
    return Part({"generator": (UNet, init_args)}, pairs, inert=dict(counts))


def _args(state: StateDict) -> dict[str, Any]:
    levels, level = 1, f"{OUTERMOST}.1.model"
    while f"{level}.1.weight" in state.tensors:
        levels, level = levels + 1, f"{level}.3.model"
    width, in_channels, *_ = (*state.shape(f"{OUTERMOST}.0.weight"), 0, 0)
    return {
        "in_channels": in_channels,
        "out_channels": (*state.shape(f"{OUTERMOST}.3.weight"), 0, 0)[1],
        "image_size": 2**levels,
        "width": width,
    }


LAYOUT = Layout("pix2pix", "the U-Net of pix2pix", read, write, kind="translator")
