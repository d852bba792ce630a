"""Random scenes in every kind of modality, and nested batches of them."""

import torch

from datamodules.base.translation_data import TranslationData
from datamodules.items.modalities import Modality
from datamodules.items.scenes import MemoryScenes

CLASSES = 5
MODALITIES = {
    "rgb": Modality("image", 3),
    "depth": Modality("depth", 1),
    "segmentation": Modality("labels", CLASSES, tuple("abcde")),
    "nir": Modality("image", 1),
}
RS_RD = {"rs": ["rgb", "segmentation"], "rd": ["rgb", "depth"]}


def scenes(n, names, first=0, size=16):
    """Return n scenes whose modalities all show one random field, coarse enough to be learned."""
    rng = torch.Generator().manual_seed(first)
    field = torch.rand(n, 1, 4, 4, generator=rng).repeat_interleave(size // 4, 2)
    field = field.repeat_interleave(size // 4, 3)
    labels = (field[:, 0] * CLASSES).long().clamp(max=CLASSES - 1).to(torch.uint8)
    labels[:, 0, 0] = 255
    stored = {
        "rgb": torch.cat([field, 1 - field, field.square()], 1).mul(255).to(torch.uint8),
        "depth": 1 + 4 * field,
        "segmentation": labels,
        "nir": field.sqrt().mul(255).to(torch.uint8),
    }
    stored["depth"][:, :, 0, 1] = 0
    ids = [f"scene-{first + i}" for i in range(n)]
    modalities = {name: MODALITIES[name] for name in names}
    return MemoryScenes(modalities, {name: stored[name] for name in names}, ids)


class TinyScenes(TranslationData):
    """Training sets of `scenes_per_set` scenes, and 8 hidden ones.

    Args:
        sets: Training set -> its modalities.
        scenes_per_set: In each of them.
        overlap: Scenes that a set shares with the one before.
    """

    def __init__(
        self,
        sets: dict[str, list[str]] = RS_RD,
        scenes_per_set: int = 10,
        overlap: int = 0,
        batch_size: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__(sets, batch_size, num_workers=0, seed=seed)
        self.modalities = MODALITIES
        self.scenes_per_set, self.overlap = scenes_per_set, overlap

    def load_set(self, name):
        first = list(self.sets).index(name) * (self.scenes_per_set - self.overlap)
        return scenes(self.scenes_per_set, self.sets[name], first)

    def load_held_out(self, name):
        used = [m for m in MODALITIES if any(m in names for names in self.sets.values())]
        return scenes(8, used, 10_000 if name == "val" else 20_000)


def batch(sets=None, n=4):
    """Return a nested training batch {set: {modality: tensor}}."""
    return {
        name: scenes(n, names, first=number * n).fetch(range(n))
        for number, (name, names) in enumerate((sets or RS_RD).items())
    }
