"""The error that bad data raises."""


class DataError(ValueError):
    """Data that cannot be used: the message says what was given, what was expected, what to do."""
