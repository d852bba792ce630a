"""What methods ask of a generator that is given to them."""

from typing import Protocol, cast, runtime_checkable

from torch import Tensor, nn

from lit_synth.errors import InputError


class Generator(nn.Module):
    """Maps z (N, latent_dim), and labels (N,) if it has classes, to images in [-1, 1].

    A name for type checkers: any module with these attributes will do, it need not inherit.

    Attributes:
        latent_dim: Length of z, which is standard normal.
        image_channels: Channels of the images.
        image_size: Height and width of the images.
        num_classes: Classes to be conditional on, 0 for none.
    """

    latent_dim: int
    image_channels: int
    image_size: int
    num_classes: int


@runtime_checkable
class HasClassVectors(Protocol):
    """A conditional generator in which the class may be mined besides z.

    Its `forward` takes vectors (N, D) in place of labels (N,) too.
    """

    def class_vectors(self) -> Tensor:
        """Return the vectors (num_classes, D) that stand for its classes."""


@runtime_checkable
class HasStyles(Protocol):
    """A generator that may be mined between z and the image, at w.

    Attributes:
        w_dim: Length of w.
        synthesis: Maps w, one for all layers (N, w_dim) or one for each (N, layers, w_dim), to
            images. It begins with its features `const` (C, h, w), or with others, (1, C, h, w), if
            they are its second argument.
    """

    w_dim: int
    synthesis: nn.Module

    def to_w(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Return w (N, layers, w_dim) of z (N, latent_dim), and of labels (N,) if there are any."""


@runtime_checkable
class HasLayouts(Protocol):
    """A method whose prior has `z`, which sets the style of an image, and `layout`, its layout."""

    def layouts(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images (N, C, H, W) of latents (N, latent_dim), and what their layout is.

        That are labels (N, h, w), int64, of a size that divides the images'.
        """


def mined_spaces(generator: Generator) -> dict[str, int]:
    """Return where a generator may be mined: length of the vectors of `z`, `w` and `class`."""
    spaces = {"z": generator.latent_dim}
    if isinstance(generator, HasStyles):
        spaces["w"] = generator.w_dim
    if generator.num_classes and isinstance(generator, HasClassVectors):
        spaces["class"] = generator.class_vectors().shape[1]
    return spaces


def as_generator(network: nn.Module) -> Generator:
    """Return the network itself, checked to have a generator's attributes.

    Args:
        network: Any module.

    Raises:
        InputError: If an attribute is missing.
    """
    missing = [name for name in Generator.__annotations__ if not hasattr(network, name)]
    if missing:
        raise InputError(
            f"{type(network).__name__} is used as a generator but has no {', '.join(missing)}: "
            f"give a generator, or set these attributes in its constructor."
        )
    return cast("Generator", network)
