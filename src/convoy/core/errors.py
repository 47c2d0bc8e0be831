"""Errors that a user can fix, reported in one line."""


class ConvoyError(Exception):
    """A mistake that the user can fix.

    The message is one line: the file, the column or variable, the row or coordinate, what was
    expected and what was found, and what to do. Entry points print it and exit with code 2,
    without a traceback; any other exception is a bug and keeps its traceback.
    """

    exit_code = 2
