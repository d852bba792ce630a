"""Refusing data that a method cannot learn from, before anything is trained."""

import inspect
from itertools import pairwise
from typing import NamedTuple, cast

import pytorch_lightning as pl
from torch import nn

from lit_synth.contracts.data import HasImageShape, HasImageSize, TranslationData
from lit_synth.contracts.translator import Translator
from lit_synth.errors import InputError
from lit_synth.method import Method

SIZE, CHANNELS = "image_size", "image_channels"


class Shapes(pl.Callback):
    """Refuse data of another relation, size or number of channels than a method's networks take."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        method, data = cast("Method", pl_module), getattr(trainer, "datamodule", None)
        check_relation(method, data)
        check_shapes(method, data)


def check_relation(method: Method, data: object) -> None:
    """Raise InputError if a method translates and its data are images of one kind, or vice versa.

    Args:
        method: What is trained.
        data: A data module; None, or one that is neither, may be anything.
    """
    ours, theirs = type(method).__name__, type(data).__name__
    if isinstance(method, Translator) and isinstance(data, HasImageShape):
        raise InputError(
            f"{ours} translates between domains or modalities, but {theirs} holds images of one "
            "kind: give data of several, such as --data Unpaired or --data Paired, or a method "
            "that makes such images, as configs/scratch.yaml has it."
        )
    if not isinstance(method, Translator) and isinstance(data, TranslationData):
        raise InputError(
            f"{ours} takes images of one kind, but {theirs} holds {', '.join(data.modalities)}: "
            "give a folder of images with --data Unconditional, or a method that translates, as "
            "configs/cyclegan.yaml and configs/pix2pix.yaml have it."
        )


class Stated(NamedTuple):
    """What a network or a data module says of its images; None where it says nothing.

    Attributes:
        size: Height and width in pixels.
        channels: Number of channels.
    """

    size: int | None
    channels: int | None

    def __str__(self) -> str:
        size = None if self.size is None else f"{self.size}x{self.size} px"
        channels = None if self.channels is None else f"{self.channels} channel"
        return " of ".join(filter(None, [channels and channels + "s" * (self.channels != 1), size]))

    def differs(self, other: "Stated") -> bool:
        """Tell whether the two say different things."""
        pairs = zip(self, other, strict=True)
        return any(None not in (one, two) and one != two for one, two in pairs)


def check_shapes(method: Method, data: object) -> None:
    """Raise InputError if networks take images of another size or channels than others or the data.

    Args:
        method: Has the networks; those that state nothing may take anything.
        data: A data module; None, or one that states nothing, may give anything.
    """
    stated = {name: each for name, net in method.named_modules() if any(each := stated_by(net))}
    for (first, one), (second, two) in pairwise(stated.items()):
        if one.differs(two):
            raise InputError(
                f"{_called(first)} is for images of {one}, but {_called(second)} for {two}: give "
                "both the same size and channels."
            )
    given = Stated(
        data.image_size if isinstance(data, HasImageSize) else None,
        data.image_channels if isinstance(data, HasImageShape) else None,
    )
    for name, each in stated.items():
        if each.differs(given):
            offers = [_other_data(data, given, each), *_other_networks(method, list(stated), given)]
            raise InputError(
                f"{_called(name)} is for images of {each}, but {type(data).__name__} gives "
                f"{given}: give {', or '.join(offers)}."
            )


def stated_by(network: nn.Module) -> Stated:
    """Return what a network says of its images, as attributes or as recorded arguments."""
    recorded = getattr(network, "init_args", {})
    found = [getattr(network, name, recorded.get(name)) for name in (SIZE, CHANNELS)]
    return Stated(*(each if isinstance(each, int) else None for each in found))


def _called(name: str) -> str:
    return f"the network {name}" if name else "the method"


def _other_data(data: object, given: Stated, wanted: Stated) -> str:
    """Return the flags with which a data module gives what is wanted, if it has such."""
    options = inspect.signature(type(data)).parameters
    flags = []
    for key, here, there in zip((SIZE, "channels"), given, wanted, strict=True):
        if None not in (here, there) and here != there:
            if key not in options:
                return f"data of {wanted}"
            flags.append(f"--data.init_args.{key} {there}")
    return " ".join(flags)


def _other_networks(method: Method, names: list[str], wanted: Stated) -> list[str]:
    """Return the flags that make networks for what is given; none where a source decides."""
    options = inspect.signature(type(method)).parameters
    if any(name.startswith("source") for name in options) or not set(names) <= set(options):
        return []
    keys = {SIZE: wanted.size, CHANNELS: wanted.channels}
    flags = [
        f"--model.init_args.{name}.init_args.{key} {value}"
        for name in names
        for key, value in keys.items()
        if value is not None and key in getattr(method.get_submodule(name), "init_args", {})
    ]
    return ["networks for these, " + " ".join(flags)] if flags else []
