"""Content hashes of images and weights, so that caches and cards follow content and not paths."""

import hashlib

import torch
from torch import Tensor, nn

from lit_synth.tensors.pixels import as_uint8


def content_hash(images: Tensor, labels: Tensor | None = None) -> str:
    """sha256 of 8-bit images (N, C, H, W) in their order, and of their labels (N,)."""
    digest = hashlib.sha256(str(tuple(images.shape)).encode())
    digest.update(as_uint8(images).cpu().numpy().tobytes())
    if labels is not None:
        digest.update(labels.cpu().to(torch.int64).numpy().tobytes())
    return digest.hexdigest()


def image_digests(images: Tensor) -> list[str]:
    """A short digest of each 8-bit image, to find images that two sets share."""
    pixels = as_uint8(images).cpu().numpy()
    return [hashlib.blake2b(image.tobytes(), digest_size=8).hexdigest() for image in pixels]


def weights_hash(network: nn.Module) -> str:
    """sha256 of a network's parameters and buffers, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
