"""A chain of checks as a readable tree: every line names what was checked and ends with the result."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

State = Literal["ok", "differs", "not here"]


@dataclass
class Node:
    """One check, and below it those of what it was made from."""

    text: str
    state: State
    below: list["Node"] = field(default_factory=list)
    again: bool = False  # stands above with all below it

    def lines(self, first: str = "", further: str = "") -> Iterator[str]:
        """The tree, line by line; `first` stands before this line, `further` before those below."""
        yield f"{first}{self.text}{' (above)' if self.again else ''}  {self.state}"
        for node in self.below:
            last = node is self.below[-1]
            yield from node.lines(further + ("└─ " if last else "├─ "), further + ("   " if last else "│  "))

    def all(self) -> Iterator["Node"]:
        """This check and all below it, each once."""
        if not self.again:
            yield self
        for node in self.below:
            yield from node.all()


def checked(text: str, fault: str | None) -> Node:
    """A check that is ok without a `fault`, and says it otherwise."""
    return Node(text, "ok") if fault is None else Node(f"{text}: {fault}", "differs")
