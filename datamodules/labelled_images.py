"""Images with one of their attributes as label, to train the classifiers that extract and judge."""

import copy
from functools import cached_property

from datamodules.augment.images import TransformSpec
from datamodules.base.image_data import ImageDataModule, SplitName
from datamodules.errors import DataError
from datamodules.items.splits import Split
from datamodules.labelled.source import Hand, LabelledSource, balanced, value_number

_OTHERS = ("train", "val", "test", "judge")  # groups that `Biased` and `Attributes` deal


class LabelledImages(ImageDataModule):
    """Images of a labelled source, as many of each value of an attribute, which is their `label`.

    No image is in a data module of the same source that deals to other groups, such as `Biased`.
    The fields are the source's besides `label`.

    Args:
        source: Where the images come from.
        attribute: What is to be told.
        part: Group of the source's images that these are; modules that name another have others.
        balance: Attributes whose combinations of values are equally frequent, so that none of them
            tells `attribute`; None: `attribute` alone.
        n_train: Images to train on, about.
        n_val: Images of val, about.
        n_test: Images of test, about.
        batch_size: Images per batch and process.
        num_workers: Processes that prepare batches; 0 is fastest for images in memory.
        seed: Of the order of the training images and of their augmentation.
        augment: Transforms of the training images; see `datamodules.transforms.build_augment`.
        only: Values that all images have, such as {age: old, hat: yes}.
    """

    def __init__(
        self,
        source: LabelledSource,
        attribute: str,
        part: str = "extractor",
        balance: list[str] | None = None,
        n_train: int = 4000,
        n_val: int = 500,
        n_test: int = 500,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        augment: list[TransformSpec] | None = None,
        only: dict[str, str] | None = None,
    ) -> None:
        super().__init__(source.image_size, source.channels, batch_size, num_workers, seed, augment)
        value_number(source.attributes, attribute, None)
        if not part or "/" in part or part.startswith(_OTHERS):
            raise DataError(
                f"part is {part!r}; give a name without / that does not begin with "
                f"{', '.join(_OTHERS)}, whose images others learn from or are tested on."
            )
        for name, n in (("n_train", n_train), ("n_val", n_val), ("n_test", n_test)):
            if n < 1:
                raise DataError(f"{name} is {n}; give 1 or more.")
        self.source, self.attribute, self.part = source, attribute, part
        self.balance = list(dict.fromkeys([attribute, *(balance or [])]))
        self.only = dict(only or {})
        for name, value in self.only.items():
            value_number(source.attributes, name, value)
            if name in self.balance:
                raise DataError(
                    f"only has {name}: {value}, but as many images of each value of {name} are "
                    "asked for by attribute or balance: drop it from one of them."
                )
        counts: dict[SplitName, int] = {"train": n_train, "val": n_val, "test": n_test}
        self._portions = {
            f"{part}/{name}": [
                {**portion, **self.only} for portion in balanced(source.attributes, self.balance, n)
            ]
            for name, n in counts.items()
        }
        self.resize_rule = f"as {type(source).__name__} gives them"
        self.split_rule = f"dealt by the source to {', '.join(self._portions)}"

    @property
    def class_names(self) -> list[str]:
        return list(self.source.attributes[self.attribute])

    def load_split(self, name: SplitName) -> Split:
        images = copy.copy(self.source.load(self._hands[f"{self.part}/{name}"]))
        images.fields = {**images.fields, "label": images.fields[self.attribute]}
        return images

    @cached_property
    def _hands(self) -> dict[str, Hand]:
        return self.source.deal(self._portions)

    def describe(self) -> dict[str, object]:
        return {
            **super().describe(),
            "source": type(self.source).__name__,
            "attribute": self.attribute,
            "balance": self.balance,
            "only": self.only,
        }
