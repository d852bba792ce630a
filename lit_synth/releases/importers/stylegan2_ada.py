"""StyleGAN2 as NVIDIA's PyTorch code pickles it: {G, D, G_ema, ...}; StyleGAN3's code does too."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from lit_synth.releases.importers.layout import (
    Found,
    Layout,
    Options,
    Pair,
    Part,
    chosen,
    numbers,
    positive,
)
from lit_synth.releases.importers.states import StateDict

MOST = 1e6  # bound of features that makes sense
CLAMP_OF_STYLEGAN3 = 256.0  # where its code stores no `conv_clamp`
UNKNOWN = (
    "The file does not say whether features are kept within bounds (networks trained in float16: "
    "--clamp 256) nor how many images the discriminator compares (--mbstd_group)."
)


def read(states: list[StateDict], options: Options) -> Found | None:
    """Take a file's state dicts for a StyleGAN2's, if its generator is among them."""
    if any(state.shape("synthesis.input.freqs") for state in states):
        raise InputError(
            "this is a StyleGAN3 (with filtered nonlinearities): only StyleGAN2 networks are "
            "imported, which its code writes with --cfg=stylegan2."
        )
    generator = chosen([s for s in states if s.shape("synthesis.b4.const")], options.key)
    if generator is None:
        return None
    parts = {generator.path: generator_part(_generator_args(generator, options))}
    critics = [s for s in states if s.shape("b4.fc.weight") and s.shape("b4.conv.weight")]
    if len(critics) == 1:
        parts[critics[0].path] = discriminator_part(_discriminator_args(critics[0], options))
    return Found(parts, notes=[] if generator.settings else [UNKNOWN])


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:
    """Return the parts of a release's file: `G_ema`, and `D` if there is a critic."""
    generator, critic = networks.get("generator"), networks.get("critic")
    if not isinstance(generator, StyleGAN2Generator):
        return None
    parts = {"G_ema": generator_part(vars(generator)["init_args"])}
    if isinstance(critic, StyleGAN2Discriminator):
        parts["D"] = discriminator_part(vars(critic)["init_args"])
    return parts


def generator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a generator."""
    pairs = [Pair("synthesis.b4.const", "generator.synthesis.const")]
    filters = []
    for size in sizes(init_args["image_size"]):
        public, own = f"synthesis.b{size}", f"generator.synthesis.blocks.{size}"
        filters.append(public)
        for conv in convs(size):
            filters.append(f"{public}.{conv}")
            pairs += [*_affine(f"{public}.{conv}", f"{own}.{conv}")]
            for key in ("noise_strength", "noise_const"):
                pairs.append(Pair(f"{public}.{conv}.{key}", f"{own}.{conv}.{key}"))
        pairs += _affine(f"{public}.torgb", f"{own}.to_rgb")
    pairs.append(Pair("mapping.w_avg", "generator.w_avg"))
    pairs += _mapping("generator.mapping", init_args)
    return Part({"generator": (StyleGAN2Generator, init_args)}, pairs, _filters(filters))


def discriminator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a discriminator."""
    architecture, filters, pairs = init_args["architecture"], [], []
    largest_first = sizes(init_args["image_size"])[:0:-1]
    for i, size in enumerate(largest_first):
        filters.append(f"b{size}")
        layers = {"conv0": "conv0", "conv1": "conv1"}
        if i == 0 or architecture == "skip":
            layers["fromrgb"] = "from_rgb"
        for public, own in layers.items():
            filters.append(f"b{size}.{public}")
            pairs += _both(f"b{size}.{public}", f"critic.body.{size}.{own}")
        if architecture == "resnet":
            filters.append(f"b{size}.skip")
            pairs.append(Pair(f"b{size}.skip.weight", f"critic.body.{size}.shortcut.weight"))
    last = {"b4.conv": "conv", "b4.fc": "fc", "b4.out": "score"}
    filters.append("b4.conv")
    if architecture == "skip":
        last["b4.fromrgb"] = "from_rgb"
        filters.append("b4.fromrgb")
    for public, own in last.items():
        pairs += _both(public, f"critic.{own}")
    if init_args["num_classes"]:
        pairs += _mapping("critic.class_mapping", init_args)
    return Part({"critic": (StyleGAN2Discriminator, init_args)}, pairs, _filters(filters))


def sizes(image_size: int) -> list[int]:
    """Return 4, 8, ... up to the images' size."""
    return [4 * 2**i for i in range(image_size.bit_length() - 2)]


def convs(size: int) -> tuple[str, ...]:
    """Return the styled convolutions at a size."""
    return ("conv1",) if size == 4 else ("conv0", "conv1")


def channels_args(channels: Mapping[int, int]) -> dict[str, Any]:
    """Return the channel plan of size -> channels: min(base / size, most)."""
    return {
        "channel_base": max(size * n for size, n in channels.items()),
        "channel_max": max(channels.values()),
    }


