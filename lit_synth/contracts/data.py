"""What data modules give: images in splits, scenes in modalities, sets to judge from."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError

Batch = dict[str, Tensor]


class Images(Protocol):
    """A split of a data module: real images in a fixed order."""

    @property
    def sha256(self) -> str:
        """Hash of the content."""

    def __len__(self) -> int: ...

    def fetch(self, positions: Sequence[int]) -> Batch:
        """Return `image` (N, C, H, W) in [-1, 1], and what else is known of the images."""


@runtime_checkable
class HasSplits(Protocol):
    """Data of which some splits exist, among `train`, `val` and `test`."""

    def has_split(self, name: str) -> bool:
        """Tell whether there is a split of this name."""

    def split(self, name: str) -> Images:
        """Return a split that there is."""


@runtime_checkable
class HasImageSize(Protocol):
    """Data that is trained on in squares of one size, also where its pictures are kept larger.

    Attributes:
        image_size: Side in pixels.
    """

    @property
    def image_size(self) -> int: ...


class Modality(Protocol):
    """What the values of a modality mean.

    Attributes:
        kind: `image`, `depth` or `labels`.
        channels: Number of channels of an image, or of classes of labels.
        class_names: Names of the classes of labels, if they have any.
        palette: An RGB colour in 0..255 for each class, if they have colours.
        label: Class that all its images have, or None.
    """

    @property
    def kind(self) -> str: ...
    @property
    def channels(self) -> int: ...
    @property
    def class_names(self) -> Sequence[str]: ...
    @property
    def palette(self) -> Sequence[tuple[int, int, int]]: ...
    @property
    def label(self) -> int | None: ...


class Scenes(Protocol):
    """Scenes of a data module in a fixed order, each in every modality.

    Attributes:
        sha256: Hash of the content.
        ids: Identity of each scene.
    """

    @property
    def sha256(self) -> str: ...
    @property
    def ids(self) -> Sequence[str]: ...
    def __len__(self) -> int: ...

    def fetch(self, positions: Sequence[int]) -> Batch:
        """Return modality -> data, and what else is known of the scenes."""


@runtime_checkable
class TranslationData(Protocol):
    """A data module of scenes in several modalities.

    Attributes:
        modalities: Name -> what it is.
        sets: Training set -> names of its modalities.
        aligned: Do the modalities of an item of `val` and `test` show one scene?
    """

    @property
    def modalities(self) -> Mapping[str, Modality]: ...
    @property
    def sets(self) -> Mapping[str, Sequence[str]]: ...
    @property
    def aligned(self) -> bool: ...

    def has_split(self, name: str) -> bool:
        """Tell whether there is a split `val` or `test`."""

    def split(self, name: str) -> Scenes:
        """Return `val` or `test`, with all modalities."""

    def training_set(self, name: str) -> Scenes:
        """Return a training set, with its modalities."""

    def seen(self, source: str, target: str) -> bool:
        """Tell whether some training set has both modalities."""


@runtime_checkable
class HasStyleTruth(Protocol):
    """Translation data that knows what the styles and the contents of its scenes are."""

    def style_truth(self, fields: Batch) -> Batch:
        """Return by name points (N, D) whose distances are those in one respect.

        Args:
            fields: What a split's `fetch` returns.
        """


@runtime_checkable
class HasJudges(Protocol):
    """Translation data that says what a translation is to keep, and from which images to judge it.

    Attributes:
        attributes: Name -> names of its values.
        unwanted: Attributes that a translation is to keep; `hair=blond` is whether hair is blond.
    """

    @property
    def attributes(self) -> Mapping[str, Sequence[str]]: ...
    @property
    def unwanted(self) -> Sequence[str]: ...

    def judging_set(self, attribute: str, number: int) -> tuple[Tensor, Tensor]:
        """Return images (N, C, H, W) in [-1, 1] and values (N,) to train a judge on.

        They are balanced, and no other part of the data has them, nor a judge of another number.
        """

    def verdicts(self, images: Tensor, fields: Batch) -> Batch:
        """Read attributes of images (N, C, H, W) without a classifier: name -> value (N,).

        Fields are what is known of the images, and what `calibrate` said.
        """

    def calibrate(self, copies: Tensor, fields: Batch) -> Batch:
        """Return what `verdicts` is to allow for, from a method's copies of images of `fields`."""


