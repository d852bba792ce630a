"""Agreement of label maps, from one confusion matrix over all pixels (thesis table 4.4)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from lit_synth.errors import InputError

IGNORE = 255  # a pixel of no class


def confusion_matrix(prediction: Tensor, truth: Tensor, num_classes: int) -> Tensor:
    """Return how often a pixel of class i is read as class j: (K, K), int64.

    Args:
        prediction: Labels (N, H, W), int64 in 0..num_classes - 1.
        truth: Labels (N, H, W), int64 in 0..num_classes - 1, or 255 where nothing counts.
        num_classes: Number K of classes.
    """
    counts = truth[truth != IGNORE]
    for name, labels in (("predicted", prediction), ("true", counts)):
        if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
            raise InputError(
                f"The {name} labels run from {int(labels.min())} to {int(labels.max())}, expected "
                f"0 to {num_classes - 1}; give the modality the classes that its maps hold."
            )
    return multiclass_confusion_matrix(
        prediction, truth, num_classes, ignore_index=IGNORE, validate_args=False
    )


def class_ious(confusion: Tensor) -> Tensor:
    """Return the intersection over union of each class (K,), float64.

    A class that is neither in the truth nor predicted has none: NaN.

    Args:
        confusion: Matrix (K, K) of `confusion_matrix`, summed over images.
    """
    confusion = confusion.double()
    hits = confusion.diagonal()
    return hits / (confusion.sum(0) + confusion.sum(1) - hits)


class Segmentation:
    """Sums over batches what mIoU and pixel accuracy need.

    mIoU is the mean over the classes that the truth or the prediction has anywhere. A class that is
    predicted where it never is counts 0, so that it cannot be invented for free; one that neither
    has has no IoU, and would be a matter of convention.

    Args:
        num_classes: Number of classes.
        class_names: Their names, for the names of the values; none: their numbers.
    """

    def __init__(self, num_classes: int, class_names: Sequence[str] = ()) -> None:
        self.num_classes = num_classes
        self.names = list(class_names) or [str(index) for index in range(num_classes)]
        self.confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    def update(self, prediction: Tensor, truth: Tensor) -> None:
        """Add label maps (N, H, W); see `confusion_matrix`."""
        self.confusion += confusion_matrix(prediction, truth, self.num_classes).cpu()

    def values(self) -> dict[str, float]:
        """Return `miou`, `accuracy` (share of pixels) and `iou_<class>` of the classes met."""
        total = int(self.confusion.sum())
        if total == 0:
            raise InputError(
                "No pixel has a known class, so nothing can be said about a segmentation; "
                "give label maps that are not all 255."
            )
        ious = class_ious(self.confusion)
        return {
            "miou": float(ious.nanmean()),
            "accuracy": int(self.confusion.trace()) / total,
            **{
                f"iou_{name}": iou
                for name, iou in zip(self.names, ious.tolist(), strict=True)
                if iou == iou
            },
        }
