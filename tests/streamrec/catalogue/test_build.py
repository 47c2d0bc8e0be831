"""The catalogue: labels, small categories, equal and empty texts, counts, and refusals in one line."""

import hashlib

import pyarrow as pa
import pytest

from convoy.core import params
from convoy.core.errors import ConvoyError
from convoy.streamrec.catalogue import build as catalogue
from convoy.streamrec.catalogue.params import CatalogueParams
from convoy.streamrec.catalogue.synthetic.items import SyntheticParams, generate


def section(**values):
    return params.parse({"source": "folder/items.csv", **values}, CatalogueParams, where="test")


def rows(*pairs, **columns):
    """A raw table of (synopsis, category) pairs in chunks of two; other columns by name."""
    table = {
        "item_id": [f"i{number}" for number in range(len(pairs))],
        "title": ["T"] * len(pairs),
        "synopsis": [synopsis for synopsis, _ in pairs],
        "category": [category for _, category in pairs],
        **columns,
    }
    whole = pa.table({name: pa.array(values, pa.string()) for name, values in table.items()})
    return pa.concat_tables(whole.slice(start, 2) for start in range(0, len(whole), 2))


def refusal(table, **values):
    with pytest.raises(ConvoyError) as caught:
        catalogue.build(table, section(**values))
    message = str(caught.value)
    assert message.startswith("folder/items.csv: ")
    assert "\n" not in message
    return message.removeprefix("folder/items.csv: ")


