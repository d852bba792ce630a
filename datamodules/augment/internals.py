"""All that we touch of albumentations' insides; a test holds it to the versions named.

It imports albumentations, which is slow: import it where there is augmentation.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from albumentations.core.transforms_interface import BaseTransformInitSchema

HOLDS_FOR = ("2.0",)  # releases of albumentations, major and minor

ArgumentSchema = BaseTransformInitSchema  # what a transform of ours says of its arguments


@contextmanager
def refusing_unknown_arguments() -> Iterator[None]:
    """Raise UserWarning for a misspelt argument, which is only warned of otherwise."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Argument")
        yield


def zoom_factor(params: Mapping[str, Any]) -> float:
    """Return the factor that an `Affine` with one scale for both axes has drawn."""
    return params["scale"]["x"]
