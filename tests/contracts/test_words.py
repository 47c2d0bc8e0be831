"""The glossary of CONTRIBUTING.md: words that code, docs and messages do not use."""

import re
import subprocess

import pytest

from tests.conftest import ROOT

# Left out: words that the field uses in another sense as well (`against`, `floor`, `signal`).
FORBIDDEN = re.compile(
    r"\b(rivals?|yardsticks?|ceilings?|giveaways?|habits?|made-up|oracle floor|nobody|rightly"
    r"|leaves? the house|what speaks for|taken for|named rightly|grounds?)\b",
    re.IGNORECASE,
)
PLACES = ("src", "pipelines", "README.md", "params.yaml", "dvc.yaml", "docs")


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
        if FORBIDDEN.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("line", ["the best rival wins", "Habits of pixels", "weights leave the house"])
def test_the_search_sees(line):
    assert FORBIDDEN.search(line)
