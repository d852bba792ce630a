"""MV, "mean variance": how much generated images vary, relative to real ones."""

from torch import Tensor

from lit_synth.errors import InputError
from lit_synth.metrics.distances import as_pair


def mv(real: Tensor, fake: Tensor) -> float:
    """Variance of the fakes per feature, averaged over features, divided by the same of the reals.

    1 is as diverse as the real images, 0 is one image over and over. The thesis reports an MV
    (section 3.4) but does not define it: this is our definition, not comparable with its numbers.

    Args:
        real: Features (N, D).
        fake: Features (M, D).
    """
    real, fake = as_pair(real, fake)
    real_variance = real.var(0).mean()
    if real_variance == 0:
        raise InputError(
            f"All {len(real)} real images have the same features, so MV has no unit; "
            "give real images that differ."
        )
    return float(fake.var(0).mean() / real_variance)


def mv_distance(real: Tensor, fake: Tensor) -> float:
    """|MV - 1|: by MV alone, noise that varies more than real images do would beat them.

    Not |log MV|, which is infinite for one image over and over, and so has no mean over seeds.
    """
    return abs(mv(real, fake) - 1)
