"""StyleGAN2 as NVIDIA's TensorFlow code pickles it: (G, D, Gs); it can be read, not written."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from lit_synth.releases.importers.layout import (
    TRANSPOSED,
    Form,
    Found,
    Layout,
    Options,
    Pair,
    Part,
    chosen,
    numbers,
    plain,
    positive,
)
from lit_synth.releases.importers.states import TF_NETWORK, StateDict
from lit_synth.releases.importers.stylegan2_ada import (
    channels_args,
    check_blocks,
    convs,
    sizes,
)

CONV = Form(lambda t: t.permute(3, 2, 0, 1), lambda t: t.permute(2, 3, 1, 0))
UP_CONV = Form(  # a transposed convolution there, so that it is mirrored
    lambda t: t.flip(0, 1).permute(3, 2, 0, 1), lambda t: t.permute(2, 3, 1, 0).flip(0, 1)
)
FROM_ONE = Form(lambda t: t + 1, lambda t: t - 1)
FIRST = Form(lambda t: t[0], lambda t: t[None])
PLANE = Form(lambda t: t[0, 0], lambda t: t[None, None])
FITS = {  # settings of which the networks depend: what ours do
    "architecture": ("skip", "resnet"),
    "resample_kernel": ([1, 3, 3, 1],),
    "nonlinearity": ("lrelu",),
    "mapping_nonlinearity": ("lrelu",),
    "mapping_lrmul": (0.01,),
    "normalize_latents": (True,),
    "fused_modconv": (True, False),
    "use_noise": (True,),
}
UNUSED = ("lod", "synthesis/lod")  # left from progressive growing


def read(states: list[StateDict], options: Options) -> Found | None:
    """Take a pickle's networks for a StyleGAN2's, if its generator is among them."""
    networks = [state for state in states if state.record == TF_NETWORK]
    if not networks:
        return None
    generators = [state for state in networks if state.shape("synthesis/4x4/Const/const")]
    generator = chosen(generators, options.key)
    if generator is None or not generator.shape("synthesis/4x4/Conv/mod_weight"):
        kinds = ", ".join(sorted({state.kind for state in networks}))
        raise InputError(
            f"this TensorFlow pickle holds other networks ({kinds}): only StyleGAN2's, of its "
            "authors' code, are imported."
        )
    _check(generator.settings)
    parts = {generator.path: generator_part(_generator_args(generator))}
    critics = [state for state in networks if state.shape("4x4/Dense0/weight")]
    if len(critics) == 1:
        parts[critics[0].path] = discriminator_part(_discriminator_args(critics[0], options))
    return Found(parts)


def write(networks: Mapping[str, nn.Module]) -> dict[str, Part] | None:  # noqa: ARG001 - of none
    """Return None: pickles of code are not written."""
    return None


def generator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a generator."""
    pairs = [
        Pair("dlatent_avg", "generator.w_avg"),
        Pair("synthesis/4x4/Const/const", "generator.synthesis.const", FIRST),
    ]
    for i in range(init_args["mapping_layers"]):
        pairs += _dense(f"mapping/Dense{i}", f"generator.mapping.body.{i}")
    if init_args["num_classes"]:
        pairs += _dense("mapping/LabelEmbed", "generator.mapping.class_embedding")
    number = 0
    for size in sizes(init_args["image_size"]):
        public, own = f"synthesis/{size}x{size}", f"generator.synthesis.blocks.{size}"
        for conv in convs(size):
            name = {"conv0": "Conv0_up", "conv1": "Conv" if size == 4 else "Conv1"}[conv]
            form = UP_CONV if conv == "conv0" else CONV
            pairs += _styled(f"{public}/{name}", f"{own}.{conv}", form)
            pairs += [
                Pair(f"{public}/{name}/noise_strength", f"{own}.{conv}.noise_strength"),
                Pair(f"synthesis/noise{number}", f"{own}.{conv}.noise_const", PLANE),
            ]
            number += 1
        pairs += _styled(f"{public}/ToRGB", f"{own}.to_rgb", CONV)
    unused: dict[str, Tensor | None] = dict.fromkeys(UNUSED)
    return Part({"generator": (StyleGAN2Generator, init_args)}, pairs, inert=unused)