def check_blocks(found: list[int]) -> int:
    """Return the largest of the sizes of blocks; InputError if they do not double from 4 on."""
    if found[:1] != [4] or any(b != 2 * a for a, b in pairwise(found)) or found[-1] > 1024:
        raise InputError(f"this StyleGAN2 has blocks at {found[:12]} pixels: expected 4, 8, ...")
    return found[-1]


def low_pass(gain: float = 1.0) -> Tensor:
    """Return the filter that all public StyleGAN2s have, times a gain."""
    row = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(row, row) / 64 * gain


def _filters(places: list[str]) -> dict[str, Tensor]:
    return {f"{place}.resample_filter": low_pass() for place in places}


def _both(public: str, own: str) -> list[Pair]:
    return [Pair(f"{public}.{key}", f"{own}.{key}") for key in ("weight", "bias")]


def _affine(public: str, own: str) -> list[Pair]:
    return [*_both(public, own), *_both(f"{public}.affine", f"{own}.style")]


def _mapping(own: str, init_args: dict[str, Any]) -> Iterator[Pair]:
    for i in range(init_args["mapping_layers"]):
        yield from _both(f"mapping.fc{i}", f"{own}.body.{i}")
    if init_args["num_classes"]:
        yield from _both("mapping.embed", f"{own}.class_embedding")


def _generator_args(state: StateDict, options: Options) -> dict[str, Any]:
    found = numbers(state.tensors, "synthesis.b")
    channels = {size: (*state.shape(f"synthesis.b{size}.conv1.bias"), 0)[0] for size in found}
    size = check_blocks(found)
    w_dim = (*state.shape("mapping.w_avg"), 0)[0]
    classes = (*state.shape("mapping.embed.weight"), 0, 0)[1]
    first = (*state.shape("mapping.fc0.weight"), 0, 0)[1]
    return {
        "image_size": size,
        "image_channels": (*state.shape(f"synthesis.b{size}.torgb.bias"), 0)[0],
        "latent_dim": first - w_dim if classes else first,
        "w_dim": w_dim,
        **channels_args(channels),
        "mapping_layers": len(numbers(state.tensors, "mapping.fc")),
        "num_classes": classes,
        "clamp": clamp_of(state.settings, options),
    }


def _discriminator_args(state: StateDict, options: Options) -> dict[str, Any]:
    found = numbers(state.tensors, "b")
    size = check_blocks(found)
    channels = {r: (*state.shape(f"b{r}.conv0.bias"), 0)[0] for r in found[1:]}
    last, joined, *_ = (*state.shape("b4.conv.weight"), 0, 0)
    classes = (*state.shape("mapping.embed.weight"), 0, 0)[1]
    shown = [r for r in found if state.shape(f"b{r}.fromrgb.weight")]
    plain = "skip" if len(shown) > 1 else "orig"
    epilogue = state.settings.get("epilogue_kwargs")
    epilogue = epilogue if isinstance(epilogue, dict) else {}
    return {
        "image_size": size,
        "image_channels": (*state.shape(f"b{size}.fromrgb.weight"), 0, 0)[1],
        **channels_args({**channels, 4: last}),
        "architecture": "resnet" if state.shape(f"b{size}.skip.weight") else plain,
        "num_classes": classes,
        "class_dim": state.shape("b4.out.bias")[0] if classes else None,
        "mapping_layers": len(numbers(state.tensors, "mapping.fc")) if classes else 8,
        "mbstd_group": _group(epilogue, options),
        "mbstd_channels": max(joined - last, 0),
        "clamp": clamp_of(state.settings, options),
    }


def _group(settings: Mapping[str, Any], options: Options) -> int:
    stored = positive(settings.get("mbstd_group_size"), 4)
    return stored if options.mbstd_group is None else options.mbstd_group


def clamp_of(settings: Mapping[str, Any], options: Options) -> float | None:
    """Return the bound of features; the stored one, unless an option gives another."""
    if options.clamp is not None:
        return options.clamp
    if not settings:
        return None
    ours = settings.get("synthesis_kwargs")
    stored = {**settings, **ours} if isinstance(ours, dict) else dict(settings)
    # What its generators are given besides, StyleGAN3's code stores beside z_dim, ADA's below it.
    of_stylegan3 = "channel_base" in settings and "z_dim" in settings
    default = CLAMP_OF_STYLEGAN3 if of_stylegan3 else None
    clamp = stored.get("conv_clamp", default)
    return float(clamp) if isinstance(clamp, int | float) and 0 < clamp < MOST else None


LAYOUT = Layout("stylegan2-ada", "NVIDIA's StyleGAN2-ADA for PyTorch", read, write)
