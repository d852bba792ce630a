"""Images that have many attributes each, any of which a translation flips."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from datamodules.augment.images import TransformSpec, build_augment
from datamodules.base.translation_data import HeldOut, TranslationData
from datamodules.errors import DataError
from datamodules.items.balanced_stream import BalancedStream
from datamodules.items.modalities import Modality
from datamodules.items.scenes import Scenes
from datamodules.items.splits import Batch, Split, content_hash, to_unit_range
from datamodules.items.stream import Nested, Stream, StreamLoader, training_loader
from datamodules.labelled.files import ALL
from datamodules.labelled.source import IMAGES, Hand, LabelledSource, LabelledWorld
from datamodules.labelled.traits import Trait, evenly

SET = "images"  # the only training set
IMAGE, ATTRIBUTES = "image", "attributes"  # what it has


class Attributes(TranslationData):
    """A training set of images with binary attributes, for one model of many domains.

    Each attribute's name is a modality too, which the training set lacks: the translation of
    `image` to `hat` puts a hat on who has none and takes it off who has one. A training batch is
    {images: {image, attributes}}, attributes float32 (N, K) of 0 and 1.

    An item of `val` or `test` has `image`, `attributes` and the source's fields, of which one that
    is called like a modality goes by `image/<field>`. A world's items are aligned: under each
    attribute's name they have the image with it flipped and all else kept. Where it is one of
    several values, yes becomes the value after it.

    Of what the measures of bias ask for, `wanted` and `wanted_value` are missing: the target of
    each translation is what is wanted, and a flip has no value of its own.

    Labels that are values of one attribute, as `hair=blond` and `hair=black`, exclude each other.

    Args:
        source: Where the images come from.
        attributes: Names of those with two values, of which the second is yes; or `hair=blond`,
            whether an attribute has this value.
        unwanted: What the measures of bias balance and watch, named likewise, with any number of
            values.
        images: To train on; None: all that a source of files has left.
        n_val: Images of val; 0 for no val.
        n_test: Images of test; 0 for no test.
        n_judging: Images of each judging set, about.
        batch_size: Images per batch and process.
        balanced: Whether no and yes of all attributes take turns, see `BalancedStream`. If not,
            each pass shows every image once.
        augment: Transforms of the training images; see `datamodules.transforms.build_augment`.
        num_workers: Processes that prepare batches; 0 is fastest for images in memory.
        seed: Of the orders of the images and of their augmentation.
        exclusive_groups: Groups of attributes of files of which an image has at most one, such as
            `[[Black_Hair, Blond_Hair, Brown_Hair]]`: who gets one of them loses the others.
    """

    def __init__(
        self,
        source: LabelledSource,
        attributes: list[str],
        unwanted: list[str] | None = None,
        images: int | None = None,
        n_val: int = 200,
        n_test: int = 500,
        n_judging: int = 2000,
        batch_size: int = 16,
        balanced: bool = True,
        augment: list[TransformSpec] | None = None,
        num_workers: int = 0,
        seed: int = 0,
        exclusive_groups: list[list[str]] | None = None,
    ) -> None:
        steps = build_augment(augment) if augment else None
        super().__init__({SET: [IMAGE]}, batch_size, num_workers, seed, steps)
        self.source, self.names, self.unwanted = source, list(attributes), list(unwanted or [])
        if not attributes or len({IMAGE, ATTRIBUTES, *attributes}) < 2 + len(attributes):
            raise DataError(
                f"attributes is {attributes}; name one or more, each once, and none of them "
                f"{IMAGE} or {ATTRIBUTES}."
            )
        self.aligned = isinstance(source, LabelledWorld)
        if images is None and self.aligned:
            raise DataError("images is null, but a world renders any number; say how many.")
        self.modalities = {
            name: Modality("image", source.channels) for name in (IMAGE, *attributes)
        }
        self.counts = {"train": ALL if images is None else images, "val": n_val, "test": n_test}
        self.n_judging, self.balanced = n_judging, balanced
        self._declared = [list(group) for group in exclusive_groups or []]
        check_groups(self._declared, self.names)
        if self._declared and self.aligned:
            raise DataError(
                f"exclusive_groups is {self._declared}, but a world rolls its attributes apart: "
                "leave it out, or give values of one attribute, which exclude each other."
            )

    @property
    def exclusive_groups(self) -> list[list[str]]:
        """Labels of which an image has at most one: those declared, and values of one attribute."""
        values: dict[str, list[str]] = {}
        for name in self.names:
            values.setdefault(name.partition("=")[0], []).append(name)
        return [*self._declared, *(group for group in values.values() if len(group) > 1)]

    @property
    def attributes(self) -> Mapping[str, Sequence[str]]:
        """Those of the source: name -> names of its values."""
        return self.source.attributes

    @cached_property
    def traits(self) -> dict[str, "Trait"]:
        """Name -> what a label of this name says, in the order of the labels."""
        traits = {name: self._trait(name) for name in self.names}
        for name, trait in traits.items():
            if len(trait.groups) != 2:
                values = self.attributes[name]
                raise DataError(
                    f"{name} has the values {', '.join(values)}; ask for one of them, e.g. "
                    f"{name}={values[0]}."
                )
        return traits

    def has_split(self, name: str) -> bool:
        return name in ("val", "test") and bool(self.counts[name])

    def load_set(self, name: str) -> Scenes:  # noqa: ARG002 - there is one
        images = self.source.load(self._hands["train"])
        labels = self._labels(images.fields)
        for label, column in zip(self.names, labels.T, strict=True):
            if len(column.unique()) < 2:
                raise DataError(
                    f"{label} is {'yes' if column[0] else 'no'} in all {len(images)} images to "
                    "train on, so that it cannot be learned; leave it out or give more images."
                )
        return _Labelled({IMAGE: self.modalities[IMAGE]}, images, {ATTRIBUTES: labels}, {})

    def load_held_out(self, name: HeldOut) -> Scenes:
        images = self.source.load(self._hands[name])
        fields = {
            f"{IMAGE}/{field}" if field in self.modalities else field: values
            for field, values in images.fields.items()
        }
        for label, trait in self.traits.items():
            if (mask := f"mask_{trait.attribute}") in fields:
                fields[f"mask_{label}"] = fields[mask]
        fields[ATTRIBUTES] = self._labels(images.fields)
        flips = self._flips(images.fields)
        known = {name: self.modalities[name] for name in (IMAGE, *flips)}
        return _Labelled(known, images, fields, flips)

    def train_dataloader(self) -> StreamLoader:
        if not self.balanced:
            return super().train_dataloader()
        images = self.training_set(SET)
        stream = BalancedStream(images, images.fields[ATTRIBUTES], self.seed, self.augment)
        return training_loader(self, _InSet(stream), self.batch_size, self.num_workers)

    def judging_set(self, attribute: str, number: int) -> tuple[Tensor, Tensor]:
        """Return images and labels to train judge `number` of an attribute on.

        All combinations of its labels and the values of `unwanted` are equally frequent. No image
        is in the training set, in `val` or `test`, or seen by a judge of another number.

        Args:
            attribute: One of the source, or such as `hair=blond`.
            number: Of the judge.

        Returns:
            Images (N, C, H, W) in [-1, 1], and labels, int64 (N,).
        """
        judged = self._trait(attribute)
        others = {each.attribute: each for each in map(self._trait, self.unwanted)}
        traits = list({**others, judged.attribute: judged}.values())
        part = f"judge{number}/{attribute}"
        portions = evenly(self.attributes, traits, self.n_judging)
        images = self.source.load(self.source.deal({part: portions})[part])
        labels = judged.labels(images.fields[judged.attribute])
        return images.images(torch.arange(len(images))), labels

    def identity_set(self) -> tuple[Tensor, Tensor] | None:
        """Return photos and whom they show, as the source has them; None: it shows nobody."""
        return self.source.identity_set()

    def verdicts(self, images: Tensor, fields: Batch) -> Batch:
        """Read labels and unwanted attributes without a classifier, where the source can.

        Args:
            images: Images in [-1, 1] (N, C, H, W) made from held-out ones.
            fields: What is known of those, named as in items or as by the source.

        Returns:
            Name -> label or value, int64 (N,).
        """
        read = self.source.verdicts(images, _as_the_source_says(fields))
        traits = {name: self._trait(name) for name in (*self.names, *self.unwanted)}
        return {n: t.labels(read[t.attribute]) for n, t in traits.items() if t.attribute in read}

    def calibrate(self, copies: Tensor, fields: Batch) -> Batch:
        """Return what `verdicts` is to allow for, from a method's copies (N, C, H, W) of images."""
        return self.source.calibrate(copies, _as_the_source_says(fields))

    def true_styles(self, fields: Batch, domain: str, n: int) -> Tensor | None:
        """Return held-out images with an attribute flipped, in `n` styles, where the source can.

        Args:
            fields: What is known of the images, named as in items or as by the source.
            domain: The attribute.
            n: How many.

        Returns:
            (N, n, C, H, W) in [-1, 1].
        """
        known, trait = _as_the_source_says(fields), self.traits[domain]
        target, names = trait.flipped(known[trait.attribute]), self.attributes[trait.attribute]
        styles: list[Tensor] = []
        # The source changes all images alike, so those of one new value go together.
        places = [torch.nonzero(target == value).flatten() for value in range(len(names))]
        for name, place in zip(names, places, strict=True):
            if len(place):
                some = {field: values[place] for field, values in known.items()}
                made = self.source.true_styles(some, {trait.attribute: name}, n)
                if made is None:
                    return None
                styles.append(made)
        return to_unit_range(torch.cat(styles)[torch.cat(places).argsort()])

    def describe(self) -> dict[str, object]:
        return {
            **super().describe(),
            "source": type(self.source).__name__,
            "image_size": self.source.image_size,
            "attributes": self.names,
            "exclusive_groups": self.exclusive_groups,
            "unwanted": self.unwanted,
            "balanced": self.balanced,
        }

    def _trait(self, name: str) -> "Trait":
        return Trait.parse(name, self.attributes)

    @cached_property
    def _hands(self) -> dict[str, Hand]:
        parts = {f"{name}/{SET}": [{IMAGES: n}] for name, n in self.counts.items() if n}
        hands = self.source.deal(parts)
        return {part.split("/")[0]: hand for part, hand in hands.items()}

    def _labels(self, fields: Batch) -> Tensor:
        """Return the labels, float32 (N, K)."""
        columns = [trait.labels(fields[trait.attribute]) for trait in self.traits.values()]
        return torch.stack(columns, dim=1).float()

    def _flips(self, fields: Batch) -> Batch:
        """Return name -> uint8 images with this attribute flipped; {} where nobody can know."""
        if not isinstance(self.source, LabelledWorld):
            return {}
        values = {name: fields[name] for name in self.attributes}
        flips = {}
        for name, trait in self.traits.items():
            given = {**values, trait.attribute: trait.flipped(values[trait.attribute])}
            flips[name] = self.source.render(fields["number"], given)["image"]
        return flips


