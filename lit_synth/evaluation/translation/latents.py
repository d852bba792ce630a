"""The alignment of latents, gathered over batches of scenes."""

from itertools import combinations

import torch
from torch import Tensor

from lit_synth.contracts.data import Batch
from lit_synth.metrics.alignment import alignment


class Latents:
    """Gathers the latents of all modalities, and compares them."""

    def __init__(self) -> None:
        self.parts: dict[str, list[Tensor]] = {}

    def add(self, found: Batch, kept: int) -> None:
        for name, latent in found.items():
            self.parts.setdefault(name, []).append(latent[:kept].float().cpu())

    def values(self) -> dict[str, float]:
        whole = {name: torch.cat(parts) for name, parts in self.parts.items()}
        values = {}
        for first, second in combinations(whole, 2):
            found = alignment(whole[first], whole[second])
            values[f"alignment/{first}-{second}"] = found.pop("centred")
            values |= {f"alignment/{first}-{second}_{name}": v for name, v in found.items()}
        return values
