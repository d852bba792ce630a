"""Seg2Eye's `{epoch}_net_G.pth`, `{epoch}_net_D.pth` and `{epoch}_net_E.pth`: a state dict each."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from lit_synth.networks.parts.rebuilding import spec_of
from lit_synth.networks.seg2eye import Seg2EyeEncoder, Seg2EyeGenerator
from lit_synth.networks.spade import SPADEDiscriminator
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
from lit_synth.releases.importers.spade import (
    BLOCKS,
    STATISTICS,
    counts,
    discriminator_part,
    spectral,
)
from lit_synth.releases.importers.states import StateDict

OF_GENERATOR, OF_ENCODER = "head_0.norm_0.adain.linear.weight", "layer0.0.weight_orig"
OF_DISCRIMINATOR = "discriminator_0.model0.0.weight"
GREY = 1  # channels of the images, where a file does not tell them
NOTE = (
    "As in the authors' code, AdaIN does not normalise and the encoder has no activations between "
    "its convolutions; a file does not tell."
)


def read(states: list[StateDict], options: Options) -> Found | None:
    """Take a file's state dicts for Seg2Eye's networks, as far as they are there."""
    found = Found({})
    keys = (OF_GENERATOR, OF_ENCODER, OF_DISCRIMINATOR)
    for key, state in recognised(keys, states, options):
        if key == OF_GENERATOR:
            found.parts[state.path] = generator_part(_generator_args(state))
        elif key == OF_ENCODER:
            found.parts[state.path] = encoder_part(_encoder_args(state))
        # A discriminator is SPADE's, and alone it does not say that its images are grey.
        elif found.parts:
            found.parts[state.path] = discriminator_part(_discriminator_args(state))
    if not found.parts:
        return None
    found.notes.append(NOTE)
    found.method = _method(found.parts.values())
    return found


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:
    """Return the parts of a release's file: of one network alone, or `G`, `E` and `D`."""
    makers: dict[str, Maker] = {
        "G": ("generator", Seg2EyeGenerator, generator_part),
        "E": ("encoder", Seg2EyeEncoder, encoder_part),
    }
    if not any(isinstance(networks.get(name), cls) for name, cls, _ in makers.values()):
        return None
    return parts_of(
        networks, {**makers, "D": ("discriminator", SPADEDiscriminator, discriminator_part)}
    )


def generator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a generator: blocks have names there, and numbers here."""
    widths = [init_args["width"] * each for each in init_args["multiples"]]
    names = [*BLOCKS, *(f"up_{i}" for i in range(len(widths) - len(BLOCKS)))]
    pairs = [
        Pair(f"{public}.{key}", f"generator.{own}.{key}")
        for public, own in (("fc", "start"), ("conv_img", "to_image"))
        for key in ("weight", "bias")
    ]
    for number, name in enumerate(names):
        learns = widths[max(number - 1, 0)] != widths[number]
        pairs += _block(name, f"generator.blocks.{number}", learns)
    if init_args["norm"] == "instance":
        pairs = [pair for pair in pairs if "param_free_norm" not in pair.public]
    return Part({"generator": (Seg2EyeGenerator, init_args)}, pairs, inert=counts(pairs))


def _block(public: str, own: str, learns_shortcut: bool) -> list[Pair]:
    pairs = [*spectral(f"{public}.conv_0", f"{own}.conv1", True)]
    pairs += spectral(f"{public}.conv_1", f"{own}.conv2", True)
    norms = {"norm_0": "norm1", "norm_1": "norm2"}
    if learns_shortcut:
        pairs += spectral(f"{public}.conv_s", f"{own}.shortcut", False)
        norms["norm_s"] = "norm_shortcut"
    layers = {
        "spade.mlp_shared.0": "spade.shared",
        "spade.mlp_gamma": "spade.gamma",
        "spade.mlp_beta": "spade.beta",
        "adain.linear": "adain",
    }
    for theirs, ours in norms.items():
        pairs += [
            Pair(f"{public}.{theirs}.{layer}.{key}", f"{own}.{ours}.{name}.{key}")
            for layer, name in layers.items()
            for key in ("weight", "bias")
        ]
        pairs += [
            Pair(f"{public}.{theirs}.spade.param_free_norm.{key}", f"{own}.{ours}.statistics.{key}")
            for key in STATISTICS
        ]
    return pairs


def encoder_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in an encoder; nothing reads its second linear layer."""
    pairs = [Pair(f"fc_mu.{key}", f"encoder.to_style.{key}") for key in ("weight", "bias")]
    for i in range(len(init_args["widths"])):
        pairs += spectral(f"layer{i}.0", f"encoder.layers.{i}.0", False)
    style_dim, flat = init_args["style_dim"], 16 * init_args["widths"][-1]
    unread = {"fc_var.weight": torch.zeros(style_dim, flat), "fc_var.bias": torch.zeros(style_dim)}
    return Part({"encoder": (Seg2EyeEncoder, init_args)}, pairs, inert={**unread})


