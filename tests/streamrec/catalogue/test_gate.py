"""Each planted fault of a catalogue is found by the expectation meant for it, and sound ones pass."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from convoy.core.errors import ConvoyError
from convoy.streamrec.catalogue.gate import judge
from convoy.streamrec.catalogue.gate_rules import GateParams
from convoy.streamrec.catalogue.synthetic.items import SyntheticParams, generate
from tests.support import sources


def verdict_of(table, **params):
    return judge(table, sources.FACTS, GateParams.model_validate(params))[0]


def edited(edit, count=300):
    items = sources.rows(count)
    edit(items)
    return sources.table(items)


def put(column, value, *rows):
    def edit(items):
        for row in rows or range(len(items)):
            items[row][column] = value

    return edit


def add(column, text, rows):
    def edit(items):
        for row in rows:
            items[row][column] += text

    return edit


def swap(one, other):
    def edit(items):
        for item in items:
            item[one], item[other] = item[other], item[one]

    return edit


# Faults of single rows, planted all at once: one does not hide another.
ROW_FAULTS = {
    "item_id_missing": put("item_id", None, 4),
    "item_id_repeated": put("item_id", "s10", 8),
    "item_id_empty": put("item_id", "", 14),
    "category_missing": put("category", None, 24),
    "category_empty": put("category", "", 34),
    "category_long": put("category", "a b " * 60, 44),
    "synopsis_long": put("synopsis", "x" * 10_000_000, 54),
    "synopsis_html": add("synopsis", " <b>bold</b> &amp; more", range(60, 64)),
    "synopsis_mojibake": add("synopsis", " cafÃ©", range(70, 74)),
    "synopsis_control": add("synopsis", "\x07", range(80, 84)),
    "title_html": add("title", "<br>", range(90, 94)),
    "title_missing": put("title", None, 104),
}
# Faults of a column as a whole, each with every expectation that notices it.
COLUMN_FAULTS = [
    (put("category", "Drama"), {"category_single"}),
    (swap("category", "title"), {"category_count"}),
    (swap("category", "synopsis"), {"category_long", "category_count", "category_swapped"}),
    (swap("item_id", "title"), {"item_id_repeated", "item_id_swapped"}),
    (swap("item_id", "synopsis"), {"title_swapped"}),
    (swap("title", "synopsis"), {"title_swapped"}),
    (put("synopsis", None), {"synopsis_missing"}),
    (put("synopsis", ""), {"synopsis_empty"}),
    (
        lambda items: (put("title", "")(items), put("synopsis", "the same", *range(1, 300))(items)),
        {"text_few"},
    ),
]


def test_sound_catalogues_pass():
    verdict = verdict_of(sources.table(sources.rows()))
    assert verdict.failures == verdict.warnings == ()
    assert verdict.summary() == "gate passed: 30 expectations on 300 items of the catalogue"
    assert verdict.metrics() == {
        "success": True,
        "expectations": 30,
        "items": 300,
        "categories": 6,
        "leaked_labels": {},
        "warnings": {},
    }
    verdict.require_success(Path("x"), "never seen")


def test_faults_of_rows():
    def plant(items):
        for edit in ROW_FAULTS.values():
            edit(items)

    verdict = verdict_of(edited(plant))
    findings = {finding.name: finding for finding in verdict.failures}
    assert set(findings) == set(ROW_FAULTS)
    assert all(len(line) < 400 for line in verdict.summary().splitlines())
    long = findings["synopsis_long"]
    assert (long.column, long.count, long.found) == ("synopsis", 1, "1 of 300 violate it (0.33%)")
    assert str(long.examples[0]) == f"row 55 (item_id 's55'): '{'x' * 59}…' (10000000 characters)"
    assert [str(e) for e in findings["item_id_repeated"].examples] == [
        "row 9 (item_id 's10'): 's10'",
        "row 10 (item_id 's10'): 's10'",
    ]
    assert [e.place for e in findings["synopsis_html"].examples] == [
        f"row {row} (item_id 's{row}')" for row in range(61, 65)
    ]


@pytest.mark.parametrize(("edit", "expected"), COLUMN_FAULTS)
def test_faults_of_columns(edit, expected):
    verdict = verdict_of(edited(edit))
    assert {finding.name for finding in verdict.failures} == expected
    assert all(1 <= len(finding.examples) <= 5 for finding in verdict.failures)


@pytest.mark.parametrize("column", ["title", "category"])
def test_a_missing_column_is_judged_first(column):
    verdict = verdict_of(sources.table(sources.rows()).drop_columns([column]))
    (finding,) = verdict.failures
    assert (finding.name, finding.found, verdict.expectations) == ("columns", f"no {column}", 2)


def test_a_column_of_numbers_is_no_text():
    table = sources.table(sources.rows())
    verdict = verdict_of(table.set_column(1, "title", pa.array(range(300))))
    assert [finding.found for finding in verdict.failures] == ["no title"]


def test_no_rows_do_not_pass():
    verdict = verdict_of(sources.table([]))
    (finding,) = verdict.failures
    assert (finding.name, finding.found) == ("rows", "0, allowed at least 1")


def test_hashes_are_recomputed():
    table = sources.table(sources.rows())
    hashes = table["text_sha256"].to_pylist()
    hashes[6] = "0" * 64
    verdict = verdict_of(table.set_column(4, "text_sha256", pa.array(hashes)))
    (finding,) = verdict.failures
    assert (finding.name, finding.column) == ("text_sha256_stale", "text_sha256")
    assert finding.examples[0].place == "row 7 (item_id 's7')"


def name_labels(items):
    """50 items of each label; 15 of the horror texts say so, and 3 of the 250 others."""
    horror = [item for item in items if item["category"] == "Horror"]
    others = [item for item in items if item["category"] != "Horror"]
    for item in horror[:15] + others[:3]:
        item["synopsis"] += " A HORROR, they say."


def test_a_label_that_gives_itself_away_is_a_warning_with_counts():
    verdict = verdict_of(edited(name_labels))
    assert verdict.success
    assert verdict.metrics()["leaked_labels"] == {
        "Horror": {"own": 15, "own_texts": 50, "other": 3, "other_texts": 250}
    }
    assert verdict.metrics()["warnings"] == {"leaked_label": 1}
    assert "category 'Horror': 'in 15 of its 50 texts, in 3 of 250 others'" in verdict.summary()


def test_or_a_failure_by_param():
    verdict = verdict_of(edited(name_labels), leaked_label="fail")
    assert [finding.name for finding in verdict.failures] == ["leaked_label"]
    assert verdict_of(edited(name_labels), leaked_label="fail", leaked_label_share=0.3).success


def test_repeated_and_empty_texts_are_warnings():
    def repeat(items):
        for item in items[:2]:
            item["title"] = item["synopsis"] = ""

    verdict = verdict_of(edited(repeat))
    assert verdict.success
    assert verdict.metrics()["warnings"] == {"text_repeated": 2, "text_empty": 2}


@pytest.mark.parametrize("preset", ["default", "chapter"])
def test_synthetic_catalogues_pass(preset):
    made = generate(SyntheticParams.model_validate({"preset": preset, "items": 400})).catalogue
    verdict = verdict_of(sources.table(made.to_pylist()))
    assert (verdict.failures, verdict.warnings) == ((), ())


@pytest.mark.parametrize(
    "change",
    [
        {
            "item_id": lambda item, row: f"{item['title']} ({row})",  # ids made from titles
            "synopsis": lambda item, row: f"{item['synopsis']} I <3 AC/DC & R&B in SÃO PAULO, 1 < 2 > 0",
            "category": lambda item, row: f"Movies and series > Genres > Group number {row % 130}",
        },
        {
            "title": lambda item, row: "",
            "synopsis": lambda item, row: "" if row % 5 < 2 else f"{item['synopsis'][:40]} {row}",
        },
    ],
)
def test_honest_oddities_pass(change):
    items = sources.rows()
    for row, item in enumerate(items):
        item.update({column: make(item, row) for column, make in change.items()})
    assert verdict_of(sources.table(items)).failures == ()


def test_the_one_line_of_a_failure():
    verdict = verdict_of(edited(lambda items: (put("category", "", 4)(items), put("title", None, 7)(items))))
    with pytest.raises(ConvoyError) as error:
        verdict.require_success(Path("x.parquet"), "mend it")
    assert str(error.value) == (
        "x.parquet: column 'title': expectation 'title_missing' failed: No title is missing; found 1 of 300 "
        "violate it (0.33%), first row 8 (item_id 's8'): missing; also category_empty (category); mend it"
    )
    assert re.search(r"gate FAILED: 2 of 30 .*\n  title: .*\n    row 8 .*\n  category: ", verdict.summary())
