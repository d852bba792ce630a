"""One line of advice on a critic that learns its images by heart."""

from lit_synth.runs.metrics_csv import Curves

SEEN, HELD_OUT = "train/seen_real", "train/held_out_real"
BY_HEART = 0.3  # by which it takes more of the images that it trains on for real


def advice(curves: Curves, images: int | None = None) -> str | None:
    """Return what the shares of images taken for real say; None where nobody logged them.

    Args:
        curves: Of the run, from the callback `Overfitting`.
        images: How many training images there are, if known.
    """
    if not (curves.get(SEEN) and curves.get(HELD_OUT)):
        return None
    held_out = dict(curves[HELD_OUT])
    gaps = [(k, share - held_out[k]) for k, share in curves[SEEN] if k in held_out]
    if not gaps:
        return None
    last = gaps[-1][0]
    shares = (
        f"at iteration {last:,} it takes {dict(curves[SEEN])[last]:.0%} of them for real, and "
        f"{held_out[last]:.0%} of held-out images"
    )
    known = "its training images" if images is None else f"its {images:,} training images"
    since = _since([(k, gap > BY_HEART) for k, gap in gaps])
    if since is None:
        return f"No sign that the critic knows {known} by heart: {shares}."
    return (
        f"The critic knows {known} by heart since iteration {since:,} ({shares}): more "
        "augmentation, such as ADA, or stop there."
    )


def _since(points: list[tuple[int, bool]]) -> int | None:
    """Return from where on something holds to the end; None if it does not hold at the end."""
    since = None
    for k, holds in points:
        since = (k if since is None else since) if holds else None
    return since
