"""What callbacks ask of a running trainer: each other, real images, counts."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import pytorch_lightning as pl
from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.method import Method
from lit_synth.translation import Translation

Batch = dict[str, Tensor]
C = TypeVar("C", bound=pl.Callback)


class Images(Protocol):
    """A split of a data module: real images in a fixed order."""

    @property
    def sha256(self) -> str:
        """Hash of the content."""

    def __len__(self) -> int: ...

    def fetch(self, positions: Sequence[int]) -> Batch:
        """Return `image` (N, C, H, W) in [-1, 1], and what else is known of the images."""


class Modality(Protocol):
    """What the values of a modality mean.

    Attributes:
        kind: `image`, `depth` or `labels`.
        channels: Of an image; the number of classes of labels.
        class_names: Of labels, if they have names.
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

    def split(self, name: str) -> Scenes:
        """Return `val` or `test`, with all modalities."""

    def training_set(self, name: str) -> Scenes:
        """Return a training set, with its modalities."""

    def seen(self, source: str, target: str) -> bool:
        """Tell whether some training set has both modalities."""


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
        """Read attributes of images (N, C, H, W) without a classifier: name -> value (N,)."""


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


def callback_of(trainer: pl.Trainer, kind: type[C]) -> C | None:
    """Return the trainer's first callback of this class, or None."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it elsewhere
    return next((each for each in callbacks if isinstance(each, kind)), None)


def has_split(trainer: pl.Trainer, name: str) -> bool:
    """Tell whether the run's data has images in the split `name`."""
    datamodule = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it elsewhere
    asked = getattr(datamodule, "has_split", None)
    return hasattr(datamodule, "split") and (asked is None or asked(name))


def split_of(trainer: pl.Trainer, name: str) -> Images:
    """Return the split `name` of the run's data; InputError if there is none."""
    if not has_split(trainer, name):
        raise InputError(
            f"the data has no split '{name}' to compare generated images with: hold images out "
            "in the data's settings, or name another split in evaluate.split."
        )
    return trainer.datamodule.split(name)  # type: ignore[attr-defined]


def translation_data(trainer: pl.Trainer) -> TranslationData:
    """Return the run's data module; InputError if it has no modalities to translate between."""
    data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it elsewhere
    if not all(hasattr(data, name) for name in ("modalities", "sets", "aligned")):
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
    told = {name: each.cpu() for name, each in x.items() if name not in data.modalities}
    shared = {name: each for name, each in told.items() if "/" not in name}
    prefix = f"{source}/"
    own = {n.removeprefix(prefix): each for n, each in told.items() if n.startswith(prefix)}
    return shared | own


def due(every_n_iterations: int | None, method: Method) -> bool:
    """Tell whether something periodic happens after this iteration; None is never.

    The last iteration of the run always counts.
    """
    if every_n_iterations is None:
        return False
    iteration = method.iteration
    return iteration % every_n_iterations == 0 or iteration == method.total_iterations


def check_period(name: str, every_n_iterations: int | None) -> None:
    """Raise InputError unless the period is None or at least 1."""
    if every_n_iterations is not None and every_n_iterations < 1:
        raise InputError(f"{name} is {every_n_iterations}: expected at least 1, or null for never.")


def images_per_iteration(trainer: pl.Trainer, batch: Mapping[str, Tensor | Batch]) -> int:
    """Return the size of the global batch, of which `batch` is this process's part.

    Of a batch of several training sets, it is the number of scenes in all of them.
    """
    sizes = [len(next(iter(each.values()))) for each in batch.values() if isinstance(each, dict)]
    return (sum(sizes) if sizes else len(next(iter(batch.values())))) * trainer.world_size
