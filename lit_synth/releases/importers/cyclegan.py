"""CycleGAN's `latest_net_G.pth`, a ResNet (pytorch-CycleGAN-and-pix2pix)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.resnet_translator import ResNetTranslator
from lit_synth.releases.importers.layout import Found, Layout, Options, Pair, Part, chosen, numbers
from lit_synth.releases.importers.states import StateDict

FIRST_BLOCK = 10  # place of the first residual block in the authors' `model`
DROPOUT = (
    "The file's residual blocks have a dropout, which counts in training alone and is left out."
)


def read(states: list[StateDict], options: Options) -> Found | None:
    """Take a file's state dict for that of a ResNet."""
    mine = [state for state in states if state.shape("model.10.conv_block.1.weight")]
    state = chosen(mine, options.key)
    if state is None:
        return None
    made = part(_args(state))
    dropout = f"model.{FIRST_BLOCK}.conv_block.6.weight"
    second = 6 if len(state.shape(dropout)) == 4 else 5
    made = part(_args(state), second)
    return Found({state.path: made}, [DROPOUT] if second == 6 else [])


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:
    """Return the part of a release's file."""
    generator = networks.get("generator")
    if not isinstance(generator, ResNetTranslator):
        return None
    return {"": part(vars(generator)["init_args"])}


def part(init_args: dict[str, Any], second: int = 5) -> Part:
    """Return what is what: both list their layers, the authors' with paddings in between.

    Args:
        init_args: Of the network.
        second: Place of the second convolution in a block, 6 in blocks with dropout.
    """
    n, w = init_args["n_blocks"], init_args["width"]
    end = FIRST_BLOCK + n
    convs = {1: (0, w), 4: (3, 2 * w), 7: (6, 4 * w), end: (9 + n, 2 * w), end + 3: (12 + n, w)}
    places = {f"model.{at}": (f"body.{own}", c) for at, (own, c) in convs.items()}
    for b in range(n):
        for at, own in ((1, 0), (second, 3)):
            public = f"model.{FIRST_BLOCK + b}.conv_block.{at}"
            places[public] = (f"body.{9 + b}.residual.{own}", 4 * w)
    pairs = [Pair(f"{at}.weight", f"generator.{own}.weight") for at, (own, _) in places.items()]
    for key in ("weight", "bias"):
        pairs.append(Pair(f"model.{end + 7}.{key}", f"generator.body.{15 + n}.{key}"))
    inert: dict[str, Tensor | None] = {
        f"{at}.bias": torch.zeros(c) for at, (_, c) in places.items()
    }
    for at in places:  # statistics that PyTorch stored before 0.4 and did not use
        prefix, _, place = at.rpartition(".")
        for key in ("running_mean", "running_var"):
            inert[f"{prefix}.{int(place) + 1}.{key}"] = None
    return Part({"generator": (ResNetTranslator, init_args)}, pairs, inert=inert)


def _args(state: StateDict) -> dict[str, Any]:
    n_blocks = len({n for n in numbers(state.tensors, "model.") if state.shape(_block(n))})
    width, in_channels, *_ = (*state.shape("model.1.weight"), 0, 0)
    last = state.shape(f"model.{FIRST_BLOCK + n_blocks + 7}.weight")
    if any(key.endswith("num_batches_tracked") for key in state.tensors):
        raise InputError(
            "this ResNet has batch norms (--norm batch): only those with instance norm, "
            "CycleGAN's default, are imported."
        )
    return {
        "in_channels": in_channels,
        "out_channels": (*last, 0)[0],
        "n_blocks": n_blocks,
        "width": width,
    }


def _block(n: int) -> str:
    return f"model.{n}.conv_block.1.weight"


LAYOUT = Layout("cyclegan", "the ResNet of CycleGAN", read, write, kind="translator")
