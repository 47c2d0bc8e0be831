"""The page of Data Docs: the same bytes each time, readable offline, and safe whatever the data hold."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser

from convoy.streamrec.catalogue import gate_rules as catalogue
from convoy.streamrec.catalogue.gate import judge
from convoy.streamrec.catalogue.gate_rules import GateParams
from tests.conftest import ROOT
from tests.support import sources


class Page(HTMLParser):
    """Collects text and the addresses that a browser would follow or load."""

    def __init__(self, text):
        super().__init__()
        self.text, self.addresses, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.text.append(" ".join(data.split()))


def page_of(items):
    return judge(sources.table(items), sources.FACTS, GateParams())[1]


def test_two_runs_give_the_same_bytes_and_every_rule_in_words():
    items = sources.rows()
    items[3]["synopsis"] = items[2]["synopsis"]
    items[3]["title"] = items[2]["title"]
    page = page_of(items)
    assert page == page_of(items)
    found = Page(page)
    rules = [
        *catalogue.shape_rules(),
        *catalogue.content_rules(300, sources.FACTS, GateParams()),
        catalogue.hash_rule(),
        catalogue.leaked_label_rule("x", GateParams()),
    ]
    assert [rule.name for rule in rules if not any(rule.words in text for text in found.text)] == []
    assert len(rules) + 3 == 30  # and the three rules of swapped columns, whose bounds come from the data
    assert sum("are swapped" in text for text in found.text) == 3
    assert any(text.startswith("row 3 (item_id 's3'): ") for text in found.text)
    assert "100% pass" in found.text  # no label is leaked
    assert "% null" not in page
    # no times, run ids, random ids, paths or foreign hosts
    assert not re.search(r"https?:|//|\b20\d\d-|\d\d:\d\d|[0-9a-f]{8}-[0-9a-f]{4}|/tmp|__none__", page)
    assert found.addresses == [f"#section-{n}" for n in range(1, len(found.addresses) + 1)]
    assert not {"script", "link", "img", "iframe"} & set(found.tags)


def test_what_stands_in_the_data_is_text():
    items = sources.rows()
    for item in items[:10]:
        item["synopsis"] = "<script>alert(1)</script> $5 ${x} &amp; <b>"
    page = page_of(items)
    found = Page(page)
    assert "script" not in found.tags
    assert "b" not in found.tags
    assert any("<script>alert(1)</script> $5 ${x} &amp; <b>" in text for text in found.text)
    assert "FAILED: 30 expectations on 300 items; 1 failed, 0 warned." in found.text


def test_importing_the_gate_imports_no_great_expectations_and_sets_nothing():
    code = (
        "import os, sys; before = dict(os.environ)\n"
        "import convoy.streamrec.catalogue.gate, convoy.streamrec.classification.gate\n"
        "assert 'great_expectations' not in sys.modules and dict(os.environ) == before"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_the_environment_stays_as_it_was(monkeypatch):
    monkeypatch.delenv("GX_ANALYTICS_ENABLED", raising=False)
    before = dict(os.environ)
    page_of(sources.rows(20))
    assert dict(os.environ) == before
    monkeypatch.setenv("GX_ANALYTICS_ENABLED", "true")
    page_of(sources.rows(20))
    assert os.environ["GX_ANALYTICS_ENABLED"] == "true"
