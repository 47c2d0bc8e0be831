"""Progress of a training: one line per epoch, and on a terminal a bar in between."""

import sys
import time
from typing import Protocol

from convoy.core import interrupts


class Row(Protocol):
    """The values of an epoch that a line shows."""

    @property
    def epoch(self) -> int: ...
    @property
    def train_loss(self) -> float: ...
    @property
    def validation_loss(self) -> float: ...
    @property
    def validation_figure(self) -> float: ...


class Progress:
    """Prints to stdout; on a terminal the running epoch shows its share of steps in place.

    `figure` is the name of the validation figure that is shown next to the loss.
    """

    def __init__(self, name: str, epochs: int, figure: str) -> None:
        self.name, self.epochs, self.figure = name, epochs, figure
        self.live = sys.stdout.isatty()
        self.last = 0.0
        self.number = 0

    def step(self, done: int, steps: int) -> None:
        """Called after each step; draws at most five times a second."""
        interrupts.check()
        if self.live and time.monotonic() - self.last > 0.2:
            self.last = time.monotonic()
            filled = 24 * done // steps
            bar = "█" * filled + "·" * (24 - filled)
            print(f"\r{self.name}  epoch {self.number + 1}/{self.epochs}  {bar}\033[K", end="", flush=True)

    def epoch(self, row: Row, items_per_second: float, best: int) -> None:
        """One line for an epoch that is done."""
        self.number = row.epoch
        line = (
            f"{self.name}  epoch {row.epoch}/{self.epochs}  train {row.train_loss:.4f}  "
            f"validation {row.validation_loss:.4f}  {self.figure} {row.validation_figure:.4f}  "
            f"best epoch {best}  {items_per_second:,.0f} items/s"
        )
        print(f"\r{line}\033[K" if self.live else line, flush=True)
