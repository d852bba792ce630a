"""Images of people that come with what is translated: which method needs them is told if not."""

from collections.abc import Mapping

from torch import Tensor

from lit_synth.errors import InputError


def references_of(x: Mapping[str, Tensor], name: str, method: str) -> Tensor:
    """Return the images of each input's person (N, R, C, H, W); InputError if there are none.

    Args:
        x: What `translate` is given.
        name: What they are called.
        method: Name of the method, for the message.
    """
    if name not in x or not x[name].shape[1]:
        raise InputError(
            f"{method} takes the style from images of a person, and got none: give the data "
            "references: 4, or predict with --reference FOLDER."
        )
    return x[name]
