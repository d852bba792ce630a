"""Random images of three domains without partners."""

import torch

from datamodules.base.translation_data import TranslationData
from datamodules.items.modalities import Modality
from datamodules.items.scenes import MemoryScenes

DOMAINS = ("dark", "grey", "bright")


def domain(name, n, first=0, size=16):
    """Return n images of a domain, each of one level, which says the domain, and some noise."""
    rng = torch.Generator().manual_seed(first)
    level = 64 * (1 + DOMAINS.index(name))
    stored = level + torch.randint(-40, 40, (n, 1, size, size), generator=rng)
    modality = Modality("image", 1, label=DOMAINS.index(name))
    ids = [f"{name}-{first + i}" for i in range(n)]
    return MemoryScenes({name: modality}, {name: stored.to(torch.uint8)}, ids)


class TinyDomains(TranslationData):
    """A training set of 10 images of each domain, and 8 hidden ones."""

    aligned = False

    def __init__(self, batch_size: int = 4, seed: int = 0) -> None:
        super().__init__({name: [name] for name in DOMAINS}, batch_size, num_workers=0, seed=seed)
        self.modalities = {name: domain(name, 1).modalities[name] for name in DOMAINS}

    def load_set(self, name):
        return domain(name, 10)

    def load_held_out(self, name):
        each = [domain(key, 8, 10_000 if name == "val" else 20_000) for key in DOMAINS]
        stored = {key: scenes.stored[key] for key, scenes in zip(DOMAINS, each, strict=True)}
        return MemoryScenes(self.modalities, stored, [f"{name}-{i}" for i in range(8)])


def batch(n=4):
    """Return a nested training batch {set: {domain: tensor}}."""
    return {name: domain(name, n).fetch(range(n)) for name in DOMAINS}
