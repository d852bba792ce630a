"""UDIT's semantic extractor h: convolutions, a reduction to D channels, a classifier."""

import copy
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.codes import init_he
from lit_synth.networks.parts.norms import BatchNorm
from lit_synth.networks.parts.pretrained import IMAGENET_MEAN, IMAGENET_STD
from lit_synth.networks.parts.rebuilding import records_init_args

Feature = Literal["reduced", "naive"]


class ConvBackbone(nn.Module):
    """(conv3x3, batch norm, ReLU) of each width; all but the first halve their input.

    Args:
        channels: Channels of the images.
        widths: Channels of each convolution.
    """

    @records_init_args
    def __init__(self, channels: int = 3, widths: Sequence[int] = (16, 32, 64)) -> None:
        super().__init__()
        self.channels = channels
        self.body = nn.Sequential()
        for c_in, c_out in pairwise([channels, *widths]):
            stride = 2 if len(self.body) else 1
            self.body.append(nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False))
            self.body.extend([BatchNorm(c_out, running_stats=True), nn.ReLU()])
        init_he(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class ImageNetBackbone(nn.Module):
    """The convolutions of a torchvision classifier, which see images standardised as ImageNet's.

    Args:
        name: Of a model of torchvision, such as `resnet18` or `vgg16`.
        weights: `imagenet` for torchvision's, downloaded on first use; the path of a state dict of
            the model; None for random ones. A release holds the weights, so that a network rebuilt
            from one does not ask for them again.
        until: Last part that is kept, such as `layer3` of a ResNet or `22` of VGG16, for larger
            maps; None: all that precedes the pooling before the classifier.

    Raises:
        InputError: If there is no such model or part, or the weights cannot be had or do not fit.
    """

    channels = 3

    def __init__(
        self, name: str, weights: str | None = "imagenet", until: str | None = None
    ) -> None:
        super().__init__()
        self.init_args = {"name": name, "weights": None, "until": until}
        self.body = _trunk(_torchvision(name, weights), name, until)
        self.mean: Tensor
        self.std: Tensor
        # Of x = 2 u - 1 for u in [0, 1].
        self.register_buffer("mean", 2 * torch.tensor(IMAGENET_MEAN)[:, None, None] - 1)
        self.register_buffer("std", 2 * torch.tensor(IMAGENET_STD)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return self.body((x - self.mean) / self.std)


class ExtractorHead(nn.Module):
    """conv1x1 to D channels, whose map is the semantic feature, then a linear classifier of it.

    No ReLU follows the convolution: the thesis states none.

    Args:
        shape: Channels, height and width of the backbone's map.
        width: Channels D that are kept.
        num_classes: Classes to tell apart.
    """

    @records_init_args
    def __init__(self, shape: Sequence[int], width: int, num_classes: int) -> None:
        super().__init__()
        channels, height, map_width = self.shape = tuple(shape)
        self.reduce = nn.Conv2d(channels, width, kernel_size=1)
        self.classify = nn.Linear(width * height * map_width, num_classes)

    def forward(self, maps: Tensor) -> Tensor:
        """Return logits (N, K) of a backbone's maps (N, c, h, w)."""
        return self.classify(self.reduce(maps).flatten(1))


class ExtractorNet(nn.Module):
    """h: what a classifier knows of images (N, C, H, W) in [-1, 1], and its verdict.

    Args:
        backbone: Maps images to maps (N, c, h, w); knows its `channels` C.
        head: Of the backbone's maps.
    """

    def __init__(self, backbone: nn.Module, head: ExtractorHead) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, K)."""
        return self.head(self._maps(x))

    def feature(self, x: Tensor, kind: Feature) -> Tensor:
        """Return the semantic feature: `reduced` (N, D, h, w), `naive` the backbone's (N, c, h, w).

        Raises:
            InputError: If the images are not of the size or the channels that h was trained on.
        """
        maps = self._maps(x)
        return self.head.reduce(maps) if kind == "reduced" else maps

    def _maps(self, x: Tensor) -> Tensor:
        if x.size(1) != self.backbone.channels:
            raise InputError(
                f"the semantic extractor was trained on images of {self.backbone.channels} "
                f"channels and got {x.size(1)}: train one on images like those to be translated."
            )
        maps = self.backbone(x)
        if maps.shape[1:] != self.head.shape:
            raise InputError(
                f"the semantic extractor maps images of {x.shape[-2]}x{x.shape[-1]} px to "
                f"{tuple(maps.shape[1:])}, but those that it was trained on to {self.head.shape}: "
                "train one on images like those to be translated."
            )
        return maps


def map_shape(backbone: nn.Module, image_size: int) -> tuple[int, int, int]:
    """Return channels, height and width of a backbone's maps of images of this size.

    Args:
        backbone: Knows its `channels`.
        image_size: Height and width of the images.
    """
    with torch.no_grad():
        channels = cast("int", backbone.channels)
        maps = copy.deepcopy(backbone).eval()(torch.zeros(1, channels, image_size, image_size))
    _, depth, height, width = maps.shape
    return depth, height, width


def _torchvision(name: str, weights: str | None) -> nn.Module:
    """Build a classifier of torchvision, with ImageNet's weights, those of a file, or random."""
    from torchvision import models

    if name not in models.list_models(module=models):
        raise InputError(
            f"torchvision has no classifier '{name}': give the name of one, such as resnet18 or "
            "vgg16."
        )
    model = models.get_model(name, weights=None)
    if weights is None:
        return model
    published = models.get_model_weights(name).DEFAULT
    state = _downloaded(name, published) if weights == "imagenet" else _read(Path(weights))
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"'{weights}' is no state dict of torchvision's {name} ({_first_line(error)}): give "
            f"the file that {published.url} names."
        ) from error
    return model


def _trunk(model: nn.Module, name: str, until: str | None) -> nn.Sequential:
    """Return the parts of a classifier that make maps, up to one of them."""
    parts = dict(model.named_children())
    if "features" in parts:
        parts = dict(parts["features"].named_children())
    elif {"layer4", "avgpool"} <= parts.keys():
        parts = {key: part for key, part in parts.items() if key not in ("avgpool", "fc")}
    else:
        raise InputError(
            f"'{name}' is no row of convolutions: give a model of torchvision that has `features` "
            "or is a ResNet."
        )
    if until is not None and until not in parts:
        raise InputError(f"{name} has no part '{until}': there are {', '.join(parts)}.")
    kept = list(parts).index(until) + 1 if until is not None else len(parts)
    return nn.Sequential(*list(parts.values())[:kept])


def _downloaded(name: str, published: Any) -> Mapping[str, Any]:
    try:
        return published.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no connection; a broken file
        raise InputError(
            f"ImageNet's weights of {name} could not be downloaded ({_first_line(error)}): "
            f"download {published.url} on a machine with internet and give the file's path as "
            "weights."
        ) from error


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file that is no state dict can fail in any way
        raise InputError(
            f"weights '{path}' cannot be read ({_first_line(error)}): give 'imagenet' or the path "
            "of a state dict of torchvision's model."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]
