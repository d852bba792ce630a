"""Label maps of methods that make images from them: checked before an id is looked up."""

from torch import Tensor

from lit_synth.batches.coding import IGNORE
from lit_synth.contracts.data import TranslationData
from lit_synth.errors import InputError


def check_classes(data: object, modality: str, num_classes: int) -> None:
    """Raise InputError unless a run's data has labels of so many classes.

    Args:
        data: The run's data module; what has no modalities is not checked.
        modality: Name of the labels.
        num_classes: Classes that the networks know.
    """
    if not isinstance(data, TranslationData) or modality not in data.modalities:
        return
    given = data.modalities[modality]
    if given.kind != "labels":
        raise InputError(
            f"the modality '{modality}' is of kind '{given.kind}', and images are made from "
            "labels: name one of kind labels as the source, or declare it so."
        )
    if given.channels != num_classes:
        raise InputError(
            f"the labels '{modality}' have {given.channels} classes, ids 0 to "
            f"{given.channels - 1}, and the networks are built for {num_classes}: give "
            f"num_classes: {given.channels} to the networks."
        )


def checked_ids(ids: Tensor, num_classes: int, modality: str) -> Tensor:
    """Return labels (N, H, W); InputError if an id is neither a class nor 255."""
    strange = ids[(ids >= num_classes) & (ids != IGNORE) | (ids < 0)]
    if len(strange):
        raise InputError(
            f"a label map of '{modality}' has the id {int(strange[0])}: expected 0 to "
            f"{num_classes - 1}, or {IGNORE} for a pixel of no class."
        )
    return ids
