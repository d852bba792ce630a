"""What a frozen network sees of images at its stages: VGG16 from a file, or the bundled one."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.features.perceptual import BUNDLED
from lit_synth.features.random import as_rgb
from lit_synth.losses.total import total
from lit_synth.networks.classifier import SmallClassifier
from lit_synth.releases.format import load_release
from lit_synth.tensors.tensor_files import load_tensors

VGG16_LAYERS = (3, 8, 13, 20, 27)  # the ReLUs after conv1_2 to conv5_2 among `features`
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # torchvision's, RGB in [0, 1]
CAFFE_MEAN = (103.939, 116.779, 123.68)  # BGR in [0, 255]
TENTH = 0.1


class StageFeatures:
    """Maps images to activations of several layers, the first the finest.

    It is no part of a method's networks, so that checkpoints do without it.

    Args:
        weights: Path of a VGG16 under torchvision's keys (.pth), of which conv1_2 to conv5_2 are
            taken after their ReLUs; None: the stages of the bundled classifier of drawn objects.
        caffe: Are these the weights of Caffe's VGG16, for BGR images in [0, 255] less their mean?

    Raises:
        InputError: If the file is not there, or holds something else.
    """

    def __init__(self, weights: str | None = None, caffe: bool = False) -> None:
        with torch.random.fork_rng(devices=[]):  # building networks draws initial weights
            self.network = _vgg16(Path(weights)) if weights else _bundled()
        self.network.requires_grad_(False).eval()
        self.caffe = caffe

    def __call__(self, images: Tensor) -> Sequence[Tensor]:
        """Return the activations (N, c, h, w) of images (N, C, H, W) in [-1, 1], grey or RGB."""
        images = as_rgb(images)
        self.network.to(images.device, torch.promote_types(images.dtype, torch.float32))
        if isinstance(self.network, SmallClassifier):
            return self.network.stages(images)
        x, seen = self._standardised(images), []
        for i, layer in enumerate(self.network.children()):
            x = layer(x)
            if i in VGG16_LAYERS:
                seen.append(x)
        return seen

    def _standardised(self, images: Tensor) -> Tensor:
        images = images / 2 + 0.5
        if self.caffe:
            return 255 * images.flip(1) - images.new_tensor(CAFFE_MEAN)[:, None, None]
        mean, deviation = (images.new_tensor(each)[:, None, None] for each in (MEAN, DEVIATION))
        return (images - mean) / deviation


class StageLoss:
    """Weighted mean squares of a tenth of the difference of activations, summed over stages.

    Stage i of n has the weight 1 / 2^(n + 1 - i): the deepest counts half (StEP's supplement; its
    code has 1 there).

    Args:
        weights: See `StageFeatures`.
        caffe: See `StageFeatures`.
    """

    def __init__(self, weights: str | None = None, caffe: bool = False) -> None:
        self.features = StageFeatures(weights, caffe)

    def __call__(self, made: Tensor, true: Tensor) -> Tensor:
        """Return the scalar loss of images (N, C, H, W) in [-1, 1], through `made` alone."""
        with torch.no_grad():
            expected = self.features(true)
        seen = self.features(made)
        terms = [
            (TENTH * (y - x)).square().mean() / 2 ** (len(seen) - i)
            for i, (y, x) in enumerate(zip(seen, expected, strict=True))
        ]
        return total(terms)


def _bundled() -> nn.Module:
    return load_release(BUNDLED).network("classifier")


def _vgg16(path: Path) -> nn.Module:
    from torchvision.models import vgg16

    with torch.device("meta"):
        features: nn.Sequential = vgg16().features[: VGG16_LAYERS[-1] + 1]
    wanted = features.state_dict()
    try:
        given = load_tensors(path)
        features.load_state_dict({key: given[f"features.{key}"] for key in wanted}, assign=True)
    except Exception as error:  # a file that is no state dict can fail in any way
        reason = (str(error) or repr(error)).splitlines()[0]
        raise InputError(
            f"'{path}' does not hold the weights of a VGG16 ({reason}): expected torchvision's "
            "vgg16-397923af.pth, or Caffe's weights under the same keys, or no path for the "
            "bundled network."
        ) from error
    for layer in features:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # what stands before it is needed for gradients
    return features