def _method(parts: Iterable[Part]) -> dict[str, Any] | None:
    """Return the settings of a `Seg2Eye` of generator and encoder; a judge may be new."""
    networks = {name: spec for part in parts for name, spec in part.networks.items()}
    if not {"generator", "encoder"} <= networks.keys():
        return None
    specs = {
        name: {"class_path": f"{cls.__module__}.{cls.__name__}", "init_args": args}
        for name, (cls, args) in networks.items()
    }
    of_generator = networks["generator"][1]
    judge = SPADEDiscriminator(
        of_generator["num_classes"], image_channels=of_generator["image_channels"]
    )
    return {
        "class_path": "lit_synth.methods.seg2eye.Seg2Eye",
        "init_args": {
            "discriminator": spec_of(judge),
            **specs,
            "stages": [{"name": "imported", "iterations": 1}],
        },
    }


def _generator_args(state: StateDict) -> dict[str, Any]:
    shared = "head_0.norm_0.spade.mlp_shared.0.weight"
    image_channels, width, *_ = (*state.shape("conv_img.weight"), 0, 0)
    ups = [f"up_{i}" for i in numbers(state.tensors, "up_")]
    widths = [(*state.shape(f"{name}.conv_1.bias"), 0)[0] for name in (*BLOCKS, *ups)]
    statistics = state.shape("head_0.norm_0.spade.param_free_norm.running_mean")
    return {
        "num_classes": (*state.shape(shared), 0, 0)[1],
        "image_channels": image_channels,
        "width": width,
        "multiples": [each // max(width, 1) for each in widths],
        "hidden": (*state.shape(shared), 0)[0],
        "style_dim": (*state.shape(OF_GENERATOR), 0, 0)[1],
        "norm": "batch" if statistics else "instance",
        "normalised": False,
        "sequential": False,
        "mask_in_norms": True,
    }


def _encoder_args(state: StateDict) -> dict[str, Any]:
    layers = [f"layer{i}.0.weight_orig" for i in numbers(state.tensors, "layer")]
    return {
        "image_channels": (*state.shape(layers[0]), 0, 0)[1],
        "widths": [(*state.shape(key), 0)[0] for key in layers],
        "style_dim": (*state.shape("fc_mu.bias"), 0)[0],
        "activations": False,
    }


def _discriminator_args(state: StateDict) -> dict[str, Any]:
    first, joined, *_ = (*state.shape(OF_DISCRIMINATOR), 0, 0)
    layers = numbers(state.tensors, "discriminator_0.model")
    spectral_keys = [f"discriminator_0.model{i}.0.0.weight_orig" for i in layers]
    return {
        "num_classes": joined - GREY,
        "unknown": False,
        "edges": False,
        "image_channels": GREY,
        "widths": [first, *(state.shape(key)[0] for key in spectral_keys if state.shape(key))],
        "scales": len(numbers(state.tensors, "discriminator_")),
    }


LAYOUT = Layout("seg2eye", "Seg2Eye", read, write, kind="translator")
