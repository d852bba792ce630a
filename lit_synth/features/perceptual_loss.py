"""A perceptual loss: L1 between what a frozen network sees of two images (arXiv:1603.08155)."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.features.random import as_rgb
from lit_synth.losses.total import total
from lit_synth.networks.classifier import SmallClassifier
from lit_synth.releases.format import load_release
from lit_synth.tensors.tensor_files import load_tensors

BUNDLED = "object-classifier"
VGG19_LAYERS = (1, 6, 11, 20, 29)  # relu1_1 to relu5_1 among torchvision's `features`
WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # pix2pixHD's and SPADE's, the deepest last


class PerceptualLoss:
    """L1 between activations of made and of true images, weighted and summed over layers.

    It is no part of a method's networks, so that checkpoints do without it.

    Args:
        weights: Path of torchvision's VGG19 (.pth), whose layers relu1_1 to relu5_1 are compared;
            images enter in [-1, 1] without ImageNet's standardisation, as in SPADE's code. None:
            the stages of the bundled classifier of drawn objects.
        layers: How many of the deepest layers count; None: all.

    Raises:
        InputError: If the file is not there, or holds something else.
    """

    def __init__(self, weights: str | None = None, layers: int | None = None) -> None:
        with torch.random.fork_rng(devices=[]):  # building networks draws initial weights
            self.network = _vgg19(Path(weights)) if weights else _bundled()
        self.network.requires_grad_(False).eval()
        self.layers = layers

    def __call__(self, made: Tensor, true: Tensor) -> Tensor:
        """Return the scalar mean loss of images (N, C, H, W) in [-1, 1], through `made` alone."""
        self.network.to(made.device, torch.promote_types(made.dtype, torch.float32))
        with torch.no_grad():
            expected = self._seen(true)
        seen = self._seen(made)
        weights = WEIGHTS[-len(seen) :]
        terms = [
            weight * F.l1_loss(y, x) for weight, y, x in zip(weights, seen, expected, strict=True)
        ]
        return total(terms[-self.layers :] if self.layers else terms)

    def _seen(self, images: Tensor) -> Sequence[Tensor]:
        images = as_rgb(images)
        if isinstance(self.network, SmallClassifier):
            return self.network.stages(images)
        seen = []
        for i, layer in enumerate(self.network.children()):
            images = layer(images)
            if i in VGG19_LAYERS:
                seen.append(images)
        return seen


def _bundled() -> nn.Module:
    network = load_release(BUNDLED).network("classifier")
    assert isinstance(network, SmallClassifier), "comes with the package"
    return network


def _vgg19(path: Path) -> nn.Module:
    from torchvision.models import vgg19

    try:
        state = load_tensors(path)
        with torch.device("meta"):
            network = vgg19()
        network.load_state_dict(state, assign=True)
    except Exception as error:  # a file that is no state dict can fail in any way
        reason = (str(error) or repr(error)).splitlines()[0]
        raise InputError(
            f"'{path}' does not hold the weights of torchvision's VGG19 ({reason}): expected "
            "vgg19-dcbb9e9d.pth, as torchvision downloads it, or no path for the bundled network."
        ) from error
    features: nn.Sequential = network.features[: VGG19_LAYERS[-1] + 1]
    for layer in features:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # what stands before it is needed for gradients, and compared
    return features
