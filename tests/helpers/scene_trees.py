"""Small folders of scenes whose modalities all say where a pixel lies."""

import numpy as np
import torch
from PIL import Image

from datamodules.files.modalities import write_modality
from datamodules.items.modalities import Modality

CLASSES = 4
MODALITIES = {
    "rgb": Modality("image", 3),
    "depth": Modality("depth", 1),
    "seg": Modality("labels", CLASSES),
}
SPECS = {"rgb": {}, "depth": {"kind": "depth"}, "seg": {"kind": "labels", "channels": CLASSES}}


def scene(seed, size=(12, 12)):
    """Return one scene in every modality: a coarse random field of four levels."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (3, 3), generator=rng)
    labels = labels.repeat_interleave(size[0] // 3, 0).repeat_interleave(size[1] // 3, 1)
    grey = labels / (CLASSES - 1) * 2 - 1
    shade = torch.full_like(grey, (seed % 256) / 127.5 - 1)  # no two scenes have one image
    return {"rgb": torch.stack([grey, -grey, shade]), "depth": labels[None] + 1.0, "seg": labels}


def write_scenes(folder, names, stems, size=(12, 12)):
    """Write `<folder>/<modality>/<stem>.png` of scenes whose seed is in their stem."""
    for stem in stems:
        made = scene(int("".join(c for c in stem if c.isdigit())), size)
        for name in names:
            write_modality(folder / name / stem, MODALITIES[name], made[name])


def write_image(path, seed=0, size=(12, 12)):
    """Write a random RGB image of `size` (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return values
