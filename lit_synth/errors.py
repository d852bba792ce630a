"""The one error that users see: a clear sentence, no traceback."""


class InputError(ValueError):
    """Something given by the user cannot be used.

    The message is one sentence: what was given, what was expected, what to do. The command line
    prints it alone and exits with code 2.
    """
