"""SPADE's `*_net_G.pth`, `*_net_D.pth` and `*_net_E.pth`: a state dict each."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from lit_synth.networks.spade import SPADEDiscriminator, SPADEEncoder, SPADEGenerator
from lit_synth.releases.importers.layout import (
    SAME,
    Form,
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

# Channels of the labels of published files -> classes, pixels of none, edges, enlarged once more.
PUBLISHED = {
    36: (34, True, True, True),
    184: (182, True, True, False),
    151: (150, True, False, False),
}
BLOCKS = ("head_0", "G_middle_0", "G_middle_1")
SPECTRAL = {"weight_orig": "original", "weight_u": "0._u", "weight_v": "0._v"}
STATISTICS_KEY = "param_free_norm"
STATISTICS = ("running_mean", "running_var")
NOTE = (
    "The file does not tell which channels of the labels are pixels of no class and edges of "
    "instances: all are taken for classes."
)


def read(states: list[StateDict], options: Options) -> Found | None:
    """Take a file's state dicts for a SPADE's networks, as far as they are there."""
    kinds: dict[str, Callable[[StateDict], Part]] = {
        "head_0.norm_0.mlp_shared.0.weight": lambda s: generator_part(_generator_args(s)),
        "discriminator_0.model0.0.weight": lambda s: discriminator_part(_discriminator_args(s)),
        "layer1.0.weight_orig": lambda s: encoder_part(_encoder_args(s)),
    }
    found = Found({})
    for key, state in recognised(kinds, states, options):
        found.parts[state.path] = kinds[key](state)
        if key.startswith("head") and state.shape(key)[1] not in PUBLISHED:
            found.notes.append(NOTE)
    return found if found.parts else None


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:
    """Return the parts of a release's file: of a generator alone, or `G`, `D` and `E`."""
    if not isinstance(networks.get("generator"), SPADEGenerator):
        return None
    makers: dict[str, Maker] = {
        "G": ("generator", SPADEGenerator, generator_part),
        "D": ("discriminator", SPADEDiscriminator, discriminator_part),
        "E": ("encoder", SPADEEncoder, encoder_part),
    }
    return parts_of(networks, makers)


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
        pairs += block(name, f"generator.blocks.{number}", learns, STATISTICS_KEY)
    if init_args["norm"] == "instance":
        pairs = [pair for pair in pairs if STATISTICS_KEY not in pair.public]
    return Part({"generator": (SPADEGenerator, init_args)}, pairs, inert=counts(pairs))


def block(
    public: str, own: str, learns_shortcut: bool, statistics: str, of_labels: Form = SAME
) -> list[Pair]:
    """Return what is what in a residual block of SPADE's or OASIS' generator.

    Args:
        public: Of the block there.
        own: Of the block here.
        learns_shortcut: Does it change the number of channels?
        statistics: How the norm without parameters is called there.
        of_labels: Form of the convolution that reads labels.
    """
    pairs = [*spectral(f"{public}.conv_0", f"{own}.conv1", True)]
    pairs += spectral(f"{public}.conv_1", f"{own}.conv2", True)
    norms = {"norm_0": ("norm1", "statistics1"), "norm_1": ("norm2", "statistics2")}
    if learns_shortcut:
        pairs += spectral(f"{public}.conv_s", f"{own}.shortcut", False)
        # It normalises what the first norm does, so that both have the same statistics.
        norms["norm_s"] = ("norm_shortcut", "statistics1")
    for name, (norm, of) in norms.items():
        layers = {"mlp_shared.0": ("shared", of_labels), "mlp_gamma": ("gamma", SAME)}
        for layer, (ours, form) in {**layers, "mlp_beta": ("beta", SAME)}.items():
            weight = f"{public}.{name}.{layer}", f"{own}.{norm}.{ours}"
            pairs.append(Pair(f"{weight[0]}.weight", f"{weight[1]}.weight", form))
            pairs.append(Pair(f"{weight[0]}.bias", f"{weight[1]}.bias"))
        pairs += [
            Pair(f"{public}.{name}.{statistics}.{key}", f"{own}.{of}.{key}") for key in STATISTICS
        ]
    return pairs


