"""A tree of checks as text: every line names an item and ends with the result of its check."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

State = Literal["ok", "differs", "not here"]


@dataclass
class Node:
    """One check, and below it those of its inputs."""

    text: str
    state: State
    below: list["Node"] = field(default_factory=list)
    again: bool = False  # shown above with all nodes below it

    def lines(self, first: str = "", further: str = "") -> Iterator[str]:
        """The tree, line by line; `first` is the prefix of this line, `further` of those below."""
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
    """A check with the result "ok", or "differs" and the `fault`."""
    return Node(text, "ok") if fault is None else Node(f"{text}: {fault}", "differs")
