"""Errors that a user can fix, reported in one line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from convoy.core.printable import cut, mask

KEY = "{key}"
"""Placeholder of the key in a hint."""
_VALUE = 200  # characters of what was found, and of a key


@dataclass(frozen=True)
class Param:
    """A param that an error names. Commands with options in place of params name the option instead.

    section: its dotted section of params.yaml; keys: below that section; value: a value to set there.
    """

    section: str
    keys: tuple[str, ...] = ()
    value: str = ""

    def __str__(self) -> str:
        """`section.key`, or as the file has it where there is a value: `section: {key: value}`."""
        if not self.value:
            return ".".join((self.section, *self.keys))
        text = self.value
        for key in reversed(self.keys):
            text = f"{{{key}: {text}}}"
        return f"{self.section}: {text}"


class ConvoyError(Exception):
    """A mistake that the user can fix.

    Its text is one line made of its fields, of which any may be left out:

        PATH: KEY: MESSAGE; expected EXPECTED; found FOUND; HINT

    path: the file, folder or URI. key: the place in it, as `column 'x'`, or a param. Where the hint holds
    `{key}`, the key is written there and not before the message. message: the problem. hint: the remedy.
    A key or value found that is longer than 200 characters is cut.

    Entry points print the line (`convoy.core.printable`) and exit with code 2, without a traceback; any other
    exception is a bug and keeps its traceback.
    """

    exit_code = 2

    def __init__(
        self, message: str = "", *, path: str | Path = "", key: str | Param = "", expected: str = "",
        found: str = "", hint: str = "",
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.message, self.path, self.key = message, path, key
        self.expected, self.found, self.hint = expected, found, hint

    def __str__(self) -> str:
        key, hint = cut(mask(str(self.key)), _VALUE), self.hint
        if KEY in hint:
            # Without a key the advice that is about it is none.
            key, hint = "", hint.replace(KEY, key) if key else ""
        parts = (
            self.message,
            self.expected and f"expected {self.expected}",
            self.found and f"found {cut(mask(self.found), _VALUE)}",
            hint,
        )
        return ": ".join(filter(None, (str(self.path), key, "; ".join(filter(None, parts)))))

    def moved(self, former: Path, place: str) -> Self:
        """The error with a path below the folder `former` shown as one below `place`."""
        path = Path(self.path)
        if self.path and path.is_relative_to(former):
            self.path = "/".join(filter(None, (place, *path.relative_to(former).parts)))
        return self
