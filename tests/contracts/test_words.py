"""The glossary of CONTRIBUTING.md: words that code, docs and messages do not use."""

import re
import subprocess

import pytest

from tests.conftest import ROOT

# Left out: words that the field uses in another sense as well (`floor`, `signal`), `tell()` of files, and the
# option `--against`.
FORBIDDEN = re.compile(
    r"\b(rivals?|yardsticks?|ceilings?|giveaways?|habits?|made-up|oracle floor|nobody|rightly|worlds?"
    r"|grounds?|house|strangers?|journals?|(?<!--)against|besides?|told|tells|tell(?!\()|says?|said|saying"
    r"|asks?|asked|asking|gives? back|gave back|given back|hand(?:s|ed)? out|speaks?|taken for|stands? in for"
    r"|knows? nothing|right answers?)\b",
    re.IGNORECASE,
)
PLACES = (
    "src", "pipelines", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "params.yaml", "dvc.yaml", "docs",
    "Makefile",
)  # fmt: skip
GLOSSARY = re.compile(r"\| [^|]+ \| [^|]+ \|$")  # rows of CONTRIBUTING.md, whose right column has the words


def test_no_word_of_the_right_column_is_used():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *PLACES],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    files = [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    assert len(files) > 200
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if FORBIDDEN.search(line) and not (path.name == "CONTRIBUTING.md" and GLOSSARY.match(line))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "the best rival wins", "Habits of pixels", "weights leave the house", "what the file says",
        "checked against", "a world 2 K warmer", "the caller is told", "beside the weights",
    ],
)  # fmt: skip
def test_the_search_sees(line):
    assert FORBIDDEN.search(line)


@pytest.mark.parametrize("line", ["file.tell()", "PRAGMA journal_mode=WAL", "background", "compared with"])
def test_the_search_passes(line):
    assert not FORBIDDEN.search(line)
