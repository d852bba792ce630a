"""CLIP's image encoder (Radford et al. 2021, arXiv:2103.00020), whose features CMMD compares."""

from functools import partial
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.features.base import Extractor, Features
from lit_synth.features.vision_transformer import file_hash, seen, transformer, weights_of

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TOWER = "visual."
NEEDED = ("patch_embed.proj.weight", "pos_embed", "cls_token", "head.weight")
EXPECTED = "open_clip's file of a ViT by OpenAI, such as ViT-L/14 at 336 pixels"
# Names of OpenAI's transformer -> timm's.
NAMES = {
    "transformer.resblocks.": "blocks.",
    "conv1.": "patch_embed.proj.",
    "positional_embedding": "pos_embed",
    "class_embedding": "cls_token",
    "ln_pre.": "norm_pre.",
    "ln_post.": "norm.",
    "ln_": "norm",
    "in_proj_": "qkv.",
    "out_proj.": "proj.",
    "mlp.c_fc.": "mlp.fc1.",
    "mlp.c_proj.": "mlp.fc2.",
}


class QuickGELU(nn.Module):
    """x sigmoid(1.702 x), which OpenAI's networks have in place of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (1.702 * x).sigmoid()


class CLIPFeatures(Extractor):
    """Image embeddings (N, D) of length 1, at the network's own size.

    CMMD (Jayasumana et al. 2024, arXiv:2401.09603) takes ViT-L/14 at 336 pixels.

    Args:
        weights_path: A state dict with OpenAI's names under `visual.`, of a network with QuickGELU,
            which all of OpenAI's have. The file is never downloaded.

    Raises:
        InputError: If the weights are not there or do not fit, or timm is not installed.
    """

    at_once_on_cpu = 16
    metrics = ("cmmd",)

    def __init__(self, weights_path: str | Path) -> None:
        super().__init__()
        path = Path(weights_path)
        state = as_timm(weights_of(path, "CLIP", EXPECTED))
        if missing := [name for name in NEEDED if name not in state]:
            raise InputError(
                f"'{path}' holds no image encoder of CLIP's (no '{TOWER}*' for {missing[0]}): "
                f"expected {EXPECTED}."
            )
        patch = state["patch_embed.proj.weight"].shape[-1]
        self.size = patch * round((state["pos_embed"].shape[1] - 1) ** 0.5)
        self.network = transformer(
            state,
            path,
            img_size=self.size,
            num_classes=len(state["head.weight"]),
            pre_norm=True,
            act_layer=QuickGELU,
            norm_layer=partial(nn.LayerNorm, eps=1e-5),
        )
        self.name = f"clip-vit-{self.network.embed_dim}-{patch}-{self.size}"
        self.resize = f"grey repeated to RGB; bicubic, antialiased, to {self.size}x{self.size}"
        self.sha256 = file_hash(path)
        self.freeze()

    def forward(self, images: Tensor) -> Features:
        embedding = self.network(seen(images, self.size, MEAN, STD))
        return Features(F.normalize(embedding, dim=1))


def as_timm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the image encoder's weights under timm's names."""
    renamed = {}
    for key, value in state.items():
        if not key.startswith(TOWER):
            continue
        name = key.removeprefix(TOWER)
        for old, new in NAMES.items():
            name = name.replace(old, new)
        renamed[name] = value
    if "proj" in renamed:
        renamed["head.weight"] = renamed.pop("proj").T
        renamed["head.bias"] = renamed["head.weight"].new_zeros(len(renamed["head.weight"]))
    for name in ("cls_token", "pos_embed"):
        if name in renamed:
            renamed[name] = renamed[name].reshape(1, -1, renamed[name].shape[-1])
    return renamed