@runtime_checkable
class HasWanted(Protocol):
    """Domains that differ in one attribute; elsewhere a translation flips its target's.

    Attributes:
        wanted: The attribute.
    """

    @property
    def wanted(self) -> str: ...

    def wanted_value(self, domain: str) -> int:
        """Return the value of `wanted` that the images of a domain have."""


@runtime_checkable
class HasIdentities(Protocol):
    """Translation data that shows people, and has photos to learn from who they are."""

    def identity_set(self) -> tuple[Tensor, Tensor] | None:
        """Return photos (N, C, H, W) in [-1, 1], and the people's numbers (N,), if it shows any.

        No other part of the data has these photos.
        """


@runtime_checkable
class HasTrueStyles(Protocol):
    """Translation data that knows what translations may look like."""

    def true_styles(self, fields: Batch, domain: str, n: int) -> Tensor | None:
        """Return images in [-1, 1] (N, n, C, H, W) of the scenes of `fields` in a domain."""


@runtime_checkable
class HasPools(Protocol):
    """Translation data of people, of each of whom there is a pool of images."""

    def person_means(self, split: str, index: Tensor) -> Tensor:
        """Return the mean image (N, C, H, W) of the pools of the people of pairs (N,)."""


def split_of(data: object, name: str) -> Images:
    """Return the split `name` of a run's data; InputError if there is none."""
    if not isinstance(data, HasSplits) or not data.has_split(name):
        raise InputError(
            f"the data has no split '{name}' to compare generated images with: hold images out "
            "in the data's settings, or name another split in evaluate.split."
        )
    return data.split(name)


def translation_data(data: object) -> TranslationData:
    """Return a run's data itself; InputError if it has no modalities to translate between."""
    if not isinstance(data, TranslationData):
        raise InputError(
            f"the method translates between modalities, but the data {type(data).__name__} has "
            "none: give a data module of several modalities."
        )
    return data


def standing(data: TranslationData, translation: Translation) -> str:
    """Say in one word or two how a translation stands to the training sets.

    Returns:
        `cascade` of a route of several steps; `unpaired` where no set has two modalities; `seen`,
        `partly seen` or `unseen` by how many of the sources some set has together with the target.
    """
    if len(translation.route) > 1:
        return "cascade"
    if all(len(names) < 2 for names in data.sets.values()):
        return "unpaired"
    seen = [data.seen(source, translation.target) for source in translation.sources]
    return "seen" if all(seen) else "partly seen" if any(seen) else "unseen"


def known_of(data: TranslationData, x: Batch, source: str) -> Batch:
    """Return what items tell of their images `x[source]` besides modalities, on the CPU.

    `<source>/<field>` is called as the field; fields of other modalities are left out.
    """
    told = {name: value.cpu() for name, value in x.items() if name not in data.modalities}
    shared = {name: value for name, value in told.items() if "/" not in name}
    prefix = f"{source}/"
    own = {n.removeprefix(prefix): value for n, value in told.items() if n.startswith(prefix)}
    return shared | own


@runtime_checkable
class HasCompleteScenes(Protocol):
    """A data module with scenes that an oracle may learn from."""

    def complete_set(self, names: list[str]) -> Scenes:
        """Return scenes in all modalities `names`, which no training set and no split has."""


@runtime_checkable
class HasImageShape(Protocol):
    """A data module of images of one kind, all of one shape.

    Attributes:
        image_size: Height and width in pixels.
        image_channels: Number of channels.
    """

    image_size: int
    image_channels: int
