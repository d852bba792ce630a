"""StarGAN v2's `*_nets_ema.ckpt`: generator, mapping network, style encoder, also discriminator."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.rebuilding import spec_of
from lit_synth.networks.stargan_v2 import (
    StarGANv2Discriminator,
    StarGANv2Encoder,
    StarGANv2Generator,
    StarGANv2Mapping,
    edges_kernel,
)
from lit_synth.releases.importers.layout import Found, Layout, Options, Pair, Part, numbers
from lit_synth.releases.importers.states import StateDict

PATHS = {
    "generator": "generator",
    "mapping_network": "mapping",
    "style_encoder": "style_encoder",
    "discriminator": "discriminator",
}
MAX_DOMAINS = 1000
PIXELS_TIMES_WIDTH = 2**14  # of the first layer, in every public file
BOTH = ("weight", "bias")


def read(states: list[StateDict], options: Options) -> Found | None:  # noqa: ARG001 - all are taken
    """Take a file's state dicts for the networks of a StarGAN v2."""
    mine = {state.path: state for state in states if state.path in PATHS}
    if "generator" not in mine or not mine["generator"].shape("from_rgb.weight"):
        return None
    if missing := [name for name in ("mapping_network", "style_encoder") if name not in mine]:
        raise InputError(
            f"this StarGAN v2 lacks {' and '.join(missing)}: give the file with all networks."
        )
    generator = _generator_args(mine["generator"])
    mapping = _mapping_args(mine["mapping_network"])
    sizes = {key: generator[key] for key in ("channels", "image_size", "width", "max_width")}
    judge = {**sizes, "n_domains": mapping["n_domains"]}
    encoder = {**judge, "style_dim": mapping["style_dim"]}
    args = {"generator": generator, "mapping_network": mapping, "style_encoder": encoder}
    args["discriminator"] = judge
    parts = {path: MAKERS[path](args[path]) for path in mine}
    names = [f"domain{k + 1}" for k in range(mapping["n_domains"])]
    note = (
        f"The file does not name its {len(names)} domains: {', '.join(names)} are its branches in "
        "their order, which is that of the sorted names of the folders of the training images."
    )
    return Found(parts, notes=[note], method=_method(parts, names, judge))


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:
    """Return the parts of a release's file, one a network."""
    found = {path: networks[name] for path, name in PATHS.items() if name in networks}
    fits = isinstance(found.get("generator"), StarGANv2Generator) and len(found) >= len(PATHS) - 1
    args = {path: vars(network)["init_args"] for path, network in found.items()} if fits else {}
    if not fits or any(each.get("fold", 1) != 1 for each in args.values()):
        return None
    return {path: MAKERS[path](each) for path, each in args.items()}


def generator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a generator."""
    net = _meta(StarGANv2Generator, init_args)
    renamed = {
        "first": "from_rgb", "encoder": "encode", "decoder": "decode", "norm": "to_rgb.0",
        "last": "to_rgb.2",
    }  # fmt: skip
    pairs = [
        Pair(_public(key, renamed), f"generator.{key}") for key in net.state_dict() if key != EDGES
    ]
    if init_args["high_pass"]:  # which the released file of faces lacks
        kernel = edges_kernel(init_args["high_pass"])
        pairs.append(Pair("hpf.filter", f"generator.{EDGES}", default=kernel))
    return Part({"generator": (StarGANv2Generator, init_args)}, pairs)


def mapping_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a mapping network."""
    return _part("mapping", StarGANv2Mapping, init_args, {"domains": "unshared"})


def encoder_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a style encoder."""
    return _part("style_encoder", StarGANv2Encoder, init_args, {"domains": "unshared"}, "shared")


def discriminator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a discriminator, whose branches are its last convolution."""
    with torch.device("meta"):
        trunk = StarGANv2Discriminator(**init_args).trunk
    last = {"domains": f"main.{len(trunk) - 1}", "trunk": "main"}
    return _part("discriminator", StarGANv2Discriminator, init_args, last, "trunk")


