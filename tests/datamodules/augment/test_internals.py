"""The contract with albumentations: what we touch of its insides, in the versions that we name."""

import albumentations as A
import numpy as np
import pytest

from datamodules.augment.internals import (
    HOLDS_FOR,
    ArgumentSchema,
    refusing_unknown_arguments,
    zoom_factor,
)


def test_the_contract_holds_for_this_version_of_albumentations():
    assert A.__version__.startswith(tuple(f"{each}." for each in HOLDS_FOR)), (
        f"albumentations is {A.__version__}, but datamodules/augment/internals.py holds for "
        f"{', '.join(HOLDS_FOR)}: read what has changed, then name the version there."
    )
    assert issubclass(A.Affine.InitSchema, ArgumentSchema)


def test_a_misspelt_argument_is_refused():
    with pytest.raises(UserWarning, match="probability"), refusing_unknown_arguments():
        A.HorizontalFlip(probability=1)


def test_the_factor_of_a_zoom_is_told():
    drawn = []

    class Told(A.Affine):
        def apply_to_mask(self, mask, **params):
            drawn.append(zoom_factor(params))
            return mask

    Told(scale=(2.0, 2.0), keep_ratio=True, p=1)(
        image=np.zeros((8, 8, 3), np.uint8), mask=np.zeros((8, 8), np.float32)
    )
    assert drawn == [2.0]
