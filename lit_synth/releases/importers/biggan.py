"""BigGAN-PyTorch's folder of `G.pth`, `G_ema.pth`, `D.pth`, or one of these files."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from lit_synth.networks.biggan import BigGANCritic, BigGANGenerator
from lit_synth.releases.importers.layout import Found, Layout, Options, Pair, Part, chosen, numbers
from lit_synth.releases.importers.states import StateDict

LAST_WIDTHS = {64: 2, 128: 1}  # channels before the last convolution, in units of the width
WIDEST_TWICE = 128  # from this size on a discriminator's last block is as wide as that before it
NORM = {"stored_mean": "running_mean", "stored_var": "running_var"}
SPECTRAL = {"weight": "weight", "u0": "u", "sv0": "sv"}
ATTENTION = ("theta", "phi", "g", "o")


def read(states: list[StateDict], options: Options) -> Found | None:
    """Take state dicts for a BigGAN's, if its generator is among them."""
    mine = [s for s in states if s.shape("shared.weight") and s.shape("output_layer.0.gain")]
    generator = chosen(mine, options.key)
    if generator is None:
        return None
    parts = {generator.path: generator_part(_generator_args(generator))}
    critics = [s for s in states if s.shape("embed.weight") and s.shape("linear.u0") == (1, 1)]
    if len(critics) == 1:
        parts[critics[0].path] = critic_part(_critic_args(critics[0]))
    return Found(parts)


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:
    """Return the parts of a release's folder: `G_ema`, and `D` if there is a critic."""
    generator, critic = networks.get("generator"), networks.get("critic")
    if not isinstance(generator, BigGANGenerator):
        return None
    parts = {"G_ema": generator_part(vars(generator)["init_args"])}
    if isinstance(critic, BigGANCritic) and critic.num_classes:
        parts["D"] = critic_part(vars(critic)["init_args"])
    return parts


def generator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a generator."""
    pairs = [
        Pair("shared.weight", "generator.class_embedding.weight"),
        *_spectral("linear", "generator.fc", bias=True),
    ]
    inert: dict[str, Tensor | None] = {}
    place = 0
    for b, size in enumerate(_sizes(init_args)):
        public, own = f"blocks.{b}.0", f"generator.body.{place}"
        pairs += _convs(public, own)
        for i in (1, 2):
            norm = f"{public}.bn{i}"
            pairs += [Pair(f"{norm}.{k}", f"{own}.norm{i}.{v}") for k, v in NORM.items()]
            for key in ("gain", "bias"):
                pairs += _spectral(f"{norm}.{key}", f"{own}.norm{i}.{key}", bias=False)
            inert[f"{norm}.accumulation_counter"] = None
        place += 1
        if size in init_args["attention"]:
            pairs += _attention(f"blocks.{b}.1", f"generator.body.{place}")
            place += 1
    last = {"gain": "weight", "bias": "bias", **NORM}
    pairs += [Pair(f"output_layer.0.{k}", f"generator.norm.{v}") for k, v in last.items()]
    inert["output_layer.0.accumulation_counter"] = None
    pairs += _spectral("output_layer.2", "generator.to_image", bias=True)
    return Part({"generator": (BigGANGenerator, init_args)}, pairs, inert=inert)


def critic_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a discriminator."""
    pairs, place = [], 0
    halvings = init_args["image_size"].bit_length() - 3
    for b in range(halvings + 1):
        last = b == halvings
        changes = not last or init_args["image_size"] < WIDEST_TWICE
        pairs += _convs(f"blocks.{b}.0", f"critic.body.{place}", shortcut=changes)
        place += 1
        if not last and init_args["image_size"] // 2 ** (b + 1) in init_args["attention"]:
            pairs += _attention(f"blocks.{b}.1", f"critic.body.{place}")
            place += 1
    pairs += _spectral("linear", "critic.score", bias=True)
    pairs += _spectral("embed", "critic.class_projection", bias=False)
    return Part({"critic": (BigGANCritic, init_args)}, pairs)


def _convs(public: str, own: str, shortcut: bool = True) -> list[Pair]:
    names = {"conv1": "conv1", "conv2": "conv2", **({"conv_sc": "shortcut"} if shortcut else {})}
    return [
        pair for k, v in names.items() for pair in _spectral(f"{public}.{k}", f"{own}.{v}", True)
    ]


def _attention(public: str, own: str) -> list[Pair]:
    convs = [p for k in ATTENTION for p in _spectral(f"{public}.{k}", f"{own}.{k}", bias=False)]
    return [Pair(f"{public}.gamma", f"{own}.gamma"), *convs]


def _spectral(public: str, own: str, bias: bool) -> list[Pair]:
    keys = {**SPECTRAL, **({"bias": "bias"} if bias else {})}
    return [Pair(f"{public}.{k}", f"{own}.{v}") for k, v in keys.items()]


def _sizes(init_args: dict[str, Any]) -> list[int]:
    """Return the sizes that a generator's blocks double to."""
    return [8 * 2**i for i in range(init_args["image_size"].bit_length() - 3)]


def _generator_args(state: StateDict) -> dict[str, Any]:
    blocks = numbers(state.tensors, "blocks.")
    size = 4 * 2 ** len(blocks)
    classes, class_dim = state.shape("shared.weight")[:2]
    chunk = (*state.shape("linear.weight"), 0, 0)[1]
    last = (*state.shape("output_layer.0.gain"), 0)[0]
    attends = [8 * 2**b for b in blocks if f"blocks.{b}.1.gamma" in state.tensors]
    return {
        "image_size": size,
        "image_channels": (*state.shape("output_layer.2.bias"), 0)[0],
        "latent_dim": chunk * (len(blocks) + 1),
        "width": last // LAST_WIDTHS.get(size, 1),
        "num_classes": classes,
        "class_dim": class_dim,
        "attention": attends,
    }


def _critic_args(state: StateDict) -> dict[str, Any]:
    blocks = numbers(state.tensors, "blocks.")
    size = 4 * 2 ** (len(blocks) - 1)
    width, channels = (*state.shape("blocks.0.0.conv1.weight"), 0, 0)[:2]
    attends = [size // 2 ** (b + 1) for b in blocks if f"blocks.{b}.1.gamma" in state.tensors]
    return {
        "image_size": size,
        "image_channels": channels,
        "width": width,
        "num_classes": state.shape("embed.weight")[0],
        "attention": attends,
    }


LAYOUT = Layout("biggan", "BigGAN-PyTorch", read, write, folder=True)