def spectral(public: str, own: str, bias: bool) -> list[Pair]:
    """Return what is what in a layer with torch's spectral norm, there in its older form."""
    keys = {k: f"parametrizations.weight.{v}" for k, v in SPECTRAL.items()}
    keys |= {"bias": "bias"} if bias else {}
    return [Pair(f"{public}.{k}", f"{own}.{v}") for k, v in keys.items()]


def counts(pairs: list[Pair]) -> dict[str, torch.Tensor | None]:
    """Return the counters of batches that stand beside running statistics."""
    return {
        pair.public.replace("running_mean", "num_batches_tracked"): torch.tensor(0)
        for pair in pairs
        if pair.public.endswith("running_mean")
    }


def discriminator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a discriminator of several scales."""
    pairs, last = [], len(init_args["widths"])
    for scale in range(init_args["scales"]):
        public, own = f"discriminator_{scale}", f"discriminator.scales.{scale}"
        for key in ("weight", "bias"):
            pairs.append(Pair(f"{public}.model0.0.{key}", f"{own}.first.{key}"))
            pairs.append(Pair(f"{public}.model{last}.0.{key}", f"{own}.head.{key}"))
        for i in range(1, last):
            pairs += spectral(f"{public}.model{i}.0.0", f"{own}.layers.{i - 1}.0", False)
    return Part({"discriminator": (SPADEDiscriminator, init_args)}, pairs)


def encoder_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in an encoder."""
    pairs = [
        Pair(f"{public}.{key}", f"encoder.{own}.{key}")
        for public, own in (("fc_mu", "mean"), ("fc_var", "log_variance"))
        for key in ("weight", "bias")
    ]
    for i in range(len(init_args["widths"])):
        pairs += spectral(f"layer{i + 1}.0", f"encoder.layers.{i}.0", False)
    return Part({"encoder": (SPADEEncoder, init_args)}, pairs)


def _generator_args(state: StateDict) -> dict[str, Any]:
    channels = (*state.shape("head_0.norm_0.mlp_shared.0.weight"), 0, 0)[1]
    classes, unknown, edges, more = PUBLISHED.get(channels, (channels, False, False, False))
    image_channels, width, *_ = (*state.shape("conv_img.weight"), 0, 0)
    ups = [f"up_{i}" for i in numbers(state.tensors, "up_")]
    widths = [(*state.shape(f"{name}.conv_1.bias"), 0)[0] for name in (*BLOCKS, *ups)]
    start = state.shape("fc.weight")
    latent_dim = start[1] if len(start) == 2 else None
    image_size = 256
    if latent_dim and widths[0]:
        image_size = int((start[0] / widths[0]) ** 0.5) * 2 ** (1 + more + len(ups))
    return {
        "num_classes": classes,
        "unknown": unknown,
        "edges": edges,
        "image_channels": image_channels,
        "image_size": image_size,
        "width": width,
        "multiples": [each // max(width, 1) for each in widths],
        "hidden": state.shape("head_0.norm_0.mlp_shared.0.weight")[0],
        "latent_dim": latent_dim,
        "norm": "batch"
        if state.shape(f"head_0.norm_0.{STATISTICS_KEY}.running_mean")
        else "instance",
        "more": more,
    }


def _discriminator_args(state: StateDict) -> dict[str, Any]:
    joined = (*state.shape("discriminator_0.model0.0.weight"), 0, 0)[1]
    channels = joined - 3
    classes, unknown, edges, _ = PUBLISHED.get(channels, (channels, False, False, False))
    layers = numbers(state.tensors, "discriminator_0.model")
    spectral_keys = [f"discriminator_0.model{i}.0.0.weight_orig" for i in layers]
    first = (*state.shape("discriminator_0.model0.0.weight"), 0)[0]
    return {
        "num_classes": classes,
        "unknown": unknown,
        "edges": edges,
        "image_channels": 3,
        "widths": [first, *(state.shape(key)[0] for key in spectral_keys if state.shape(key))],
        "scales": len(numbers(state.tensors, "discriminator_")),
    }


def _encoder_args(state: StateDict) -> dict[str, Any]:
    layers = [f"layer{i}.0.weight_orig" for i in numbers(state.tensors, "layer")]
    return {
        "image_channels": (*state.shape(layers[0]), 0, 0)[1],
        "widths": [(*state.shape(key), 0)[0] for key in layers],
        "latent_dim": (*state.shape("fc_mu.bias"), 0)[0],
    }


LAYOUT = Layout("spade", "SPADE", read, write, kind="translator")
