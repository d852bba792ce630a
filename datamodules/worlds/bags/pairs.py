"""Edges of handbags beside the handbags: pairs in which one picture leaves the style open."""

import torch
import torch.nn.functional as F

from datamodules.augment.images import TransformSpec
from datamodules.augment.scenes import build_joint_augment
from datamodules.base.translation_data import HeldOut, TranslationData
from datamodules.errors import DataError
from datamodules.items.modalities import Modality
from datamodules.items.scenes import MemoryScenes
from datamodules.items.splits import Batch
from datamodules.labelled.source import BLOCK
from datamodules.worlds.bags.world import Bags

KINDS = ("pattern", "shape", "strap")
MODALITIES = {
    "edges": Modality("image", 1),
    "image": Modality("image", 3),
    "mask": Modality("labels", 2, ("wall", "bag"), ((255, 255, 255), (90, 90, 90))),
}


class BagEdges(TranslationData):
    """One training set, `pairs`: the edges of a bag, the bag in front of white, and its mask.

    The task is that of edges2handbags (Isola et al. 2017, arXiv:1611.07004), but edges are drawn
    from the shapes that the bag is drawn from, so that they tell nothing of its style: colour,
    texture, pattern, shade, and how bold the print is. Masks are 1 where these may show.

    Fields: those of `Bags` but the mask; `number`, the bag's index; and `tone` (N, 3), the mean RGB
    inside the mask, in [0, 1].

    Args:
        image_size: Side in pixels, 32 to 128.
        pairs: Number of pairs of the training set.
        val_pairs: Number of pairs of `val`.
        test_pairs: Number of pairs of `test`.
        world_seed: Names the world.
        faintest: Least opacity of a print, 0.1 to 0.5.
        batch_size: Pairs per batch and process.
        augment: Transforms of the training pairs; see `build_joint_augment`.
        num_workers: Processes that prepare batches; the pictures are in memory, so 0 is fastest.
        seed: Seeds the order of the pairs and their augmentation.
    """

    def __init__(
        self,
        image_size: int = 64,
        pairs: int = 4000,
        val_pairs: int = 200,
        test_pairs: int = 400,
        world_seed: int = 0,
        faintest: float = 0.5,
        batch_size: int = 8,
        augment: list[TransformSpec] | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__({"pairs": list(MODALITIES)}, batch_size, num_workers, seed)
        self.modalities = dict(MODALITIES)
        self.world = Bags(image_size, world_seed, faintest)
        self.counts = {"pairs": pairs, "val": val_pairs, "test": test_pairs}
        for name, count in self.counts.items():
            if not 1 <= count <= BLOCK:
                raise DataError(f"The number of {name} is {count}; give 1 to {BLOCK}.")
        if augment:
            self.augment = build_joint_augment(augment, self.modalities)

    def load_set(self, name: str) -> MemoryScenes:
        return self._load(name)

    def load_held_out(self, name: HeldOut) -> MemoryScenes:
        return self._load(name)

    def style_truth(self, fields: Batch) -> Batch:
        """Return by name points (N, D) whose distances are those in one respect.

        Of style: `tone`, `print` (how bold), `pattern` (of printed bags). And `content`, the kinds
        of shape and strap.
        """
        printed = fields["texture"][:, None].float()
        kinds = {n: F.one_hot(fields[n], len(self.world.attributes[n])) for n in KINDS}
        return {
            "tone": fields["tone"],
            "print": fields["contrast"][:, None] * printed,
            "pattern": kinds["pattern"] * printed,
            "content": torch.cat([kinds["shape"], kinds["strap"]], dim=1).float(),
        }

    def describe(self) -> dict[str, object]:
        world = {"world_seed": self.world.world_seed, "faintest": self.world.faintest}
        return {**super().describe(), "image_size": self.world.image_size, **world}

    def _load(self, part: str) -> MemoryScenes:
        hand = self.world.deal({f"{part}/edges": [{"images": self.counts[part]}]})[f"{part}/edges"]
        fields = self.world.render_with_edges(hand.index, hand.given)
        inside = fields["mask"]
        fields["tone"] = (fields["image"] * inside).sum((2, 3)) / inside.sum((2, 3)) / 255
        fields["mask"] = inside[:, 0]
        stored = {name: fields.pop(name) for name in MODALITIES}
        ids = [f"bag-{number}" for number in hand.index.tolist()]
        return MemoryScenes(self.modalities, stored, ids, {**fields, "number": hand.index})
