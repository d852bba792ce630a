"""MUNIT's `gen_*.pt`: {a, b}, each with both encoders and the decoder of a domain."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.munit import (
    ContentEncoder,
    MultiScaleDiscriminator,
    StyleDecoder,
    StyleEncoder,
)
from lit_synth.networks.parts.rebuilding import spec_of
from lit_synth.releases.importers.layout import (
    SAME,
    Form,
    Found,
    Layout,
    Options,
    Pair,
    Part,
    numbers,
)
from lit_synth.releases.importers.states import StateDict

MAX_LEVELS = 8
DOMAINS = ("a", "b")
CONTENT, STYLE, DECODER = "content_encoder", "style_encoder", "decoder"


def read(states: list[StateDict], options: Options) -> Found | None:  # noqa: ARG001 - both are taken
    """Take a file's state dicts for the two generators of a MUNIT."""
    mine = {state.path: state for state in states if state.shape("enc_content.model.0.conv.weight")}
    if not mine or mine.keys() != set(DOMAINS):
        return None
    parts = {path: part(_args(state), path) for path, state in mine.items()}
    return Found(parts, method=_method(parts["a"]))


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:
    """Return the parts of a release's file, one a domain."""
    domains = [name.removeprefix(f"{DECODER}_") for name in networks if name.startswith(DECODER)]
    if len(domains) != len(DOMAINS):
        return None
    parts = {}
    for path, domain in zip(DOMAINS, domains, strict=True):
        held = {kind: networks.get(f"{kind}_{domain}") for kind in (CONTENT, STYLE, DECODER)}
        args = {kind: vars(net)["init_args"] for kind, net in held.items() if net is not None}
        fits = (
            isinstance(held[CONTENT], ContentEncoder)
            and isinstance(held[STYLE], StyleEncoder)
            and isinstance(held[DECODER], StyleDecoder)
        )
        if not fits or _ours_alone(args):
            return None
        parts[path] = part(args, domain)
    return parts


def _ours_alone(args: dict[str, dict[str, Any]]) -> bool:
    """Tell whether networks are of a form that the public code does not have."""
    decoder = args[DECODER]
    return decoder["pool"] or decoder["shared_style"] or decoder["norm"] != "layer"


def part(args: dict[str, dict[str, Any]], domain: str) -> Part:
    """Return what is what in the generator of a domain.

    Args:
        args: Constructor arguments of `content_encoder`, `style_encoder` and `decoder`.
        domain: Its name in the release.
    """
    content, style, decoder = (f"{kind}_{domain}" for kind in (CONTENT, STYLE, DECODER))
    levels = args[CONTENT]["levels"]
    normed = _before_norms(args[CONTENT], content, decoder)
    pairs = [Pair(f"{public}.conv.weight", own) for public, (own, _) in normed.items()]
    pairs += _style_encoder(style, len(args[STYLE]["widths"]))
    pairs += _enlargements(decoder, levels)
    pairs += _style_layers(decoder, args[CONTENT]["width"] * 2 ** (levels - 1))
    inert: dict[str, Tensor | None] = {}
    constants: dict[str, Tensor] = {}
    for public, (_, channels) in normed.items():
        inert[f"{public}.conv.bias"] = torch.zeros(channels)  # which the norm cancels
        statistics = f"{public}.norm.running_mean", f"{public}.norm.running_var"
        if public.startswith("dec"):  # AdaIN's, which stay as they started
            constants |= zip(statistics, (torch.zeros(channels), torch.ones(channels)), strict=True)
        else:
            inert |= dict.fromkeys(statistics)  # stored by PyTorch 0.3, and not used
    networks: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
        content: (ContentEncoder, args[CONTENT]),
        style: (StyleEncoder, args[STYLE]),
        decoder: (StyleDecoder, args[DECODER]),
    }
    return Part(networks, pairs, constants, inert)


def _before_norms(args: dict[str, Any], content: str, decoder: str) -> dict[str, tuple[str, int]]:
    """Return the layers with an instance norm behind: public place -> our weight, channels."""
    width, levels = args["width"], args["levels"]
    coded = width * 2 ** (levels - 1)
    found = {
        f"enc_content.model.{i}": (f"{content}.levels.{i}.0.weight", width * 2**i)
        for i in range(levels)
    }
    for b in range(args["n_blocks"]):
        for j in range(2):
            encoding = f"{content}.blocks.{b}.residual.{3 * j}.weight"
            found[f"enc_content.model.{levels}.model.{b}.model.{j}"] = encoding, coded
            decoding = f"{decoder}.blocks.{b}.conv{j + 1}.weight"
            found[f"dec.model.0.model.{b}.model.{j}"] = decoding, coded
    return found


