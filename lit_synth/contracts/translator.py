"""Translations between modalities: what a method that translates is asked for."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from lit_synth.errors import InputError


@dataclass(frozen=True)
class Translation:
    """A way from modalities to another one.

    Attributes:
        sources: Modalities that are given; several are fused.
        route: Modalities that are made one from the other, the last being the target.
    """

    sources: tuple[str, ...]
    route: tuple[str, ...]

    @property
    def target(self) -> str:
        """The modality that is made."""
        return self.route[-1]

    @property
    def name(self) -> str:
        """E.g. `depth_to_segmentation`, `rgb+depth_to_segmentation`, `depth_to_rgb_to_nir`."""
        return "_to_".join(["+".join(self.sources), *self.route])

    @classmethod
    def parse(cls, name: str) -> "Translation":
        """Return the translation of this name.

        Raises:
            InputError: If the name has no `_to_`.
        """
        sources, *route = name.split("_to_")
        if not route:
            raise InputError(
                f"'{name}' is no translation: expected names joined by _to_, such as "
                "depth_to_segmentation or rgb+depth_to_segmentation."
            )
        return cls(tuple(sources.split("+")), tuple(route))


@runtime_checkable
class Translator(Protocol):
    """A method that makes modalities of scenes from others."""

    def translations(self) -> list[Translation]:
        """Return what is to be shown and measured, in the order in which to show it."""

    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        """Return the target of scenes `x`, modality -> data; the result is data too."""


@runtime_checkable
class HasLatents(Protocol):
    """A method whose encoders meet in one latent space."""

    def latents(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the latent (N, c, h, w) of each modality in `x`, modality -> data."""


@runtime_checkable
class HasSideInformation(Protocol):
    """A method whose decoders are told more than the latent, such as pooling indices."""

    def swap(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        """Translate scenes `x`, each with the side information of another scene of the batch.

        What is then right of the result comes from the latent alone.
        """


@runtime_checkable
class HasStyles(Protocol):
    """A translator that makes many results of one input.

    Its `translate` reads `x["style"]`, (N, style_dim), a priori standard normal unless it also
    `MakesStyles`; where that is not given, the style is the mean.
    """

    @property
    def style_dim(self) -> int:
        """Length of a style."""


@runtime_checkable
class MakesStyles(Protocol):
    """A translator whose styles are made of standard normal noise."""

    def styles_of(self, noise: Tensor) -> Tensor:
        """Return the styles of noise, each (N, style_dim), on the method's device."""

    def independent_styles_of(self, noise: Tensor) -> Tensor:
        """Return the same of N(mean, deviation) of real styles, to compare with."""


@runtime_checkable
class ReadsStyles(Protocol):
    """A translator that can tell the style of an image.

    Its `translate` takes what it reads as `x["style"]` too, be it of another length than what is
    drawn.
    """

    def read_styles(self, images: Tensor, domain: str) -> Tensor:
        """Return the styles (N, D) of images (N, C, H, W) of a domain."""


@runtime_checkable
class TakesReferences(Protocol):
    """A translator that is shown images of a person beside its input.

    Attributes:
        references: Name of these images (N, R, C, H, W) in what `translate` is given.
    """

    @property
    def references(self) -> str: ...


@runtime_checkable
class ReadsPeople(Protocol):
    """A translator that has one style for all that it is shown of a person.

    Its `translate` reads `x["style"]`, (N, style_dim), where that is given instead of references.
    """

    def read_people(self, references: Tensor) -> Tensor:
        """Return the styles (N, style_dim) of people of whom there are R images (N, R, C, H, W)."""


@runtime_checkable
class HasAttention(Protocol):
    """A translator that decides where an image changes."""

    def attention(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        """Return the share (N, 1, H, W) in [0, 1] of each pixel that may change.

        `x` is as in `translate`, its style included.
        """


@runtime_checkable
class HasJudgement(Protocol):
    """A translator trained against a classifier of its own, whose verdict is no evidence."""

    @property
    def judged_attribute(self) -> str:
        """Attribute that the classifier reads."""

    def judge(self, images: Tensor) -> Tensor:
        """Return the classifier's logits (N, K) of images (N, C, H, W)."""
