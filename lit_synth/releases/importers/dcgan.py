"""The DCGAN of the PyTorch examples: `netG_epoch_*.pth`, `netD_epoch_*.pth` and checkpoints."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lit_synth.networks.dcgan import DCGANCritic, DCGANGenerator
from lit_synth.releases.importers.layout import Found, Layout, Options, Pair, Part, chosen
from lit_synth.releases.importers.states import StateDict

NORM = ("weight", "bias", "running_mean", "running_var")


def read(states: list[StateDict], options: Options) -> Found | None:
    """Take a file's state dicts for a DCGAN's, if its generator is among them."""
    generator = chosen([state for state in states if _is_generator(state)], options.key)
    if generator is None:
        return None
    parts = {generator.path: generator_part(_generator_args(generator))}
    critics = [state for state in states if _is_critic(state)]
    if len(critics) == 1:
        parts[critics[0].path] = critic_part(_critic_args(critics[0]))
    return Found(parts)


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:
    """Return the parts of a release's file: `netG`, and `netD` if there is a critic."""
    generator, critic = networks.get("generator"), networks.get("critic")
    if not isinstance(generator, DCGANGenerator):
        return None
    parts = {"netG": generator_part(vars(generator)["init_args"])}
    if isinstance(critic, DCGANCritic):
        parts["netD"] = critic_part(vars(critic)["init_args"])
    return parts


def generator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a generator: `main` is `body` and `to_image`."""
    last = 3 * _layers(init_args)
    pairs = [
        pair
        for i in range(0, last, 3)
        for pair in (
            Pair(f"main.{i}.weight", f"generator.body.{i}.weight"),
            *_norm(i + 1, "generator"),
        )
    ]
    pairs.append(Pair(f"main.{last}.weight", "generator.to_image.weight"))
    return Part({"generator": (DCGANGenerator, init_args)}, pairs)


def critic_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a discriminator: `main` is `body` and `score`."""
    last = 3 * _layers(init_args) - 1
    pairs = [Pair("main.0.weight", "critic.body.0.weight")]
    for i in range(2, last, 3):
        pairs += [Pair(f"main.{i}.weight", f"critic.body.{i}.weight"), *_norm(i + 1, "critic")]
    pairs.append(Pair(f"main.{last}.weight", "critic.score.weight"))
    return Part({"critic": (DCGANCritic, init_args)}, pairs)


def _norm(i: int, network: str) -> list[Pair]:
    counted = "num_batches_tracked"  # since PyTorch 0.4.1
    return [
        *(Pair(f"main.{i}.{key}", f"{network}.body.{i}.{key}") for key in NORM),
        Pair(f"main.{i}.{counted}", f"{network}.body.{i}.{counted}", default=torch.tensor(0)),
    ]


def _layers(init_args: dict[str, Any]) -> int:
    """Count the halvings down to 4 px."""
    return int(init_args["image_size"]).bit_length() - 3


def _is_generator(state: StateDict) -> bool:
    first, norm = state.shape("main.0.weight"), state.shape("main.1.running_mean")
    return len(first) == 4 and first[2:] == (4, 4) and norm == first[1:2]


def _is_critic(state: StateDict) -> bool:
    first, norm = state.shape("main.0.weight"), state.shape("main.3.running_mean")
    return len(first) == 4 and first[2:] == (4, 4) and len(norm) == 1


def _generator_args(state: StateDict) -> dict[str, Any]:
    last = 0
    while len(state.shape(f"main.{last + 3}.weight")) == 4:
        last += 3
    width, channels, *_ = (*state.shape(f"main.{last}.weight"), 0, 0)
    return {
        "image_size": 2 ** (last // 3 + 2),
        "image_channels": channels,
        "latent_dim": state.shape("main.0.weight")[0],
        "width": width,
    }


def _critic_args(state: StateDict) -> dict[str, Any]:
    last = 2
    while len(state.shape(f"main.{last + 3}.weight")) == 4:
        last += 3
    width, channels = state.shape("main.0.weight")[:2]
    return {"image_size": 2 ** ((last + 1) // 3 + 2), "image_channels": channels, "width": width}


LAYOUT = Layout("dcgan", "DCGAN of the PyTorch examples", read, write)
