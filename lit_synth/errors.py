"""The one error that users see: a clear sentence, no traceback."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something given by the user cannot be used.

    The message is one sentence: what was given, what was expected, what to do. The command line
    prints it alone and exits with code 2.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` for the known word that a mistyped one is nearest to, or ``."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""
