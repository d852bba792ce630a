"""The training images whose styles are compared and coded."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lit_synth.batches.coding import IGNORE
from lit_synth.contracts.data import Scenes, TranslationData
from lit_synth.errors import InputError
from lit_synth.features.style_distance import StyleDistance

AT_ONCE = 100  # images on their way through a network
MOST_CODES = 50_000


class StyleImages:
    """Some images of a training set, by position.

    Args:
        scenes: The training set.
        modality: Name of the images.
        mask: Name of labels in which what is not 0 has the style; None: all has.
        most: How many images are compared at most: a part that is always the same.
    """

    def __init__(self, scenes: Scenes, modality: str, mask: str | None, most: int) -> None:
        self.scenes, self.modality, self.mask = scenes, modality, mask
        order = torch.randperm(len(scenes), generator=torch.Generator().manual_seed(0))
        self.chosen = order[:most].sort().values

    @classmethod
    def of(cls, data: object, modality: str, mask: str | None, most: int) -> "StyleImages":
        """Return images of the first training set that has them, and their masks.

        Raises:
            InputError: If no training set has.
        """
        wanted = {modality} if mask is None else {modality, mask}
        sets = data.sets if isinstance(data, TranslationData) else {}
        for name, held in sets.items():
            if wanted <= set(held):
                assert isinstance(data, TranslationData)
                return cls(data.training_set(name), modality, mask, most)
        listed = ", ".join(f"{name} ({', '.join(held)})" for name, held in sets.items())
        raise InputError(
            f"no training set holds {' and '.join(sorted(wanted))}, whose styles are to be coded: "
            f"there are {listed or 'none'}; name the modalities as the data does."
        )

    def __len__(self) -> int:
        return len(self.chosen)

    def at(self, places: Tensor) -> Tensor:
        """Return the images (M, C, H, W) at places (M,) among those that are compared."""
        return self._fetch(self.chosen[places.cpu()].tolist())[0]

    def points(self, distance: StyleDistance, device: torch.device) -> Callable[[int, int], Tensor]:
        """Return what gives a distance's points (M, D) of the images `first` to `end`."""

        def embedded(first: int, end: int) -> Tensor:
            found = []
            for places in torch.split(self.chosen[first:end], AT_ONCE):
                images, inside = self._fetch(places.tolist())
                inside = None if inside is None else inside.to(device)
                found.append(distance.embed(images.to(device), inside))
            return torch.cat(found)

        return embedded

    @torch.no_grad()
    def codes(self, code: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
        """Return the codes (N, d) of all images of the training set, of 50,000 at most.

        Args:
            code: Maps images (M, C, H, W) to codes.
            like: Has the type of the images, and their device.
        """
        places = range(min(len(self.scenes), MOST_CODES))
        found = []
        with torch.autocast(like.device.type, enabled=False):
            for start in range(0, len(places), AT_ONCE):
                images, _ = self._fetch(places[start : start + AT_ONCE])
                found.append(code(images.to(like)))
        return torch.cat(found)

    def _fetch(self, positions: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        scenes = self.scenes.fetch(positions)
        if self.mask is None:
            return scenes[self.modality], None
        ids = scenes[self.mask]
        return scenes[self.modality], ((ids != 0) & (ids != IGNORE))[:, None].float()
