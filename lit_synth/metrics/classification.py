"""What a classifier of real images says about generated ones; all are shares in [0, 1]."""

from torch import Tensor

from lit_synth.errors import InputError


def accuracy(logits: Tensor, intended: Tensor) -> float:
    """Share of images read as their intended class by a reference classifier (thesis table 2.7).

    Args:
        logits: The classifier's logits (N, K).
        intended: Intended classes (N,), integers in [0, K).
    """
    if logits.ndim != 2 or intended.shape != logits.shape[:1] or len(logits) == 0:
        raise InputError(
            f"Expected logits (N, K) and one intended class per image, given shapes "
            f"{tuple(logits.shape)} and {tuple(intended.shape)}; pass both for the same images."
        )
    if int(intended.min()) < 0 or int(intended.max()) >= logits.shape[1]:
        raise InputError(
            f"Intended classes run from {int(intended.min())} to {int(intended.max())}, but the "
            f"classifier knows 0 to {logits.shape[1] - 1}; use one trained on these classes."
        )
    return float((logits.argmax(1) == intended.to(logits.device)).double().mean())


def classifier_error(logits: Tensor, intended: Tensor) -> float:
    """Share of images of an intended class that are read otherwise (thesis appendix A.2)."""
    return 1 - accuracy(logits, intended)


def class_histogram(logits: Tensor) -> Tensor:
    """Share (K,) of images read as each class, float64, summing to 1.

    Args:
        logits: The classifier's logits (N, K).
    """
    counts = logits.argmax(1).bincount(minlength=logits.shape[1])
    return counts.double() / len(logits)
