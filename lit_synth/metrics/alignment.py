"""How well the latents of two modalities of the same scenes agree (thesis equation 4.16)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_synth.errors import InputError


def alignment(first: Tensor, second: Tensor) -> dict[str, float]:
    """Compare the latents of scenes in one modality with those in another.

    Latents that follow a ReLU agree by their common mean alone: raw cosines of unrelated scenes
    reach 0.8. So each cosine comes with that of mismatched scenes, and beside equation 4.16 stands
    the cosine after each modality's mean over the scenes has been taken away.

    Args:
        first: Latents (N, ...) of N scenes in one modality.
        second: Latents of the same scenes and shape in the other.

    Returns:
        `centred` and `raw`: mean cosine similarity with and without centring. `mismatched` and
        `raw_mismatched`: the same of scene i with scene i + 1. `retrieval`: share of scenes whose
        centred latent is nearest to that of the same scene, mean of both directions; by chance 1/N.
    """
    if first.shape != second.shape or len(first) < 2:
        raise InputError(
            f"Latents of shapes {tuple(first.shape)} and {tuple(second.shape)} cannot be compared: "
            "expected one shape, and two scenes or more; give both modalities of the same scenes."
        )
    raw = [F.normalize(latents.flatten(1).double(), dim=1) for latents in (first, second)]
    centred = [_centred(latents) for latents in (first, second)]
    similarity = centred[0] @ centred[1].T
    scenes = torch.arange(len(first), device=similarity.device)
    found = [similarity.argmax(dim) == scenes for dim in (0, 1)]
    return {
        "centred": _mean_cosine(*centred),
        "mismatched": _mean_cosine(centred[0], centred[1].roll(-1, 0)),
        "raw": _mean_cosine(*raw),
        "raw_mismatched": _mean_cosine(raw[0], raw[1].roll(-1, 0)),
        "retrieval": sum(float(each.double().mean()) for each in found) / 2,
    }


def _centred(latents: Tensor) -> Tensor:
    latents = latents.flatten(1).double()
    return F.normalize(latents - latents.mean(0), dim=1)


def _mean_cosine(first: Tensor, second: Tensor) -> float:
    return float((first * second).sum(1).mean())
