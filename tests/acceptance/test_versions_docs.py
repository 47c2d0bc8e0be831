"""docs/versions.md: its table lists every check, and its snippet reads a store."""

import re

import numpy as np
import pytest

from convoy.acceptance import geometry
from convoy.acceptance.checks import CHECKS
from convoy.embeddings import read
from tests.acceptance.test_versions import accept, folder  # noqa: F401
from tests.conftest import ROOT

TEXT = (ROOT / "docs/versions.md").read_text(encoding="utf-8")


def test_every_check_has_its_row():
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", TEXT, flags=re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"\w+", row)] == [check.name for check in CHECKS]


def test_the_limits_are_those_of_the_checks():
    assert f"mean cosine of two items above {geometry.HIGHEST_COSINE}" in TEXT
    assert f"(RankMe) below {geometry.LOWEST_RANK:g} or half" in TEXT
    assert f"{geometry.LONGEST_TO_MEDIAN:.0f} times as long" in TEXT
    assert (geometry.RANK_OF_ACCEPTED, geometry.LENGTHS_APART) == (0.5, 2)


def test_the_snippet_turns_the_accepted_version_onto_the_one_before(folder, monkeypatch):  # noqa: F811
    monkeypatch.chdir(folder)
    for name in ("one", "two"):
        accept(folder / "store", folder / name)
    (snippet,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    found = {}
    exec(snippet, found)
    assert found["turned"] == pytest.approx(read(folder / "one")[1], abs=1e-5)
    assert not np.allclose(found["vectors"], found["turned"], atol=0.1)
