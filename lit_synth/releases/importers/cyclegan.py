"""CycleGAN's `latest_net_G.pth`, a ResNet (pytorch-CycleGAN-and-pix2pix)."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.resnet_translator import ResNetTranslator
from lit_synth.releases.importers.layout import Found, Layout, Options, Pair, Part, chosen, numbers
from lit_synth.releases.importers.states import StateDict

FIRST_BLOCK = 10  # place of the first residual block in the authors' `model`
BOTH = ("weight", "bias")
STATISTICS = ("running_mean", "running_var")  # stored by PyTorch before 0.4, and not used
DROPOUT = (
    "The file's residual blocks have a dropout, which counts in training alone and is left out."
)


def read(states: list[StateDict], options: Options) -> Found | None:
    """Take a file's state dict for that of a ResNet."""
    mine = [state for state in states if state.shape(_block(FIRST_BLOCK))]
    state = chosen(mine, options.key)
    if state is None:
        return None
    dropout = len(state.shape(f"model.{FIRST_BLOCK}.conv_block.6.weight")) == 4
    made = part(_args(state), second=6 if dropout else 5)
    return Found({state.path: made}, [DROPOUT] if dropout else [])


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
    n = init_args["n_blocks"]
    end = FIRST_BLOCK + n
    convs = {1: 0, 4: 3, 7: 6, end: 9 + n, end + 3: 12 + n}
    places = {f"model.{at}": f"body.{own}" for at, own in convs.items()}
    for b in range(n):
        block = f"model.{FIRST_BLOCK + b}.conv_block"
        places |= {f"{block}.1": f"body.{9 + b}.residual.0"}
        places |= {f"{block}.{second}": f"body.{9 + b}.residual.3"}
    pairs = [Pair(f"model.{end + 7}.{k}", f"generator.body.{15 + n}.{k}") for k in BOTH]
    inert: dict[str, Tensor | None] = {}
    for public, own in places.items():
        keys = BOTH if init_args["bias"] else ("weight",)
        pairs += [Pair(f"{public}.{key}", f"generator.{own}.{key}") for key in keys]
        norm, own_norm = _next(public), _next(own)
        if init_args["affine"]:
            pairs += [Pair(f"{norm}.{key}", f"generator.{own_norm}.{key}") for key in BOTH]
        inert |= dict.fromkeys(f"{norm}.{key}" for key in STATISTICS)
    return Part({"generator": (ResNetTranslator, init_args)}, pairs, inert=inert)


def _next(place: str) -> str:
    """Return the place of the layer that follows."""
    before, _, number = place.rpartition(".")
    return f"{before}.{int(number) + 1}"


def _args(state: StateDict) -> dict[str, Any]:
    if any(key.endswith("num_batches_tracked") for key in state.tensors):
        raise InputError(
            "this ResNet has batch norms, or instance norms with running statistics: only those "
            "with instance norm as CycleGAN's default are imported."
        )
    n_blocks = len([n for n in numbers(state.tensors, "model.") if state.shape(_block(n))])
    last = state.shape(f"model.{FIRST_BLOCK + n_blocks + 7}.weight")
    width, in_channels, *_ = (*state.shape("model.1.weight"), 0, 0)
    return {
        "in_channels": in_channels,
        "out_channels": (*last, 0)[0],
        "n_blocks": n_blocks,
        "width": width,
        "bias": "model.1.bias" in state.tensors,
        "affine": "model.2.weight" in state.tensors,
    }


def _block(n: int) -> str:
    return f"model.{n}.conv_block.1.weight"


LAYOUT = Layout("cyclegan", "the ResNet of CycleGAN", read, write, kind="translator")
