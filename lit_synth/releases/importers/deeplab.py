"""DeepLab v3+ of jfzhang95's PyTorch code: `checkpoint.pth.tar`, whose `state_dict` it is."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lit_synth.networks.deeplab import COUNTED, DeepLab
from lit_synth.releases.importers.layout import Found, Layout, Options, Pair, Part, chosen, numbers
from lit_synth.releases.importers.states import StateDict

RECOGNISED = "aspp.aspp2.atrous_conv.weight"
CLASSIFIER = "decoder.last_conv.8.weight"
NOTE = (
    "Dilations are those of an output stride of 16, and images are standardised as ImageNet's, as "
    "that code does; a file does not tell."
)


def read(states: list[StateDict], options: Options) -> Found | None:
    """Take one of a file's state dicts for a DeepLab with ResNet, if there is one."""
    mine = [state for state in states if state.shape(RECOGNISED) and state.shape(CLASSIFIER)]
    state = chosen(mine, options.key if len(mine) > 1 else None)
    if state is None:
        return None
    init_args = _init_args(state)
    return Found({state.path: part(init_args)}, [NOTE], method=_method(init_args))


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:
    """Return the part of a file of a Segmenter's network."""
    network = networks.get("network")
    if not isinstance(network, DeepLab):
        return None
    return {"state_dict": part(vars(network)["init_args"])}


def part(init_args: dict[str, Any]) -> Part:
    """Return what is what: names are the same, but batch norms count their batches there."""
    with torch.device("meta"):
        network = DeepLab(**init_args)
    pairs = [Pair(key, f"network.{key}") for key in network.state_dict()]
    counted = {
        pair.public.removesuffix(".running_mean") + COUNTED: torch.tensor(0)
        for pair in pairs
        if pair.public.endswith(".running_mean")
    }
    return Part({"network": (DeepLab, init_args)}, pairs, inert={**counted})


def _init_args(state: StateDict) -> dict[str, Any]:
    blocks = [len(numbers(state.tensors, f"backbone.layer{i}.")) for i in (1, 2, 3, 4)]
    return {
        "out_channels": state.shape(CLASSIFIER)[0],
        "blocks": blocks[:3],
        "multi_grid": [2**i for i in range(blocks[3])],
        "width": (*state.shape("backbone.conv1.weight"), 0)[0],
        "stem_stride": 4,
        "rates": [6, 12, 18],
        "pooled": state.shape(RECOGNISED)[0],
        "low": (*state.shape("decoder.conv1.weight"), 0)[0],
        "dropout": True,
        "imagenet_input": True,
    }


def _method(init_args: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a `Segmenter` of this network."""
    network = {"class_path": "lit_synth.networks.deeplab.DeepLab", "init_args": init_args}
    return {
        "class_path": "lit_synth.methods.segmenter.Segmenter",
        "init_args": {
            "network": network,
            "classes": init_args["out_channels"],
            "stages": [{"name": "imported", "iterations": 1}],
        },
    }


LAYOUT = Layout("deeplab", "DeepLab", read, write, kind="translator")
