"""What a run says to its user."""

import sys

from lightning_fabric.utilities.rank_zero import rank_zero_only


@rank_zero_only
def warn(sentence: str) -> None:
    """Tell the user, once for all processes."""
    print(f"lit-synth: {sentence}", file=sys.stderr)
