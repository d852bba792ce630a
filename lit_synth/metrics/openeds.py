"""The score of the OpenEDS challenge for synthetic eyes (Garbin et al. 2019, arXiv:1905.03702)."""

import torch.nn.functional as F
from torch import Tensor

from lit_synth.errors import InputError

SIZE = (640, 400)  # height and width that images are compared at
TEST_IMAGES = 1471  # of the challenge, over which it adds


def openeds_distances(images: Tensor, truth: Tensor) -> Tensor:
    """Return ||p - t||_2 / (H W) of each image, in 0..255 and at 640x400 pixels: (N,), float64.

    Args:
        images: What was made (N, 1, h, w), in [-1, 1]; resized bilinearly, as the authors do.
        truth: The images themselves (N, 1, h', w'), in [-1, 1]; resized likewise.

    Raises:
        InputError: If they are not as many grey images.
    """
    if images.shape[:2] != truth.shape[:2] or images.shape[1] != 1:
        raise InputError(
            f"images of shapes {tuple(images.shape)} and {tuple(truth.shape)} have no OpenEDS "
            "score: give as many grey images (N, 1, H, W) as true ones."
        )
    if images.shape == truth.shape:  # bilinear is linear: resizing the difference will do
        apart = _resized(images.double() - truth.double())
    else:
        apart = _resized(images.double()) - _resized(truth.double())
    return 127.5 * apart.square().sum((1, 2, 3)).sqrt() / (SIZE[0] * SIZE[1])


def _resized(x: Tensor) -> Tensor:
    return F.interpolate(x, SIZE, mode="bilinear")


def openeds_score(distances: Tensor) -> float:
    """Return 1471 times the mean of distances (N,): lower is better, 2.907 to a grey level of RMSE.

    The challenge adds the distances of its 1,471 test images; any number of images has this scale.
    """
    if not len(distances):
        raise InputError("the OpenEDS score of no images was asked for: give at least one.")
    return TEST_IMAGES * float(distances.mean())
