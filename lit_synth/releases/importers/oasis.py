"""OASIS' `best_EMA.pth`, `best_G.pth` and `best_D.pth`: a state dict each."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from lit_synth.networks.oasis import OASISDiscriminator, OASISGenerator
from lit_synth.releases.importers.layout import (
    Form,
    Found,
    Layout,
    Options,
    Pair,
    Part,
    chosen,
    numbers,
)
from lit_synth.releases.importers.spade import block, counts, spectral
from lit_synth.releases.importers.states import StateDict

NOISE = 64  # channels of the published noise
NOTE = (
    "The file's label 0 is pixels of no class: give them as 255, and all other labels less 1. "
    f"{NOISE} channels are taken for noise."
)


def read(states: list[StateDict], options: Options) -> Found | None:
    """Take a file's state dicts for an OASIS' networks, as far as they are there."""
    found = Found({}, notes=[NOTE])
    generator = chosen(
        [state for state in states if state.shape("body.0.norm_0.mlp_shared.0.weight")], options.key
    )
    if generator is not None:
        found.parts[generator.path] = generator_part(_generator_args(generator))
    judges = [state for state in states if state.shape("layer_up_last.weight")]
    if len(judges) == 1:
        found.parts[judges[0].path] = discriminator_part(_discriminator_args(judges[0]))
    return found if found.parts else None


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:
    """Return the parts of a release's file: of a generator alone, or `G` and `D`."""
    generator, judge = networks.get("generator"), networks.get("discriminator")
    if not isinstance(generator, OASISGenerator):
        return None
    part = generator_part(vars(generator)["init_args"])
    if not isinstance(judge, OASISDiscriminator):
        return {"": part}
    return {"G": part, "D": discriminator_part(vars(judge)["init_args"])}


def generator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a generator."""
    form = _of_labels(init_args)
    widths = [init_args["width"] * each for each in init_args["multiples"]]
    pairs = [
        Pair("fc.weight", "generator.start.weight", form),
        Pair("fc.bias", "generator.start.bias"),
        Pair("conv_img.weight", "generator.to_image.weight"),
        Pair("conv_img.bias", "generator.to_image.bias"),
    ]
    for i, width in enumerate(widths):
        learns = widths[max(i - 1, 0)] != width
        pairs += block(f"body.{i}", f"generator.blocks.{i}", learns, "first_norm", form)
    return Part({"generator": (OASISGenerator, init_args)}, pairs, inert=counts(pairs))


def discriminator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a discriminator: `conv1` stands behind what comes before it there."""
    widths = init_args["widths"]
    down = [init_args["image_channels"], *widths]
    mirrored = [*widths[-2::-1], init_args["last_width"]]
    joined = [widths[-1], *(2 * each for each in mirrored[:-1])]
    blocks = [(f"down.{i}", int(i > 0), a != b) for i, (a, b) in enumerate(pairwise(down))]
    blocks += [(f"up.{i}", 2, joined[i] != each) for i, each in enumerate(mirrored)]
    pairs = []
    for name, place, learns in blocks:
        public, own = f"body_{name}", f"discriminator.{name}"
        pairs += spectral(f"{public}.conv1.{place}", f"{own}.conv1", True)
        pairs += spectral(f"{public}.conv2.1", f"{own}.conv2", True)
        pairs += spectral(f"{public}.conv_s", f"{own}.shortcut", True) if learns else []
    sizes = [1, int(init_args["unknown"]), init_args["num_classes"]]
    form = _moved(sizes, (0, 2, 1), dim=0)
    pairs += [
        Pair(f"layer_up_last.{k}", f"discriminator.head.{k}", form) for k in ("weight", "bias")
    ]
    return Part({"discriminator": (OASISDiscriminator, init_args)}, pairs)


def _of_labels(init_args: dict[str, Any]) -> Form:
    """Return the form of what reads noise, pixels of no class and classes, here in reverse."""
    sizes = [init_args["noise_dim"] or 0, int(init_args["unknown"]), init_args["num_classes"]]
    return _moved(sizes, (2, 1, 0), dim=1)


def _moved(sizes: list[int], order: tuple[int, ...], dim: int) -> Form:
    """Return the form of tensors whose parts along a dimension have another order here."""
    back = tuple(order.index(i) for i in range(len(order)))
    moved = [sizes[i] for i in order]

    def to_own(t: torch.Tensor) -> torch.Tensor:
        parts = torch.split(t, sizes, dim)
        return torch.cat([parts[i] for i in order], dim)

    def to_public(t: torch.Tensor) -> torch.Tensor:
        parts = torch.split(t, moved, dim)
        return torch.cat([parts[i] for i in back], dim)

    return Form(to_own, to_public)


def _generator_args(state: StateDict) -> dict[str, Any]:
    hidden, joined, *_ = (*state.shape("body.0.norm_0.mlp_shared.0.weight"), 0, 0)
    noise = NOISE if joined > NOISE + 1 else None
    blocks = numbers(state.tensors, "body.")
    widths = [(*state.shape(f"body.{i}.conv_1.bias"), 0)[0] for i in blocks]
    width = max(widths[-1], 1)
    return {
        "num_classes": joined - (noise or 0) - 1,
        "unknown": True,
        "out_channels": (*state.shape("conv_img.bias"), 0)[0],
        "width": width,
        "multiples": [each // width for each in widths],
        "hidden": hidden,
        "noise_dim": noise,
        "tanh": True,
    }


def _discriminator_args(state: StateDict) -> dict[str, Any]:
    labels, last_width, *_ = (*state.shape("layer_up_last.weight"), 0, 0)
    blocks = numbers(state.tensors, "body_down.")
    return {
        "num_classes": labels - 2,
        "unknown": True,
        "image_channels": (*state.shape("body_down.0.conv1.0.weight_orig"), 0, 0)[1],
        "widths": [(*state.shape(f"body_down.{i}.conv2.1.bias"), 0)[0] for i in blocks],
        "last_width": last_width,
    }


LAYOUT = Layout("oasis", "OASIS", read, write, kind="translator")
