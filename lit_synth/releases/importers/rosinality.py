"""StyleGAN2 of rosinality: {g_ema, latent_avg}, or {g, d, g_ema, ...} as its training saves it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lit_synth.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from lit_synth.releases.importers.layout import (
    Found,
    Layout,
    Options,
    Pair,
    Part,
    chosen,
    numbers,
    reshaped,
)
from lit_synth.releases.importers.states import StateDict
from lit_synth.releases.importers.stylegan2_ada import (
    channels_args,
    check_blocks,
    convs,
    low_pass,
    sizes,
)
from lit_synth.releases.importers.tensors import as_tensor

LATENT_AVG = "../latent_avg"  # it stands beside the state dict
NO_NOISE = "The file has no noise maps: those of the release are drawn anew."


def read(states: list[StateDict], options: Options) -> Found | None:
    """Take a file's state dicts for a StyleGAN2's, if its generator is among them."""
    generator = chosen([state for state in states if _is_generator(state)], options.key)
    if generator is None:
        return None
    average = as_tensor(generator.beside.get("latent_avg"))
    tensors = {**generator.tensors, **({} if average is None else {LATENT_AVG: average})}
    parts = {generator.path: generator_part(_generator_args(generator))}
    critics = [s for s in states if s.shape("final_linear.1.weight") and s.path != "d_ema"]
    if len(critics) == 1:
        parts[critics[0].path] = discriminator_part(_discriminator_args(critics[0], options))
    notes = [] if any(key.startswith("noises.") for key in tensors) else [NO_NOISE]
    return Found(parts, notes, {generator.path: tensors}, estimate_w=average is None)


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:
    """Return the parts of a release's file; None where this code knows no such network."""
    generator, critic = networks.get("generator"), networks.get("critic")
    if not isinstance(generator, StyleGAN2Generator) or generator.num_classes:
        return None
    parts = {"g_ema": generator_part(vars(generator)["init_args"])}
    if isinstance(critic, StyleGAN2Discriminator):
        if critic.architecture != "resnet":
            return None
        parts["d"] = discriminator_part(vars(critic)["init_args"])
    return parts


def generator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a generator."""
    pairs, constants = [], {}
    for i in range(init_args["mapping_layers"]):
        pairs += _both(f"style.{i + 1}", f"generator.mapping.body.{i}")
    const = "generator.synthesis.const"
    c = _channels(init_args)
    pairs.append(Pair("input.input", const, reshaped((1, c[4], 4, 4), (c[4], 4, 4))))
    noise = torch.Generator().manual_seed(0)
    number = 0
    for j, size in enumerate(sizes(init_args["image_size"])):
        own = f"generator.synthesis.blocks.{size}"
        for conv in convs(size):
            public = "conv1" if size == 4 else f"convs.{number - 1}"
            c_in = c[size // 2] if conv == "conv0" else c[size]
            pairs += _styled(public, f"{own}.{conv}", (c[size], c_in, 3, 3))
            maps = torch.randn(1, 1, size, size, generator=noise)
            form = reshaped((1, 1, size, size), (size, size))
            pairs.append(Pair(f"noises.noise_{number}", f"{own}.{conv}.noise_const", form, maps))
            number += 1
            if conv == "conv0":
                constants[f"{public}.conv.blur.kernel"] = low_pass(4.0)
        rgb = "to_rgb1" if size == 4 else f"to_rgbs.{j - 1}"
        pairs += _to_rgb(rgb, f"{own}.to_rgb", init_args["image_channels"], c[size])
        if size > 4:
            constants[f"{rgb}.upsample.kernel"] = low_pass(4.0)
    pairs.append(Pair(LATENT_AVG, "generator.w_avg", default=torch.zeros(init_args["w_dim"])))
    return Part({"generator": (StyleGAN2Generator, init_args)}, pairs, constants)


def discriminator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a discriminator."""
    largest_first = sizes(init_args["image_size"])[:0:-1]
    shown = f"critic.body.{largest_first[0]}.from_rgb"
    pairs = [Pair("convs.0.0.weight", f"{shown}.weight"), Pair("convs.0.1.bias", f"{shown}.bias")]
    constants = {}
    for k, size in enumerate(largest_first, 1):
        own = f"critic.body.{size}"
        pairs += [
            Pair(f"convs.{k}.conv1.0.weight", f"{own}.conv0.weight"),
            Pair(f"convs.{k}.conv1.1.bias", f"{own}.conv0.bias"),
            Pair(f"convs.{k}.conv2.1.weight", f"{own}.conv1.weight"),
            Pair(f"convs.{k}.conv2.2.bias", f"{own}.conv1.bias"),
            Pair(f"convs.{k}.skip.1.weight", f"{own}.shortcut.weight"),
        ]
        for branch in ("conv2", "skip"):
            constants[f"convs.{k}.{branch}.0.kernel"] = low_pass()
    pairs += [
        Pair("final_conv.0.weight", "critic.conv.weight"),
        Pair("final_conv.1.bias", "critic.conv.bias"),
        *_both("final_linear.0", "critic.fc"),
        *_both("final_linear.1", "critic.score"),
    ]
    return Part({"critic": (StyleGAN2Discriminator, init_args)}, pairs, constants)


