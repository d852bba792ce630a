"""Images of a source that knows what each pixel shows, with their label maps."""

from collections.abc import Sequence
from functools import cached_property

from datamodules.augment.images import TransformSpec
from datamodules.augment.scenes import build_joint_augment
from datamodules.base.translation_data import HeldOut, TranslationData
from datamodules.errors import DataError
from datamodules.items.modalities import Modality
from datamodules.items.scenes import MemoryScenes
from datamodules.items.splits import MemoryImages
from datamodules.labelled.source import IMAGES, Hand, LabelledSource

PAIRS, PARTS, IMAGE = "pairs", "parts", "image"  # the one training set and its modalities


class Segmented(TranslationData):
    """A training set `pairs` of label maps `parts` and images `image`, from a labelled source.

    Items have the source's attributes too. No image is in a data module of the same source that
    deals to other groups, such as `LabelledImages`.

    Args:
        source: Where images and label maps come from; a world that has its parts.
        images: Pairs to train on.
        n_val: Pairs of val; 0 for no val.
        n_test: Pairs of test; 0 for no test.
        batch_size: Pairs per batch and process.
        augment: Joint transforms of a training pair; see `build_joint_augment`.
        num_workers: Processes that prepare batches; 0 is fastest for images in memory.
        seed: Seeds the order of the pairs and their augmentation.
    """

    def __init__(
        self,
        source: LabelledSource,
        images: int = 2000,
        n_val: int = 200,
        n_test: int = 500,
        batch_size: int = 16,
        augment: list[TransformSpec] | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__({PAIRS: [PARTS, IMAGE]}, batch_size, num_workers, seed)
        if not source.parts:
            raise DataError(
                f"The source {type(source).__name__} does not say what its pixels show; give one "
                "that does, such as Portraits with parts: true."
            )
        if images < 1 or n_val < 0 or n_test < 0:
            raise DataError(
                f"images is {images}, n_val {n_val} and n_test {n_test}; give 1 or more to train "
                "on, and 0 or more to val and test."
            )
        names, colours = tuple(source.parts), tuple(source.parts.values())
        self.modalities = {
            PARTS: Modality("labels", len(names), names, colours),
            IMAGE: Modality("image", source.channels),
        }
        self.source, self.image_size = source, source.image_size
        self.counts = {"train": images, "val": n_val, "test": n_test, "complete": images}
        if augment:
            self.augment = build_joint_augment(augment, self.modalities)

    def has_split(self, name: str) -> bool:
        return name in ("val", "test") and bool(self.counts[name])

    def load_set(self, name: str) -> MemoryScenes:  # noqa: ARG002 - the only one
        return self._load("train")

    def load_held_out(self, name: HeldOut) -> MemoryScenes:
        return self._load(name)

    def complete_set(self, names: list[str]) -> MemoryScenes:
        """Return as many scenes as train has in modalities `names`, none in any set or split.

        They are for networks that judge a method, never for the method.
        """
        if unknown := [name for name in names if name not in self.modalities]:
            raise DataError(f"There is no modality {unknown[0]!r}; there are {PARTS} and {IMAGE}.")
        return self._load("complete", names)

    def _load(self, part: str, names: Sequence[str] = (PARTS, IMAGE)) -> MemoryScenes:
        hand = self._hands[part]
        images = self.source.load(hand)
        assert isinstance(images, MemoryImages), "of a world"
        stored = {PARTS: images.fields[PARTS], IMAGE: images.pixels}
        fields = {name: images.fields[name] for name in self.source.attributes}
        ids = [f"{number}" for number in hand.index.tolist()]
        modalities = {name: self.modalities[name] for name in names}
        return MemoryScenes(modalities, {name: stored[name] for name in names}, ids, fields)

    @cached_property
    def _hands(self) -> dict[str, Hand]:
        parts = {f"segmented/{part}": [{IMAGES: n}] for part, n in self.counts.items() if n}
        dealt = self.source.deal(parts)
        return {name.partition("/")[2]: hand for name, hand in dealt.items()}
