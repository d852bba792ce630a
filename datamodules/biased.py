"""Domains that are to differ in one attribute and, by how they were collected, differ in others."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from datamodules.augment.images import TransformSpec
from datamodules.augment.scenes import build_joint_augment
from datamodules.base.translation_data import HeldOut, TranslationData, refuse_leaks
from datamodules.errors import DataError
from datamodules.items.modalities import Modality
from datamodules.items.scenes import Scenes
from datamodules.items.splits import Batch, MemoryImages, Split, to_unit_range
from datamodules.labelled.portions import (
    Attributes,
    Dial,
    Mixes,
    check_domain,
    mix,
    rare_elsewhere,
    scaled,
    turned,
)
from datamodules.labelled.source import (
    Hand,
    LabelledSource,
    Portion,
    balanced,
    count,
    given_values,
    value_number,
)


class Biased(TranslationData):
    """A training set of each domain whose images differ from the others' in more than is wanted.

    The domains of UDIT (Wang, Gonzalez-Garcia, van de Weijer, Herranz 2019, arXiv:1907.09754): a
    translation is to change the attribute `wanted` and no other, although the training images of
    the domains differ in the attributes `unwanted` as well. Of training images nothing but their
    domain is told.

    An item of `val` or `test` holds one image of each domain, which are not aligned, and as
    `<domain>/<field>` what the source knows of each. Where `held_out` does not say which images
    these are, they have of each unwanted attribute the value that is rarest in the other domains
    together, among those that the domain itself has (the first on a tie; a portion without the
    attribute counts for all values alike; an attribute that no portion names is left to vary). The
    portions count as written, before a dial, so that a dial does not change what is tested.

    Args:
        source: Where the images come from.
        wanted: Attribute whose values are the domains'.
        unwanted: Attributes that a translation is to keep.
        domains: Domain -> portions, {images: how many, attribute: value, ...}. All portions of a
            domain have its value of `wanted`.
        held_out: Domain -> portions of which val and test consist; their `images` are proportions.
        dial: Replaces the portions of one domain.
        n_val: Images of each domain in val; 0 for no val.
        n_test: Images of each domain in test; 0 for no test.
        n_judging: Images of each judging set, about.
        batch_size: Images of every domain per batch and process.
        num_workers: Processes that prepare batches; 0 is fastest for images in memory.
        seed: Of the orders of the images and of their augmentation.
        augment: Transforms of the training images; see `build_joint_augment`.

    Attributes:
        attributes: Of the source, name -> names of its values.
    """

    aligned = False

    def __init__(
        self,
        source: LabelledSource,
        wanted: str,
        unwanted: list[str],
        domains: dict[str, list[dict[str, str | int]]],
        held_out: dict[str, list[dict[str, str | int]]] | None = None,
        dial: Dial | None = None,
        n_val: int = 128,
        n_test: int = 256,
        n_judging: int = 2000,
        batch_size: int = 8,
        num_workers: int = 0,
        seed: int = 0,
        augment: list[TransformSpec] | None = None,
    ) -> None:
        super().__init__({name: [name] for name in domains}, batch_size, num_workers, seed)
        self.source, self.attributes = source, source.attributes
        self.wanted, self.unwanted = wanted, list(unwanted)
        self.counts = {"val": n_val, "test": n_test}
        self.n_judging = n_judging
        self._check_attributes()
        self._check_counts()
        written: Mixes = {name: list(portions) for name, portions in domains.items()}
        self._values = self._values_of(written)
        self.domains = written if dial is None else turned(self.attributes, written, wanted, dial)
        self.held_out = {
            **rare_elsewhere(self.attributes, self._judged, written),
            **self._checked_held_out(held_out or {}),
        }
        self.modalities = {
            name: Modality("image", source.channels, label=number)
            for number, name in enumerate(domains)
        }
        self.augment = build_joint_augment(augment, self.modalities) if augment else None
        self._mixes: Mixes = {}

    def has_split(self, name: str) -> bool:
        return self.counts.get(name, 0) > 0

    def wanted_value(self, domain: str) -> int:
        """Return the value of `wanted` that the images of a domain have."""
        return self._values[domain]

    def judging_set(self, attribute: str, number: int) -> tuple[Tensor, Tensor]:
        """Return images and values of an attribute to train judge `number` of it on.

        All combinations of values of `wanted` and `unwanted` are equally frequent. No image is in a
        training set, in `val` or `test`, or in another judging set.

        Returns:
            Images (N, C, H, W) in [-1, 1], and values, int64 (N,).
        """
        if attribute not in self._judged:
            raise DataError(
                f"{attribute!r} is not judged; wanted and unwanted name {', '.join(self._judged)}."
            )
        portions = balanced(self.attributes, self._judged, self.n_judging)
        hands = self.source.deal({f"judge{number}/{name}": portions for name in self._judged})
        images = self.source.load(hands[f"judge{number}/{attribute}"])
        return images.images(torch.arange(len(images))), images.fields[attribute]

    def identity_set(self) -> tuple[Tensor, Tensor] | None:
        """Return photos and whom they show, as the source has them; None: it shows nobody."""
        return self.source.identity_set()

    def verdicts(self, images: Tensor, fields: Batch) -> Batch:
        """Read attributes without a classifier, where the source can.

        Args:
            images: Images in [-1, 1] (N, C, H, W) made from images of a domain.
            fields: What is known of those, without the domain's prefix.

        Returns:
            Attribute -> value, int64 (N,).
        """
        return self.source.verdicts(images, fields)

    def calibrate(self, copies: Tensor, fields: Batch) -> Batch:
        """Return what `verdicts` is to allow for, from a method's copies (N, C, H, W) of images."""
        return self.source.calibrate(copies, fields)

    def true_styles(self, fields: Batch, domain: str, n: int) -> Tensor | None:
        """Return what images would look like in a domain, in `n` styles, where the source can.

        Args:
            fields: What is known of the images, without their own domain's prefix.
            domain: The one that they are to be in.
            n: How many.

        Returns:
            (N, n, C, H, W) in [-1, 1].
        """
        value = self.attributes[self.wanted][self.wanted_value(domain)]
        styles = self.source.true_styles(fields, {self.wanted: value}, n)
        return None if styles is None else to_unit_range(styles)

    def load_set(self, name: str) -> Scenes:
        images = self._images(f"train/{name}")
        if isinstance(images, MemoryImages):
            _refuse_constant(name, images)
        ids = [_identity(number) for number in images.fields["number"].tolist()]
        return _Beside({name: self.modalities[name]}, {name: images}, ids, {})

    def load_held_out(self, name: HeldOut) -> Scenes:
        images = {domain: self._images(f"{name}/{domain}") for domain in self.domains}
        numbers = zip(*(each.fields["number"].tolist() for each in images.values()), strict=True)
        fields = {
            f"{domain}/{field}": values
            for domain, each in images.items()
            for field, values in each.fields.items()
        }
        ids = ["+".join(_identity(number) for number in item) for item in numbers]
        return _Beside(self.modalities, images, ids, fields)

    def describe(self) -> dict[str, object]:
        described = super().describe()  # loads what is counted
        return {
            **described,
            "source": type(self.source).__name__,
            "image_size": self.source.image_size,
            "wanted": self.wanted,
            "unwanted": self.unwanted,
            "mixes": self._mixes,
            "n_judging": self.n_judging,
        }

    @property
    def _judged(self) -> list[str]:
        return [self.wanted, *self.unwanted]

    @cached_property
    def _hands(self) -> dict[str, Hand]:
        parts = {f"train/{name}": portions for name, portions in self.domains.items()}
        for split, n in self.counts.items():
            if n:
                for name, portions in self.held_out.items():
                    parts[f"{split}/{name}"] = scaled(portions, n)
        hands = self.source.deal(parts)
        refuse_leaks({part: [_identity(i) for i in h.index.tolist()] for part, h in hands.items()})
        return hands

    def _images(self, part: str) -> Split:
        images = self.source.load(self._hands[part])
        self._mixes[part] = mix(self.attributes, self._judged, images.fields)
        return images

    def _check_attributes(self) -> None:
        for name in self._judged:
            value_number(self.attributes, name, None)
        if len(set(self._judged)) < len(self._judged):
            raise DataError(
                f"wanted and unwanted are {', '.join(self._judged)}; name each attribute once."
            )

    def _check_counts(self) -> None:
        for name, n in self.counts.items():
            if n < 0:
                raise DataError(f"n_{name} is {n}; give 1 or more, or 0 for no {name}.")
        if self.n_judging < 1:
            raise DataError(f"n_judging is {self.n_judging}; give 1 or more.")

    def _values_of(self, domains: Mixes) -> dict[str, int]:
        """Return the value of `wanted` of each domain, all of which are checked."""
        if len(domains) < 2:
            raise DataError(f"domains has {len(domains)} of them; give two or more.")
        owners: dict[int, str] = {}
        for name, portions in domains.items():
            total = sum(count(name, portion) for portion in portions)
            if total < 2:
                raise DataError(
                    f"The portions of {name} have {total} images in all; a domain takes 2 or more."
                )
            value = _single_value(self.attributes, self.wanted, name, portions)
            if value in owners:
                raise DataError(
                    f"{owners[value]} and {name} both have {self.wanted} "
                    f"{self.attributes[self.wanted][value]}; give each domain a value of its own."
                )
            owners[value] = name
        return {name: value for value, name in owners.items()}

    def _checked_held_out(self, held_out: Mapping[str, Sequence[Portion]]) -> Mixes:
        for name, portions in held_out.items():
            check_domain("held_out", name, self._values)
            value = _single_value(self.attributes, self.wanted, f"held_out of {name}", portions)
            if value != self._values[name]:
                names = self.attributes[self.wanted]
                raise DataError(
                    f"held_out of {name} has {self.wanted} {names[value]}; it is held out of the "
                    f"domain, so give {names[self._values[name]]}."
                )
        return {name: list(portions) for name, portions in held_out.items()}