def test_rows_keep_their_order_and_get_hashes():
    table, report = catalogue.build(rows((" one ", "B"), ("two", "A"), (None, "B")), section())
    assert table.schema.names == ["item_id", "title", "synopsis", "category", "text_sha256"]
    assert table["item_id"].to_pylist() == ["i0", "i1", "i2"]
    assert table["synopsis"].to_pylist() == ["one", "two", ""]
    texts = ["T one", "T two", "T"]
    assert table["text_sha256"].to_pylist() == [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    assert report["source"] == "items.csv"
    assert (report["rows_read"], report["rows_kept"]) == (3, 3)
    assert report["nulls"] == {"title": 0, "synopsis": 1}
    assert report["categories"] == {"A": 1, "B": 2}
    assert report["mended"]["synopsis"]["white_space"] == 1
    assert sum(report["mended"]["title"].values()) == 0


def test_building_again_changes_nothing():
    dirty = rows(("cafÃ© &amp; bar", "A &amp; B"), ("x\x00y", "C"), title=["<b>T</b>", " "])
    once, _ = catalogue.build(dirty, section())
    twice, report = catalogue.build(once, section())
    assert twice.equals(once)
    assert sum(sum(counts.values()) for counts in report["mended"].values()) == 0


def test_the_first_label_counts_and_is_cleaned():
    labels = ["Drama, Crime", " Drama ", ", Crime", "R&amp;B;, x", "Crime"]
    table, report = catalogue.build(
        rows(*[("s", label) for label in labels]), section(category_separator=", ")
    )
    assert table["category"].to_pylist() == ["Drama", "Drama", "Crime", "R&B;", "Crime"]
    table, report = catalogue.build(
        rows(("s", "A &amp; B;C"), ("s", "A &amp; B"), ("s", "D\u0301")), section(category_separator=";")
    )
    assert table["category"].to_pylist() == ["A & B", "A & B", "D\u0301"]
    table, report = catalogue.build(rows(("s", "A\nB"), ("s", "e\u0301"), ("s", "e\u0301")), section())
    assert table["category"].to_pylist() == ["A B", "é", "é"]
    assert report["mended"]["category"]["white_space"] == 1
    assert report["mended"]["category"]["not_nfc"] == 2


SMALL = [("s", label) for label in ["A", "A", "A", "B", "B", "B", "c", "d", "d"]]


def test_small_categories_are_folded_into_other():
    table, report = catalogue.build(rows(*SMALL), section(min_category_size=3))
    assert table["category"].to_pylist() == ["A"] * 3 + ["B"] * 3 + ["other"] * 3
    assert report["folded"] == {"categories": 2, "items": 3, "items_other_before": 0}
    assert report["dropped"] == {"categories": 0, "items": 0, "items_without_category": 0}


def test_folding_joins_an_other_of_the_source_itself():
    _, report = catalogue.build(rows(*SMALL, ("s", "other")), section(min_category_size=3))
    assert report["categories"] == {"A": 3, "B": 3, "other": 4}
    assert report["folded"] == {"categories": 2, "items": 3, "items_other_before": 1}


def test_dropped_items_stay_in_the_catalogue_without_a_category():
    table, report = catalogue.build(
        rows(("s", None), *SMALL, ("s", " ")), section(min_category_size=3, small_categories="drop")
    )
    assert table["category"].to_pylist() == ["", *"AAABBB", "", "", "", ""]
    assert report["dropped"] == {"categories": 2, "items": 3, "items_without_category": 2}
    assert report["folded"] == {"categories": 0, "items": 0, "items_other_before": 0}
    assert (report["rows_read"], report["rows_kept"]) == (11, 11)
    assert report["categories"] == {"A": 3, "B": 3}
    assert catalogue.facts(report, section(), None)["dropped"] == 5
    assert "without a category, embedded but not trained on: 5" in catalogue.summary(report)


def test_rows_without_a_category_may_be_dropped_where_small_categories_are_folded():
    drawn = rows(("s", None), *SMALL)
    assert refusal(drawn).endswith("fill it, or set unlabelled to drop")
    table, report = catalogue.build(drawn, section(min_category_size=3, unlabelled="drop"))
    assert table["category"].to_pylist() == ["", *"AAABBB", "other", "other", "other"]
    assert report["dropped"] == {"categories": 0, "items": 0, "items_without_category": 1}
    values = {"small_categories": "drop", "unlabelled": "refuse"}
    assert "is empty in row 1" in refusal(drawn, **values)


def test_equal_and_empty_texts_are_counted():
    table, report = catalogue.build(
        rows(
            *[("same", "A"), (" same", "B"), ("pair", "A"), ("pair", "A"), ("pair ", "A"), ("own", "B")],
            *[("", "A"), (None, "B"), ("\u200b", "A")],
            title=["T"] * 6 + [None, " ", ""],
        ),
        section(),
    )
    assert report["empty_texts"] == 3
    assert report["equal_texts"] == {"groups": 2, "items": 5, "groups_of_several_categories": 1}
    assert len(table) == 9
    assert set(table["text_sha256"].to_pylist()[6:]) == {hashlib.sha256(b"").hexdigest()}


def test_long_texts_are_cut_and_counted():
    table, report = catalogue.build(rows(("x" * 30, "A"), ("y" * 10, "B")), section(max_characters=10))
    assert table["synopsis"].to_pylist() == ["x" * 10, "y" * 10]
    assert report["mended"]["synopsis"]["cut"] == 1


def test_repeated_ids_are_refused_with_their_rows():
    table = rows(*[("s", "A"), ("s", "B")] * 3, item_id=["a", "b", "c", "b", "a", "b"])
    assert refusal(table) == "item_id 'a' occurs in rows 1, 5, and 1 more ids are repeated; make ids unique"
    many = rows(*[("s", "A"), ("s", "B")] * 10, item_id=["a"] * 20)
    assert "rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 10 more; make" in refusal(many)
    padded = rows(("s", "A"), ("s", "B"), ("s", "B"), item_id=["a ", "b", "\u3000a"])
    assert refusal(padded) == "item_id 'a' occurs in rows 1, 3 with other blanks at the ends; make ids unique"


def test_ids_stay_as_they_were_written():
    built, _ = catalogue.build(rows(("s", "A"), ("s", "B"), item_id=[" a ", "b"]), section())
    assert built["item_id"].to_pylist() == [" a ", "b"]


@pytest.mark.parametrize(
    ("table", "values", "expected"),
    [
        (
            rows(("s", "A"), ("s", None), ("s", " "), ("s", "B")),
            {},
            "column 'category' is empty in rows 2, 3;",
        ),
        (
            rows(("s", "A"), ("s", "<script>"), ("s", None), ("s", "B")),
            {},
            "column 'category' is empty after cleaning (it was '<script>') in rows 2, 3; fill it",
        ),
        (
            rows(("s", "A"), ("s", "\x1b[31m"), ("s", "B")),
            {},
            r"column 'category' is empty after cleaning (it was '\x1b[31m') in row 2; fill it",
        ),
        (rows(("s", None), ("s", "")), {}, "column 'category' is empty in all 2 rows"),
        (rows(("s", "<br>"), ("s", "")), {}, "is empty after cleaning (it was '<br>') in all 2 rows"),
        (rows(("s", None), ("s", "")), {"small_categories": "drop"}, "is empty in all 2 rows"),
        (rows((None, "A"), (" ", "B")), {}, "column 'synopsis' is empty in all 2 rows"),
        (
            rows(("<p></p>", "A"), ("", "B")),
            {"columns": {"synopsis": "text"}},
            "column 'text' (synopsis) is empty after cleaning (it was '<p></p>') in all 2 rows",
        ),
        (rows(("s", "A"), ("t", "A")), {}, "fewer than two categories are left ('A') of 1"),
        (rows(*SMALL), {"min_category_size": 4}, "('other') of 4 with min_category_size 4"),
        (rows(*SMALL), {"min_category_size": 9, "small_categories": "drop"}, "left (none) of 4"),
        (
            rows(*[("s", f"a long text, number {number}") for number in range(101)]),
            {"columns": {"category": "description"}},
            "column 'description' (category) holds 101 different labels in 101 rows",
        ),
    ],
)
def test_refused_in_one_line(table, values, expected):
    assert expected in refusal(table, **values)


def test_many_categories_of_some_items_each_are_fine():
    labels = [("s", f"label {number % 150}") for number in range(300)]
    assert len(catalogue.build(rows(*labels), section())[1]["categories"]) == 150


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"columns": {"titel": "x"}}, "unknown key 'columns.titel'"),
        ({"small_categories": "keep"}, "key 'small_categories'"),
        ({"min_category_size": 0}, "key 'min_category_size'"),
        ({"max_characters": 1_000_000}, "key 'max_characters'"),
        ({"category_separator": ""}, "key 'category_separator'"),
        ({"source": ""}, "key 'source'"),
    ],
)
def test_params_out_of_bounds_are_refused(values, expected):
    with pytest.raises(ConvoyError, match=expected):
        section(**values)


def test_the_synthetic_catalogue_needs_no_mending():
    made = generate(SyntheticParams.model_validate({"items": 500})).catalogue
    table, report = catalogue.build(made, section(source="synthetic"))
    assert table.select(made.schema.names).to_pylist() == made.to_pylist()
    assert sum(sum(counts.values()) for counts in report["mended"].values()) == 0
    assert catalogue.summary(report).startswith("catalogue of synthetic: 500 rows in 20 categories")
