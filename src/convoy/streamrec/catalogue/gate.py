"""Validation of a catalogue: its rows, swapped columns, and labels that leak into their own texts."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from convoy.quality.docs import render
from convoy.quality.expectations import Part, Rule, validate
from convoy.quality.verdict import Verdict
from convoy.streamrec.catalogue.cleaning import texts_and_hashes
from convoy.streamrec.catalogue.gate_rules import (
    COLUMNS,
    RECOMPUTED,
    GateParams,
    content_rules,
    hash_rule,
    leaked_label_rule,
    most_categories,
    shape_rules,
)
from convoy.streamrec.catalogue.leaked_label import LabelMentions, count_mentions

MENTIONS = "labels in their own texts"


def judge(table: pa.Table, facts: Mapping[str, Any], params: GateParams) -> tuple[Verdict, str]:
    """Return the verdict on a catalogue as `io.read` returns it, and the Data Docs as HTML.

    For a catalogue without rows or with a missing column only that is checked: missing values pass every
    other expectation.
    """
    present = [name for name in COLUMNS if name in table.column_names and _is_text(table[name].type)]
    items = table.select(present).to_pandas()
    mentions: list[LabelMentions] = []
    if len(present) < len(COLUMNS) or len(items) == 0:
        parts = [Part("catalogue", items, shape_rules(), key="item_id")]
    else:
        texts, hashes = texts_and_hashes(
            pc.fill_null(table["title"], ""), pc.fill_null(table["synopsis"], "")
        )
        rules = [*shape_rules(), *content_rules(len(items), facts, params)]
        hashed = pd.DataFrame(
            {"text_sha256": items["text_sha256"], RECOMPUTED: pd.Series(hashes, dtype="str")}
        )
        parts = [
            Part("catalogue", items, rules, "item_id"),
            Part("hashes", hashed, [hash_rule()], "item_id", source=items),
            _columns_part(items, table, texts),
        ]
        # Titles or synopses in the place of labels are not searched for.
        if items["category"].nunique() <= most_categories(len(items), params):
            mentions = _mentions(texts, table["category"])
            parts.append(_labels_part(mentions, params))
    answers = validate(parts)
    findings = [(answer.rule.warns, answer.finding) for answer in answers if answer.finding is not None]
    leaked_labels = [m for m in mentions if m.is_leaked(params.leaked_label_share, params.leaked_label_ratio)]
    verdict = Verdict(
        subject="the catalogue",
        items=len(items),
        expectations=len(answers),
        failures=tuple(finding for warns, finding in findings if not warns),
        warnings=tuple(finding for warns, finding in findings if warns),
        facts={"categories": len(mentions), "leaked_labels": {m.label: m.counts() for m in leaked_labels}},
    )
    return verdict, render("Gate of the StreamRec catalogue", verdict, answers)


def _columns_part(items: pd.DataFrame, table: pa.Table, texts: Sequence[str]) -> Part:
    """Rules that detect swapped columns by comparing columns: no bound on one column fits all catalogues.

    A swap changes these measures by factors of five and more; correct catalogues of any size stay a factor of
    two within each bound; and a swap that violates none of them violates the bound on categories.
    """
    titles = table["title"].filter(pc.greater(pc.utf8_length(table["title"]), 0))
    synopses = table["synopsis"].filter(pc.greater(pc.utf8_length(table["synopsis"]), 0))
    title_blanks = _share_with_blanks(titles if len(titles) else synopses)
    # Ids are one word in nearly every catalogue; where they are made from titles, titles have blanks too.
    most_blanks = max(0.2, 2 * title_blanks)
    rules = [
        _swap_rule(
            "item_id",
            "ids with blanks",
            f"The share of ids with blanks is at most 20%, or twice that of titles ({title_blanks:.0%})",
            most_blanks,
        ),
        _swap_rule(
            "category",
            "characters in a category",
            "A category is on average at most twice as long as title and synopsis together",
            2 * sum(map(len, texts)) / len(texts),
        ),
        _swap_rule(
            "title",
            "characters in a title",
            "A title is on average at most twice as long as a synopsis",
            2 * _mean_characters(synopses if len(synopses) else titles),
        ),
    ]
    measured = {
        "ids with blanks": [_share_with_blanks(table["item_id"])],
        "characters in a category": [_mean_characters(table["category"])],
        "characters in a title": [_mean_characters(titles)],
    }
    return Part("columns", pd.DataFrame(measured), rules, key="item_id", source=items)


def _swap_rule(column: str, measure: str, words: str, most: float) -> Rule:
    words = f"{words}; if not, '{column}' and another column are swapped"
    bounds = {"max_value": most}
    return Rule(f"{column}_swapped", "ExpectColumnMaxToBeBetween", words, measure, bounds, shows=column)


def _labels_part(mentions: Sequence[LabelMentions], params: GateParams) -> Part:
    """One row per label: its counts of mentions where it is leaked, else null."""
    leaks = [
        str(m) if m.is_leaked(params.leaked_label_share, params.leaked_label_ratio) else None
        for m in mentions
    ]
    frame = pd.DataFrame({"category": [m.label for m in mentions], MENTIONS: pd.Series(leaks, dtype="str")})
    return Part("labels", frame, [leaked_label_rule(MENTIONS, params)], key="category", numbered=False)


def _mentions(texts: Sequence[str], categories: pa.ChunkedArray) -> list[LabelMentions]:
    """Mentions of each label in the texts of the items that have one."""
    labels = pc.fill_null(categories, "").combine_chunks()
    rows = pc.indices_nonzero(pc.not_equal(labels, ""))
    encoded = labels.take(rows).dictionary_encode()
    labelled = [texts[row] for row in rows.to_pylist()]
    return count_mentions(labelled, encoded.indices.to_numpy(), encoded.dictionary.to_pylist())


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _share_with_blanks(column: pa.ChunkedArray) -> float:
    return float(pc.mean(pc.match_substring_regex(column, r"\S\s+\S")).as_py() or 0)


def _mean_characters(column: pa.ChunkedArray) -> float:
    return float(pc.mean(pc.utf8_length(column)).as_py() or 0)