class _Beside(Scenes):
    """Images of several domains beside each other, or of one.

    Args:
        modalities: Domain -> what it is.
        splits: Domain -> its images, as many of each.
        ids: See `Scenes`.
        fields: See `Split`.
    """

    def __init__(
        self,
        modalities: Mapping[str, Modality],
        splits: Mapping[str, Split],
        ids: Sequence[str],
        fields: Batch,
    ) -> None:
        super().__init__(modalities, ids, fields)
        self.splits = dict(splits)

    @cached_property
    def sha256(self) -> str:
        hashes = "\n".join(f"{name} {split.sha256}" for name, split in self.splits.items())
        return hashlib.sha256(hashes.encode()).hexdigest()

    def pictures(self, index: Tensor) -> Batch:
        return {name: split.images(index) for name, split in self.splits.items()}


def _single_value(
    attributes: Attributes, wanted: str, name: str, portions: Sequence[Portion]
) -> int:
    """Return the value of `wanted` that all portions have, whose other values exist too."""
    values = {portion.get(wanted) for portion in portions}
    if len(values) != 1 or None in values:
        found = ", ".join(sorted(map(str, values))) or "no value at all"
        raise DataError(
            f"The portions of {name} have {wanted} {found}; give all of them one value, which "
            "makes the domain."
        )
    return int(given_values(attributes, name, portions)[wanted][0])


def _refuse_constant(domain: str, images: MemoryImages) -> None:
    flat = images.pixels.flatten(2)
    constant = (flat.amax(2) == flat.amin(2)).all(1)
    if constant.any():
        numbers = images.fields["number"][constant].tolist()
        raise DataError(
            f"{len(numbers)} training images of {domain} show one colour in all pixels, the first "
            f"of them number {numbers[0]} of the source; leave them out."
        )


def _identity(number: int) -> str:
    return f"image-{number}"