def _both(public: str, own: str, form: Form = SAME) -> list[Pair]:
    return [Pair(f"{public}.{key}", f"{own}.{key}", form) for key in ("weight", "bias")]


def _style_encoder(network: str, layers: int) -> list[Pair]:
    pairs = [
        pair
        for i in range(layers)
        for pair in _both(f"enc_style.model.{i}.conv", f"{network}.body.{2 * i}")
    ]
    return [*pairs, *_both(f"enc_style.model.{layers + 1}", f"{network}.head")]


def _enlargements(network: str, levels: int) -> list[Pair]:
    pairs = []
    for i in range(levels - 1):
        public, own = f"dec.model.{2 * i + 2}", f"{network}.levels.{i}"
        pairs += [
            *_both(f"{public}.conv", f"{own}.0"),
            Pair(f"{public}.norm.gamma", f"{own}.1.weight"),
            Pair(f"{public}.norm.beta", f"{own}.1.bias"),
        ]
    return [*pairs, *_both(f"dec.model.{2 * levels - 1}.conv", f"{network}.last")]


def _style_layers(network: str, channels: int) -> list[Pair]:
    """Return the pairs of the linear layers; the last makes shifts before scales, ours after."""
    swapped = Form(lambda t: _swapped(t, channels), lambda t: _swapped(t, channels))
    forms = (SAME, SAME, swapped)
    return [
        pair
        for i, form in enumerate(forms)
        for pair in _both(f"mlp.model.{i}.fc", f"{network}.style.body.{2 * i}", form)
    ]


def _swapped(t: Tensor, channels: int) -> Tensor:
    return t.reshape(-1, 2, channels, *t.shape[1:]).flip(1).flatten(0, 2)


def _args(state: StateDict) -> dict[str, dict[str, Any]]:
    levels = max(numbers(state.tensors, "enc_content.model."))
    first = state.shape("enc_content.model.0.conv.weight")[0]
    last = state.shape(f"enc_content.model.{levels - 1}.conv.weight")
    if not 1 <= levels <= MAX_LEVELS or last[:1] != (first * 2 ** (levels - 1),):
        raise InputError(
            f"this MUNIT's content encoder has {levels} levels: expected 1 to {MAX_LEVELS}, each "
            "with twice the channels of the one before."
        )
    n_blocks = len(numbers(state.tensors, f"enc_content.model.{levels}.model."))
    layers = [f"enc_style.model.{i}.conv.weight" for i in range(12)]
    widths = [state.shape(key)[0] for key in layers if len(state.shape(key)) == 4]
    width, channels, *_ = (*state.shape("enc_content.model.0.conv.weight"), 0, 0)
    style_dim = (*state.shape(f"enc_style.model.{len(widths) + 1}.weight"), 0)[0]
    content = {"channels": channels, "width": width, "levels": levels, "n_blocks": n_blocks}
    return {
        CONTENT: {**content, "pool": False},
        STYLE: {"channels": channels, "widths": widths, "style_dim": style_dim},
        DECODER: {
            **content,
            "pool": False,
            "style_dim": style_dim,
            "mlp_dim": (*state.shape("mlp.model.0.fc.weight"), 0)[0],
            "shared_style": False,
            "norm": "layer",
        },
    }


def _method(of_a: Part) -> dict[str, Any]:
    """Return the settings of a `MUNIT` of these networks, which translates; its judges are new."""
    specs = {
        name.rpartition("_")[0]: {
            "class_path": f"{cls.__module__}.{cls.__name__}",
            "init_args": args,
        }
        for name, (cls, args) in of_a.networks.items()
    }
    judge = spec_of(MultiScaleDiscriminator(of_a.networks["content_encoder_a"][1]["channels"]))
    return {
        "class_path": "lit_synth.baselines.munit.MUNIT",
        "init_args": {
            **specs,
            "discriminator": judge,
            "stages": [{"name": "imported", "iterations": 1}],
        },
    }


LAYOUT = Layout("munit", "MUNIT", read, write, kind="translator")
