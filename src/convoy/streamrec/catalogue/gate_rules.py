"""Expectations on a catalogue: the gate's params, and its rules with their descriptions."""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from convoy.core.params import Section
from convoy.quality.expectations import Rule

COLUMNS = ("item_id", "title", "synopsis", "category", "text_sha256")
PLURALS = {"title": "titles", "synopsis": "synopses"}
RECOMPUTED = "sha256 of title and synopsis"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

# Tags with names of HTML: `<3` and `<Narrator>` are text. Entities: only those that end in a semicolon.
HTML_TAG = (
    r"(?i)</?(?:a|b|br|div|em|font|h[1-6]|i|img|li|ol|p|script|span|strong|style|table|td|tr|u|ul)"
    r"(?:\s[^<>]*)?/?>|&(?:amp|lt|gt|quot|apos|nbsp|#[0-9]{1,7}|#x[0-9a-f]{1,6});"
)
# UTF-8 read as Latin-1 or Windows-1252, and the replacement character.
MOJIBAKE = "[ÂÃ][\u0080-\u00bf]|â€|â\u0080|ðŸ|ï¿½|\ufffd"
CONTROL = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f\u0080-\u009f]"


class GateParams(Section):
    """Limits of the gate on the catalogue. A share is out of all items unless stated otherwise."""

    leaked_label: Literal["warn", "fail"] = Field(
        "warn", description="warn or fail where a label is leaked: its own texts contain it too often"
    )
    leaked_label_share: float = Field(
        0.2, ge=0, le=1, description="leaked: in more than this share of its texts"
    )
    leaked_label_ratio: float = Field(
        5.0, ge=1, le=1000, description="and so many times as often as in other texts"
    )
    max_empty_share: float = Field(
        0.5, ge=0, le=1, description="largest share of items without a synopsis; of titles, if there are none"
    )
    max_unclean_share: float = Field(
        0.01, ge=0, le=1, description="largest share of texts with HTML, mojibake, control characters"
    )
    max_repeated_share: float = Field(0.5, ge=0, le=1, description="largest share of texts that repeat one")
    max_categories_share: float = Field(
        0.75, gt=0, le=1, description="most categories, relative to items; 10 always pass"
    )
    max_category_characters: int = Field(200, ge=1, le=10_000, description="longest name of a category")
    max_characters: int = Field(200_000, ge=1, le=10_000_000, description="longest title or synopsis")


def shape_rules() -> list[Rule]:
    """Rules that have to hold before values are checked."""
    return [
        Rule(
            "columns",
            "ExpectTableColumnsToMatchSet",
            "The columns item_id, title, synopsis, category and text_sha256 exist and are strings",
            bounds={"column_set": list(COLUMNS), "exact_match": False},
        ),
        Rule("rows", "ExpectTableRowCountToBeBetween", "There is at least one item", bounds={"min_value": 1}),
    ]


def content_rules(rows: int, facts: Mapping[str, Any], params: GateParams) -> list[Rule]:
    """Rules on the values of a catalogue, column by column."""
    # What has to be filled: the titles of a source without synopses.
    text = "title" if facts.get("text") == "title" else "synopsis"
    limit = min(int(facts.get("max_characters", params.max_characters)), params.max_characters)
    rules = [
        Rule(f"{column}_missing", "ExpectColumnValuesToNotBeNull", f"No {column} is missing", column)
        for column in COLUMNS
    ]
    filled = 1 - params.max_empty_share
    filled_words = f"At least {filled:.0%} of the {PLURALS[text]} are not empty"
    rules += [
        Rule("item_id_repeated", "ExpectColumnValuesToBeUnique", "No item_id is repeated", "item_id"),
        _filled("item_id_empty", "No item_id is empty", "item_id"),
        _category_filled(rows, int(facts.get("dropped", 0))),
        _filled(f"{text}_empty", filled_words, text, mostly=filled),
    ]
    rules += _category_rules(rows, params)
    rules += _text_rules("title", limit, params) + _text_rules("synopsis", limit, params)
    rules += _repetition_rules(params)
    return rules


def hash_rule() -> Rule:
    """Rule that stored hashes equal recomputed ones: a table edited by hand violates it."""
    return Rule(
        "text_sha256_stale",
        "ExpectColumnPairValuesToBeEqual",
        "Each text_sha256 is the hash of the row's title and synopsis",
        bounds={"column_A": "text_sha256", "column_B": RECOMPUTED},
        shows="text_sha256",
    )