def discriminator_part(init_args: dict[str, Any]) -> Part:
    """Return what is what in a discriminator."""
    largest_first = sizes(init_args["image_size"])[:0:-1]
    pairs = []
    for i, size in enumerate(largest_first):
        public, own = f"{size}x{size}", f"critic.body.{size}"
        if i == 0 or init_args["architecture"] == "skip":
            pairs += _conv(f"{public}/FromRGB", f"{own}.from_rgb")
        pairs += _conv(f"{public}/Conv0", f"{own}.conv0")
        pairs += _conv(f"{public}/Conv1_down", f"{own}.conv1")
        if init_args["architecture"] == "resnet":
            pairs.append(Pair(f"{public}/Skip/weight", f"{own}.shortcut.weight", CONV))
    if init_args["architecture"] == "skip":
        pairs += _conv("4x4/FromRGB", "critic.from_rgb")
    pairs += [
        *_conv("4x4/Conv", "critic.conv"),
        *_dense("4x4/Dense0", "critic.fc"),
        *_dense("Output", "critic.score"),
    ]
    if init_args["num_classes"]:
        for i in range(init_args["mapping_layers"]):
            pairs += _dense(f"Mapping{i}", f"critic.class_mapping.body.{i}")
        pairs += _dense("LabelEmbed", "critic.class_mapping.class_embedding")
    unused: dict[str, Tensor | None] = dict.fromkeys(UNUSED)
    return Part({"critic": (StyleGAN2Discriminator, init_args)}, pairs, inert=unused)


def _dense(public: str, own: str) -> list[Pair]:
    weight = Pair(f"{public}/weight", f"{own}.weight", TRANSPOSED)
    return [weight, Pair(f"{public}/bias", f"{own}.bias")]


def _conv(public: str, own: str) -> list[Pair]:
    return [Pair(f"{public}/weight", f"{own}.weight", CONV), Pair(f"{public}/bias", f"{own}.bias")]


def _styled(public: str, own: str, form: Form) -> list[Pair]:
    return [
        Pair(f"{public}/weight", f"{own}.weight", form),
        Pair(f"{public}/bias", f"{own}.bias"),
        Pair(f"{public}/mod_weight", f"{own}.style.weight", TRANSPOSED),
        Pair(f"{public}/mod_bias", f"{own}.style.bias", FROM_ONE),
    ]


def _check(settings: Mapping[str, Any]) -> None:
    """Raise InputError if a stored setting is of a network that ours is not."""
    for name, fit in FITS.items():
        stored = plain(settings.get(name, fit[0]))
        if stored not in fit:
            raise InputError(
                f"this StyleGAN2 was trained with {name} {str(stored)[:60]}; expected "
                f"{fit[0]!r}, as the public ones have it."
            )


def _blocks(state: StateDict, before: str) -> int:
    return check_blocks(numbers(state.tensors, before, "x"))


def _generator_args(state: StateDict) -> dict[str, Any]:
    size = _blocks(state, "synthesis/")
    channels = {
        r: (*state.shape(f"synthesis/{r}x{r}/Conv{'' if r == 4 else 1}/bias"), 0)[0]
        for r in sizes(size)
    }
    w_dim = (*state.shape("dlatent_avg"), 0)[0]
    classes = (*state.shape("mapping/LabelEmbed/weight"), 0)[0]
    first = (*state.shape("mapping/Dense0/weight"), 0)[0]
    return {
        "image_size": size,
        "image_channels": (*state.shape("synthesis/4x4/ToRGB/bias"), 0)[0],
        "latent_dim": first - w_dim if classes else first,
        "w_dim": w_dim,
        **channels_args(channels),
        "mapping_layers": len(numbers(state.tensors, "mapping/Dense", "/")),
        "num_classes": classes,
        "clamp": None,
    }


def _discriminator_args(state: StateDict, options: Options) -> dict[str, Any]:
    size = _blocks(state, "")
    shown = [r for r in sizes(size) if state.shape(f"{r}x{r}/FromRGB/weight")]
    channels = {r: (*state.shape(f"{r}x{r}/Conv0/bias"), 0)[0] for r in sizes(size)[1:]}
    joined, last = (*state.shape("4x4/Conv/weight"), 0, 0, 0, 0)[2:4]
    classes = (*state.shape("LabelEmbed/weight"), 0)[0]
    group = positive(state.settings.get("mbstd_group_size"), 4)
    plain = "skip" if len(shown) > 1 else "orig"
    return {
        "image_size": size,
        "image_channels": (*state.shape(f"{size}x{size}/FromRGB/weight"), 0, 0, 0)[2],
        **channels_args({**channels, 4: last}),
        "architecture": "resnet" if state.shape(f"{size}x{size}/Skip/weight") else plain,
        "num_classes": classes,
        "class_dim": (*state.shape("Output/bias"), 0)[0] if classes else None,
        "mapping_layers": len(numbers(state.tensors, "Mapping", "/")) if classes else 8,
        "mbstd_group": group if options.mbstd_group is None else options.mbstd_group,
        "mbstd_channels": max(joined - last, 0),
        "clamp": None,
    }


LAYOUT = Layout("stylegan2-tf", "NVIDIA's StyleGAN2 for TensorFlow", read, write, writes=False)