class _InSet:
    """A stream as batches of the training set."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def fetch(self, draws: range) -> Nested:
        return {SET: self.stream.fetch(draws)}


class _Labelled(Scenes):
    """Images of a source, and the same with attributes flipped.

    Args:
        modalities: `image`, and the attributes of `flips`.
        source: The images.
        fields: See `Split`.
        flips: Attribute -> images with it flipped, uint8 (N, C, H, W).
    """

    def __init__(
        self, modalities: Mapping[str, Modality], source: Split, fields: Batch, flips: Batch
    ) -> None:
        ids = [f"image-{number:06d}" for number in source.fields["number"].tolist()]
        super().__init__(modalities, ids, fields)
        self.source, self.flips = source, flips

    @cached_property
    def sha256(self) -> str:
        labels = content_hash({ATTRIBUTES: self.fields[ATTRIBUTES], **self.flips})
        return hashlib.sha256(f"{self.source.sha256} {labels}".encode()).hexdigest()

    def pictures(self, index: Tensor) -> Batch:
        flips = {name: to_unit_range(pixels[index]) for name, pixels in self.flips.items()}
        return {IMAGE: self.source.images(index), **flips}


def check_groups(groups: Sequence[Sequence[str]], names: Sequence[str]) -> None:
    """Raise DataError unless every group has two attributes or more, all of them named."""
    for group in groups:
        if len(set(group)) < 2 or not set(group) <= set(names):
            raise DataError(
                f"exclusive_groups has {', '.join(group) or 'an empty group'}; give each group two "
                f"or more of attributes, {', '.join(names)}."
            )


def _as_the_source_says(fields: Batch) -> Batch:
    """Return fields of items by the names that the source gives them."""
    prefix = f"{IMAGE}/"
    renamed = {n.removeprefix(prefix): each for n, each in fields.items() if n.startswith(prefix)}
    return {**fields, **renamed}
