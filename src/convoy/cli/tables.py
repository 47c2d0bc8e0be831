"""Tables on standard output."""

import sys
from collections.abc import Sequence

from convoy.core.printable import one_line

_UNWRAPPED = 1_000  # columns where output is no terminal, so that a row stays a line


def show(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print rows under a header; columns named in `right` are aligned so. Untrusted cells are escaped."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for name in header:
        table.add_column(name, justify="right" if name in right else "left")
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else _UNWRAPPED, highlight=False).print(table)