def _both(public: str, own: str) -> list[Pair]:
    return [Pair(f"{public}.{key}", f"{own}.{key}") for key in ("weight", "bias")]


def _styled(public: str, own: str, shape: tuple[int, ...]) -> list[Pair]:
    return [
        Pair(f"{public}.conv.weight", f"{own}.weight", reshaped((1, *shape), shape)),
        *_both(f"{public}.conv.modulation", f"{own}.style"),
        Pair(f"{public}.noise.weight", f"{own}.noise_strength", reshaped((1,), ())),
        Pair(f"{public}.activate.bias", f"{own}.bias"),
    ]


def _to_rgb(public: str, own: str, colours: int, channels: int) -> list[Pair]:
    shape = (colours, channels, 1, 1)
    return [
        Pair(f"{public}.bias", f"{own}.bias", reshaped((1, colours, 1, 1), (colours,))),
        Pair(f"{public}.conv.weight", f"{own}.weight", reshaped((1, *shape), shape)),
        *_both(f"{public}.conv.modulation", f"{own}.style"),
    ]


def _channels(init_args: dict[str, Any]) -> dict[int, int]:
    base, most = init_args["channel_base"], init_args["channel_max"]
    return {size: min(base // size, most) for size in sizes(init_args["image_size"])}


def _is_generator(state: StateDict) -> bool:
    return bool(state.shape("input.input") and state.shape("conv1.conv.modulation.weight"))


def _generator_args(state: StateDict) -> dict[str, Any]:
    n = len(numbers(state.tensors, "to_rgbs."))
    check_blocks([4 * 2**i for i in range(n + 1)])
    channels = {4: (*state.shape("conv1.activate.bias"), 0)[0]}
    for i in range(n):
        bias = state.shape(f"convs.{2 * i + 1}.activate.bias")
        channels[8 * 2**i] = (*bias, 0)[0]
    w_dim, latent_dim, *_ = (*state.shape("style.1.weight"), 0, 0)
    return {
        "image_size": 4 * 2**n,
        "image_channels": (*state.shape("to_rgb1.bias"), 0, 0)[1],
        "latent_dim": latent_dim,
        "w_dim": w_dim,
        **channels_args(channels),
        "mapping_layers": len(numbers(state.tensors, "style.")),
        "num_classes": 0,
        "clamp": None,
    }


def _discriminator_args(state: StateDict, options: Options) -> dict[str, Any]:
    n = len(numbers(state.tensors, "convs.")) - 1
    check_blocks([4 * 2**i for i in range(n + 1)])
    last, joined, *_ = (*state.shape("final_conv.0.weight"), 0, 0)
    channels = {4: last}
    for k in range(1, n + 1):
        channels[4 * 2 ** (n + 1 - k)] = (*state.shape(f"convs.{k}.conv1.1.bias"), 0)[0]
    return {
        "image_size": 4 * 2**n,
        "image_channels": (*state.shape("convs.0.0.weight"), 0, 0)[1],
        **channels_args(channels),
        "architecture": "resnet",
        "mapping_layers": 8,
        "num_classes": 0,
        "class_dim": None,
        "mbstd_group": 4 if options.mbstd_group is None else options.mbstd_group,
        "mbstd_channels": max(joined - last, 0),
        "clamp": None,
    }


LAYOUT = Layout("rosinality", "StyleGAN2 of rosinality", read, write)
