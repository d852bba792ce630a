"""BicycleGAN's `*_net_G.pth`, `*_net_E.pth` and `*_net_D.pth`: a state dict each."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lit_synth.networks.bicyclegan import (
    BicycleGANDiscriminator,
    BicycleGANEncoder,
    BicycleGANGenerator,
)
from lit_synth.releases.importers.layout import (
    Found,
    Layout,
    Maker,
    Options,
    Pair,
    Part,
    numbers,
    parts_of,
    recognised,
)
from lit_synth.releases.importers.states import StateDict

MAX_LEVELS = 10
LEVEL = "submodule."


def read(states: list[StateDict], options: Options) -> Found | None:
    """Take a file's state dicts for a BicycleGAN's networks, as far as they are there."""
    kinds: dict[str, Callable[[StateDict], Part]] = {
        "model.down.0.weight": lambda s: generator_part(_generator_args(s)),
        "fcVar.0.weight": lambda s: encoder_part(_encoder_args(s)),
        "model_0.0.weight": lambda s: discriminator_part(_discriminator_args(s)),
    }
    found = Found({})
    for key, state in recognised(kinds, states, options):
        found.parts[state.path] = kinds[key](state)
    return found if found.parts else None


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:
    """Return the parts of a release's file: of a generator alone, or `G`, `E` and `D`."""
    generator = networks.get("generator")
    if not isinstance(generator, BicycleGANGenerator):
        return None
    if vars(generator)["init_args"]["style_at"] != "all":
        return None
    makers: dict[str, Maker] = {
        "G": ("generator", BicycleGANGenerator, generator_part),
        "E": ("encoder", BicycleGANEncoder, encoder_part),
        "D": ("discriminator", BicycleGANDiscriminator, discriminator_part),
    }
    return parts_of(networks, makers)


def generator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a generator: each level of the authors' holds the next, smaller."""
    levels = int(init_args["image_size"]).bit_length() - 1
    widths = [init_args["width"] * min(8, 2**i) for i in range(levels)]
    pairs: list[Pair] = []
    cancelled: dict[str, int] = {}
    for i in range(levels):
        public = f"model.{LEVEL * i}"
        outermost, innermost = i == 0, i == levels - 1
        at = 0 if outermost else 1
        pairs.append(Pair(f"{public}down.{at}.weight", f"generator.down.{i}.{at}.weight"))
        if outermost or innermost:
            pairs.append(Pair(f"{public}down.{at}.bias", f"generator.down.{i}.{at}.bias"))
        else:
            cancelled[f"{public}down.1.bias"] = widths[i]
        if outermost:
            pairs += _both(f"{public}up.1", "generator.output")
        else:
            own = f"generator.up.{levels - 1 - i}.1.weight"
            pairs.append(Pair(f"{public}up.1.weight", own))
            cancelled[f"{public}up.1.bias"] = widths[i - 1]
    return Part({"generator": (BicycleGANGenerator, init_args)}, pairs, inert=_zeros(cancelled))


def encoder_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in an encoder."""
    pairs = [*_both("conv.0", "encoder.first"), *_both("fc.0", "encoder.mean")]
    pairs += _both("fcVar.0", "encoder.log_variance")
    cancelled: dict[str, int] = {}
    for i, channels in enumerate(init_args["widths"][:-1]):
        public, own = f"conv.{i + 1}", f"encoder.blocks.{i}"
        pairs.append(Pair(f"{public}.conv.2.weight", f"{own}.conv1.weight"))
        cancelled[f"{public}.conv.2.bias"] = channels
        pairs += _both(f"{public}.conv.5.0", f"{own}.conv2")
        pairs += _both(f"{public}.shortcut.1", f"{own}.shortcut")
    return Part({"encoder": (BicycleGANEncoder, init_args)}, pairs, inert=_zeros(cancelled))


def discriminator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a discriminator of several scales."""
    pairs: list[Pair] = []
    cancelled: dict[str, int] = {}
    layers = len(init_args["widths"])
    for scale in range(init_args["scales"]):
        public, own = f"model_{scale}", f"discriminator.scales.{scale}"
        pairs += _both(f"{public}.0", f"{own}.0")
        for i in range(1, layers):
            at = 3 * i - 1
            pairs.append(Pair(f"{public}.{at}.weight", f"{own}.{at}.weight"))
            cancelled[f"{public}.{at}.bias"] = max(1, round(init_args["widths"][i] / 2**scale))
        pairs += _both(f"{public}.{3 * layers - 1}", f"{own}.{3 * layers - 1}")
    inert = _zeros(cancelled)
    return Part({"discriminator": (BicycleGANDiscriminator, init_args)}, pairs, inert=inert)


def _both(public: str, own: str) -> list[Pair]:
    return [Pair(f"{public}.{key}", f"{own}.{key}") for key in ("weight", "bias")]


def _zeros(channels: Mapping[str, int]) -> dict[str, Tensor | None]:
    """Return biases that a norm cancels."""
    return {key: torch.zeros(n) for key, n in channels.items()}


def _generator_args(state: StateDict) -> dict[str, Any]:
    levels = 1
    while levels < MAX_LEVELS and f"model.{LEVEL * levels}down.1.weight" in state.tensors:
        levels += 1
    width, joined, *_ = (*state.shape("model.down.0.weight"), 0, 0)
    second = (*state.shape(f"model.{LEVEL}down.1.weight"), 0, 0)
    style_dim = second[1] - width
    return {
        "in_channels": joined - style_dim,
        "out_channels": (*state.shape("model.up.1.weight"), 0, 0)[1],
        "image_size": 2**levels,
        "width": width,
        "style_dim": style_dim,
        "style_at": "all",
    }


def _encoder_args(state: StateDict) -> dict[str, Any]:
    blocks = [f"conv.{i}.shortcut.1.weight" for i in numbers(state.tensors, "conv.")]
    widths = [state.shape(key)[0] for key in blocks if state.shape(key)]
    first, channels, *_ = (*state.shape("conv.0.weight"), 0, 0)
    return {
        "channels": channels,
        "widths": [first, *widths],
        "style_dim": (*state.shape("fcVar.0.weight"), 0)[0],
    }


def _discriminator_args(state: StateDict) -> dict[str, Any]:
    keys = [f"model_0.{i}.weight" for i in numbers(state.tensors, "model_0.")]
    widths = [state.shape(key)[0] for key in keys if state.shape(key)]
    return {
        "channels": (*state.shape("model_0.0.weight"), 0, 0)[1],
        "widths": widths[:-1],
        "scales": len(numbers(state.tensors, "model_")),
    }


LAYOUT = Layout("bicyclegan", "BicycleGAN", read, write, kind="translator")
