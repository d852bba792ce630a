"""Perceptual distances of image pairs: LPIPS (Zhang et al. 2018, arXiv:1801.03924), or like it."""

import hashlib
import warnings
from abc import ABC, abstractmethod
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.features.random import as_rgb
from lit_synth.networks.classifier import SmallClassifier
from lit_synth.releases.format import load_release
from lit_synth.tensors.precision import full_float32
from lit_synth.tensors.tensor_files import load_tensors

BUNDLED = "object-classifier"
ALEXNET = "alexnet-owt-7be5be79.pth"  # torchvision's IMAGENET1K_V1
SMALLEST_PX = 16
CALIBRATED_PX = 64  # of the patches that people compared for LPIPS
EPSILON = 1e-10  # as in lpips


class PerceptualDistance(nn.Module, ABC):
    """Compares images by what a network sees at several layers.

    At each layer, channels are normalised to length 1 at each pixel; squared differences are
    weighted and summed over channels, averaged over pixels, and summed over layers.

    Attributes:
        name: Short name, as it stands on the card.
        sha256: Hash of the weights.
        note: Limits of its numbers, for the card.
    """

    name: str
    sha256: str
    note: str

    @abstractmethod
    def layers(self, images: Tensor) -> list[tuple[Tensor, Tensor | float]]:
        """Return activations (N, c, h, w) of RGB images, and weights of their channels."""

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """Return points (N, D) whose squared Euclidean distances are the distances of images.

        Args:
            images: (N, C, H, W) in [-1, 1], grey or RGB, of 16 pixels or more.
        """
        if min(images.shape[-2:]) < SMALLEST_PX:
            raise InputError(
                f"images of {images.shape[-2]}x{images.shape[-1]} pixels are too small for a "
                f"perceptual distance: expected at least {SMALLEST_PX}."
            )
        with torch.autocast(images.device.type, enabled=False), full_float32():
            seen = self.layers(as_rgb(images.float()))
            return torch.cat([_point(layer, weight) for layer, weight in seen], dim=1)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distances (N,), from 0, of pairs of images (N, C, H, W) in [-1, 1]."""
        return (self.embed(a) - self.embed(b)).square().sum(1)


class BundledDistance(PerceptualDistance):
    """The distance at the stages of the bundled classifier of colours and shapes, unweighted."""

    name = f"perceptual distance of {BUNDLED}"
    note = (
        "Its network knows drawn objects of 32 pixels and no photographs: compare its distances "
        "with each other, never with published LPIPS."
    )

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # building networks draws initial weights
            release = load_release(BUNDLED)
        network = release.network("classifier")
        assert isinstance(network, SmallClassifier), "comes with the package"
        self.network, self.sha256 = network, release.sha256
        self.requires_grad_(False).eval()

    def layers(self, images: Tensor) -> list[tuple[Tensor, Tensor | float]]:
        return [(stage, 1.0) for stage in self.network.stages(images)]


class LPIPS(PerceptualDistance):
    """LPIPS 0.1 with AlexNet, as the package lpips has it.

    Args:
        weights: torchvision's AlexNet, trained on ImageNet (.pth); None: in its cache.

    Raises:
        InputError: If the weights are not there, or are of something else.
    """

    name = "LPIPS 0.1 (AlexNet)"
    note = f"LPIPS: smaller images are enlarged to {CALIBRATED_PX} pixels, bilinear."

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        import lpips

        path = Path(weights) if weights else cached_alexnet()
        state = _alexnet(path)
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lpips calls torchvision in a way that it deprecates
            self.network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
        for name, own in self.network.net.named_parameters():
            own.data.copy_(state[f"features.{name.partition('.')[2]}"])
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self.requires_grad_(False).eval()

    def layers(self, images: Tensor) -> list[tuple[Tensor, Tensor | float]]:
        height, width = (max(CALIBRATED_PX, side) for side in images.shape[-2:])
        if (height, width) != images.shape[-2:]:
            images = F.interpolate(images, (height, width), mode="bilinear", align_corners=False)
        seen = self.network.net(self.network.scaling_layer(images))
        weights = [lin.model[-1].weight for lin in self.network.lins]
        return list(zip(seen, weights, strict=True))


def load_perceptual(weights: str | Path | None = None) -> PerceptualDistance:
    """Return LPIPS if there are weights of AlexNet, else the bundled distance; nothing is fetched.

    Args:
        weights: See `LPIPS`; None: those in torchvision's cache, if they are there.
    """
    if weights is None and not cached_alexnet().is_file():
        return BundledDistance()
    return LPIPS(weights)


def cached_alexnet() -> Path:
    """Where torchvision keeps, or would keep, its AlexNet."""
    return Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET


def _alexnet(path: Path) -> dict[str, Tensor]:
    """Return the tensors of torchvision's AlexNet; InputError if the file has others."""
    from torchvision.models import alexnet

    try:
        state = load_tensors(path)
        with torch.device("meta"):
            alexnet().load_state_dict(state, assign=True)
    except Exception as error:  # a file that is no state dict can fail in any way
        reason = (str(error) or repr(error)).splitlines()[0]
        raise InputError(
            f"'{path}' does not hold the weights of torchvision's AlexNet ({reason}): expected "
            f"{ALEXNET}, as torchvision downloads it."
        ) from error
    return state


def _point(layer: Tensor, weight: Tensor | float) -> Tensor:
    """Return a layer (N, c, h, w) as part of a point, (N, c h w)."""
    length = layer.square().sum(1, keepdim=True).sqrt()
    pixels = layer.shape[-2] * layer.shape[-1]
    return (layer / (length + EPSILON) * (torch.as_tensor(weight) / pixels) ** 0.5).flatten(1)
