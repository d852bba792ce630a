"""Proxy masks: which cluster each feature of a generator belongs to (SISUG, Chae et al. 2023)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.rebuilding import records_init_args

PASSES = 50  # of K-means, at most
ROWS = 2**16  # pixels that are compared with all centroids at once


class ProxyMasks(nn.Module):
    """K centroids in the feature space of a generator; a pixel's label is that of the nearest.

    Features are divided by each channel's deviation. Spherical K-means compares their directions:
    rows and centroids have length 1, and the nearest is the one of the greatest cosine, as in
    Editing in Style (Collins et al. 2020, arXiv:2004.14367), which the paper cites for it. Plain
    K-means compares distances. Centroids are found once, and never move afterwards.

    Args:
        channels: Channels C of the features.
        num_clusters: Centroids K.
        spherical: Compare directions, or else distances?
    """

    centroids: Tensor
    deviation: Tensor

    @records_init_args
    def __init__(self, channels: int, num_clusters: int = 25, spherical: bool = True) -> None:
        super().__init__()
        if num_clusters < 2:
            raise InputError(f"num_clusters is {num_clusters}: expected at least 2.")
        self.num_clusters, self.spherical = num_clusters, spherical
        self.register_buffer("centroids", torch.zeros(num_clusters, channels))
        self.register_buffer("deviation", torch.ones(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Return labels (N, h, w), int64 in 0..K - 1, of features (N, C, h, w)."""
        rows = features.movedim(1, -1).flatten(0, -2)
        labels = torch.cat([self._likeness(some).argmax(1) for some in rows.split(ROWS)])
        return labels.view(features.shape[:1] + features.shape[2:])

    def likeness(self, features: Tensor) -> Tensor:
        """Return how like each centroid features are, (N, K, h, w): cosines, or -distances^2."""
        rows = features.movedim(1, -1).flatten(0, -2)
        likeness = self._likeness(rows).unflatten(0, features.shape[:1] + features.shape[2:])
        return likeness.movedim(-1, 1)

    @torch.no_grad()
    def fit(self, features: Tensor, rng: torch.Generator) -> None:
        """Find the centroids of features (N, C, h, w): K-means++, then Lloyd's passes.

        Args:
            features: Of samples of the generator, at least as many as there are clusters.
            rng: Draws where the centroids start; on the CPU.

        Raises:
            InputError: If there are fewer samples than clusters, or clusters that nothing is like.
        """
        if len(features) < self.num_clusters:
            raise InputError(
                f"{self.num_clusters} clusters are asked for from {len(features)} samples: give at "
                "least as many samples, or fewer clusters."
            )
        self.deviation.copy_(features.std(dim=(0, 2, 3)).clamp(min=1e-6))
        rows = self._comparable(features.movedim(1, -1).flatten(0, -2))
        self.centroids.copy_(self._first(rows, rng))
        labels = torch.full(rows.shape[:1], -1, device=rows.device)
        for _ in range(PASSES):
            near = torch.cat([self._near(some).argmax(1) for some in rows.split(ROWS)])
            if torch.equal(near, labels):
                break
            labels = near
            self._move(rows, labels)

    def _first(self, rows: Tensor, rng: torch.Generator) -> Tensor:
        """Return K of the rows, each drawn by its squared distance from those before it."""
        chosen = rows[torch.randint(len(rows), (1,), generator=rng).to(rows.device)]
        distance = (rows - chosen).square().sum(1)
        for _ in range(1, self.num_clusters):
            if not distance.max() > 1e-12:
                raise InputError(
                    f"the features of the source are too alike for {self.num_clusters} clusters: "
                    f"there are {len(chosen)} different ones; give fewer clusters, or another size."
                )
            place = torch.rand(1, generator=rng, dtype=torch.float64).to(rows.device)
            summed = distance.double().cumsum(0)
            index = torch.searchsorted(summed, place * summed[-1]).clamp(max=len(rows) - 1)
            chosen = torch.cat([chosen, rows[index]])
            distance = torch.minimum(distance, (rows - rows[index]).square().sum(1))
        return chosen

    def _move(self, rows: Tensor, labels: Tensor) -> None:
        """Put each centroid that has rows into their middle."""
        sums = torch.zeros_like(self.centroids).index_add_(0, labels, rows)
        count = labels.bincount(minlength=self.num_clusters)[:, None]
        middle = sums / count.clamp(min=1)
        middle = F.normalize(middle) if self.spherical else middle
        self.centroids.copy_(torch.where(count > 0, middle, self.centroids))

    def _likeness(self, rows: Tensor) -> Tensor:
        return self._near(self._comparable(rows))

    def _comparable(self, rows: Tensor) -> Tensor:
        rows = rows / self.deviation
        return F.normalize(rows) if self.spherical else rows

    def _near(self, rows: Tensor) -> Tensor:
        product = rows @ self.centroids.T
        if self.spherical:
            return product
        return 2 * product - rows.square().sum(1, True) - self.centroids.square().sum(1)