EDGES = "edges"
MAKERS: dict[str, Callable[[dict[str, Any]], Part]] = {
    "generator": generator_part,
    "mapping_network": mapping_part,
    "style_encoder": encoder_part,
    "discriminator": discriminator_part,
}


def _part(
    name: str,
    cls: type[nn.Module],
    init_args: dict[str, Any],
    renamed: dict[str, str],
    counted: str = "",
) -> Part:
    """Return what is what in a network; layers of `counted` have the numbers of one less there."""
    pairs = []
    for key in _meta(cls, init_args).state_dict():
        public = key
        if counted and key.startswith(f"{counted}."):
            _, number, rest = key.split(".", 2)
            public = f"{counted}.{int(number) - 1}.{rest}"
        pairs.append(Pair(_public(public, renamed), f"{name}.{key}"))
    return Part({name: (cls, init_args)}, pairs)


def _public(key: str, renamed: Mapping[str, str]) -> str:
    first, _, rest = key.partition(".")
    rest = rest.replace("shortcut", "conv1x1").replace("affine", "fc")
    return f"{renamed.get(first, first)}.{rest}"


def _meta(cls: type[nn.Module], init_args: dict[str, Any]) -> nn.Module:
    with torch.device("meta"):
        return cls(**init_args)


def _generator_args(state: StateDict) -> dict[str, Any]:
    width, channels, *_ = (*state.shape("from_rgb.weight"), 0, 0)
    blocks = numbers(state.tensors, "encode.")
    widest = (*state.shape(f"encode.{len(blocks) - 1}.conv2.weight"), 0)[0]
    size = PIXELS_TIMES_WIDTH // max(width, 1)
    if not 16 <= size <= 2048 or size * width != PIXELS_TIMES_WIDTH:
        raise InputError(
            f"this StarGAN v2's first layer has {width} channels: expected 2^14 by the size of "
            "the images, such as 64 for 256 px."
        )
    plain = size.bit_length() - 5 + 2  # blocks down to 16 pixels, and two there
    return {
        "channels": channels,
        "image_size": size,
        "width": width,
        "max_width": widest,
        "style_dim": (*state.shape("decode.0.norm1.fc.weight"), 0, 0)[1],
        "high_pass": _high_pass(state.tensors.get("hpf.filter")) if len(blocks) > plain else 0.0,
    }


def _high_pass(kernel: Tensor | None) -> float:
    """Return w of a kernel whose middle is 8 / w; the released file, which lacks it, has 1."""
    known = kernel is not None and kernel.shape == (3, 3) and kernel.device.type != "meta"
    middle = float(kernel[1, 1]) if known and kernel is not None else 8.0
    return 8.0 / middle if middle > 0 else 1.0


def _mapping_args(state: StateDict) -> dict[str, Any]:
    hidden, latent_dim, *_ = (*state.shape("shared.0.weight"), 0, 0)
    domains = len(numbers(state.tensors, "unshared."))
    if not 2 <= domains <= MAX_DOMAINS:
        raise InputError(f"this StarGAN v2 has {domains} domains: expected 2 to {MAX_DOMAINS}.")
    style_dim = (*state.shape("unshared.0.6.weight"), 0)[0]
    return {
        "n_domains": domains,
        "latent_dim": latent_dim,
        "style_dim": style_dim,
        "hidden": hidden,
    }


def _method(parts: Mapping[str, Part], names: list[str], judge: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a `StarGANv2` of these networks; a judge that is missing is new."""
    specs = {
        name: {"class_path": f"{cls.__module__}.{cls.__name__}", "init_args": args}
        for part in parts.values()
        for name, (cls, args) in part.networks.items()
    }
    specs.setdefault("discriminator", spec_of(_meta(StarGANv2Discriminator, judge)))
    stages = [{"name": "imported", "iterations": 1}]
    return {
        "class_path": "lit_synth.baselines.stargan_v2.StarGANv2",
        "init_args": {**specs, "domains": names, "stages": stages},
    }


LAYOUT = Layout("stargan-v2", "StarGAN v2", read, write, kind="translator")