def leaked_label_rule(column: str, params: GateParams) -> Rule:
    """Rule on a frame of one row per label, with null in `column` where the label is not leaked."""
    words = (
        f"No label occurs in more than {params.leaked_label_share:.0%} of its own texts and, as a share, "
        f"{params.leaked_label_ratio:g} times as often as in the texts of other labels"
    )
    return Rule(
        "leaked_label", "ExpectColumnValuesToBeNull", words, column, warns=params.leaked_label == "warn"
    )


def _filled(name: str, words: str, column: str, mostly: float = 1.0) -> Rule:
    bounds = {"min_value": 1, "mostly": mostly}
    return Rule(name, "ExpectColumnValueLengthsToBeBetween", words, column, bounds)


def _category_filled(rows: int, dropped: int) -> Rule:
    """Rule that no more items are without a category than the catalogue states."""
    words = f"At most {dropped} items, those dropped, have no category" if dropped else "No category is empty"
    # Half an item less: a share is not exact.
    mostly = 1 - (dropped + 0.5) / rows if dropped else 1.0
    return _filled("category_empty", words, "category", max(0.0, mostly))


def most_categories(rows: int, params: GateParams) -> int:
    """The number of categories that `rows` items may have.

    Titles or synopses in the place of categories are nearly all different, real labels are not: 200 rows of a
    streaming catalogue with all its labels in one string had 99 different ones, 8,786 rows had 512.
    """
    return max(10, int(rows * params.max_categories_share))


def _category_rules(rows: int, params: GateParams) -> list[Rule]:
    most = most_categories(rows, params)
    return [
        Rule(
            "category_long",
            "ExpectColumnValueLengthsToBeBetween",
            # A row whose values are shifted by one column has a sentence here.
            f"No category is longer than {params.max_category_characters} characters",
            "category",
            {"max_value": params.max_category_characters},
        ),
        Rule(
            "category_single",
            "ExpectColumnUniqueValueCountToBeBetween",
            "There are at least two categories",
            "category",
            {"min_value": 2},
        ),
        Rule(
            "category_count",
            "ExpectColumnUniqueValueCountToBeBetween",
            f"There are at most {most} categories for {rows} items; if not, titles or synopses are in their "
            "place",
            "category",
            {"max_value": most},
        ),
    ]


def _text_rules(column: str, limit: int, params: GateParams) -> list[Rule]:
    clean = 1 - params.max_unclean_share
    # Cleaning removes all of these. A few are allowed: a synopsis may be about `<br>`, a character may be
    # lost.
    unclean = [
        ("html", HTML_TAG, "HTML tags or entities"),
        ("mojibake", MOJIBAKE, "misread or lost characters (mojibake such as Ã©)"),
        ("control", CONTROL, "control characters"),
    ]
    return [
        Rule(
            f"{column}_long",
            "ExpectColumnValueLengthsToBeBetween",
            f"No {column} is longer than {limit} characters",
            column,
            {"max_value": limit},
        ),
        *(
            Rule(
                f"{column}_{name}",
                "ExpectColumnValuesToNotMatchRegex",
                f"At least {clean:.0%} of the {column} column is free of {what}",
                column,
                {"regex": pattern, "mostly": clean},
            )
            for name, pattern, what in unclean
        ),
    ]


def _repetition_rules(params: GateParams) -> list[Rule]:
    distinct = 1 - params.max_repeated_share
    return [
        Rule(
            # A synopsis column of labels, or of one sentence throughout, has few different texts.
            "text_few",
            "ExpectColumnProportionOfUniqueValuesToBeBetween",
            f"At least {distinct:.0%} of the texts do not repeat an earlier one",
            "text_sha256",
            {"min_value": distinct},
            shows="synopsis",
        ),
        Rule(
            "text_repeated",
            "ExpectColumnValuesToBeUnique",
            "No two items have the same text",
            "text_sha256",
            warns=True,
            shows="synopsis",
        ),
        Rule(
            "text_empty",
            "ExpectColumnValuesToNotBeInSet",
            "No item has an empty text",
            "text_sha256",
            {"value_set": [EMPTY_SHA256]},
            warns=True,
        ),
    ]
