"""Progressive GAN as pytorch_GAN_zoo has it: {config, netG, netD, avgG}."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from lit_synth.errors import InputError
from lit_synth.networks.pgan import PGANCritic, PGANGenerator
from lit_synth.releases.importers.layout import (
    Found,
    Layout,
    Options,
    Pair,
    Part,
    chosen,
    numbers,
    plain,
)
from lit_synth.releases.importers.states import StateDict
from lit_synth.releases.importers.unpickling import Record

FITS = {  # settings of which the networks depend: what ours do
    "equalizedlR": True,
    "initBiasToZero": True,
    "miniBatchNormalization": False,
    "leakyReluLeak": 0.2,
    "dimOutput": 3,
}


def read(states: list[StateDict], options: Options) -> Found | None:
    """Take a file's state dicts for a PGAN's, if its generator is among them."""
    renamed = [_with_module(state) for state in states]
    generator = chosen([state for state in renamed if _is_generator(state)], options.key)
    if generator is None:
        return None
    settings = _settings(generator)
    parts = {generator.path: generator_part(_generator_args(generator, settings))}
    critics = [state for state in renamed if state.shape("decisionLayer.module.weight")]
    if len(critics) == 1:
        parts[critics[0].path] = critic_part(_critic_args(critics[0]))
    return Found(parts, tensors={state.path: state.tensors for state in renamed})


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:
    """Return the parts of a release's file: `avgG`, and `netD` if there is a critic."""
    generator, critic = networks.get("generator"), networks.get("critic")
    if not isinstance(generator, PGANGenerator):
        return None
    parts = {"avgG": generator_part(vars(generator)["init_args"])}
    if isinstance(critic, PGANCritic):
        parts["netD"] = critic_part(vars(critic)["init_args"])
    return parts


def generator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a generator."""
    n = len(init_args["channels"])
    names = {"formatLayer": "fc", "groupScale0.0": "conv"}
    names |= {f"toRGBLayers.{i}": f"to_image.{i}" for i in range(n)}
    names |= {
        f"scaleLayers.{i}.{j}": f"body.{i}.conv{j + 1}" for i in range(n - 1) for j in range(2)
    }
    return Part({"generator": (PGANGenerator, init_args)}, list(_pairs(names, "generator")))


def critic_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a discriminator, which lists its blocks from the smallest image on."""
    n = len(init_args["channels"])
    names = {"decisionLayer": "score", "groupScaleZero.0": "conv", "groupScaleZero.1": "fc"}
    names |= {f"fromRGBLayers.{i}": f"from_image.{i}" for i in range(n)}
    names |= {
        f"scaleLayers.{i}.{j}": f"body.{n - 2 - i}.conv{j + 1}"
        for i in range(n - 1)
        for j in range(2)
    }
    return Part({"critic": (PGANCritic, init_args)}, list(_pairs(names, "critic")))


def _pairs(names: Mapping[str, str], network: str) -> Iterable[Pair]:
    for public, own in names.items():
        for key in ("weight", "bias"):
            yield Pair(f"{public}.module.{key}", f"{network}.{own}.{key}")


def _with_module(state: StateDict) -> StateDict:
    """Return a state dict of an older file, whose keys lack `.module`, with the keys of today."""
    if "formatLayer.weight" in state.tensors or "decisionLayer.weight" in state.tensors:
        renamed = {
            f"{key.rpartition('.')[0]}.module.{key.rpartition('.')[2]}": tensor
            for key, tensor in state.tensors.items()
        }
        return StateDict(state.path, renamed, state.settings, state.beside)
    return state


def _is_generator(state: StateDict) -> bool:
    return bool(state.shape("formatLayer.module.weight"))


def _settings(state: StateDict) -> dict[str, Any]:
    """Return the stored settings; InputError if one is of a network that ours is not."""
    config = state.beside.get("config")
    found = config.state if isinstance(config, Record) else config
    settings = found if isinstance(found, dict) else {}
    for name, fit in FITS.items():
        stored = plain(settings.get(name, fit))
        if stored != fit:
            raise InputError(
                f"this PGAN was trained with {name} {str(stored)[:40]}; expected {fit!r}, as "
                "the public ones have it."
            )
    if plain(settings.get("alpha")):
        raise InputError(
            "this PGAN was stored while it faded to another size (alpha is not 0): give a file of "
            "the end of a size."
        )
    return settings


def _generator_args(state: StateDict, settings: dict[str, Any]) -> dict[str, Any]:
    n = len(numbers(state.tensors, "toRGBLayers."))
    channels = [state.shape(f"toRGBLayers.{i}.module.weight")[1:2] for i in range(n)]
    return {
        "channels": [each[0] if each else 0 for each in channels],
        "latent_dim": state.shape("formatLayer.module.weight")[1],
        "image_channels": (*state.shape("toRGBLayers.0.module.weight"), 0)[0],
        "tanh": settings.get("lastLayerActivation") is True,
    }


def _critic_args(state: StateDict) -> dict[str, Any]:
    n = len(numbers(state.tensors, "fromRGBLayers."))
    widths = [state.shape(f"fromRGBLayers.{i}.module.weight")[:1] for i in range(n)]
    channels = [each[0] if each else 0 for each in widths]
    joined = (*state.shape("groupScaleZero.0.module.weight"), 0, 0)[1]
    return {
        "channels": channels,
        "image_channels": (*state.shape("fromRGBLayers.0.module.weight"), 0, 0)[1],
        "minibatch_deviation": joined == channels[0] + 1 if channels else False,
    }


LAYOUT = Layout("pgan", "Progressive GAN of pytorch_GAN_zoo", read, write)
