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
