"""What is expected of a catalogue: the gate's params, and its rules in words with reasons."""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from convoy.core.params import Section
from convoy.quality.expectations import Rule

COLUMNS = ("item_id", "title", "synopsis", "category", "text_sha256")
RECOMPUTED = "sha256 of title and synopsis"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

# Tags with names of HTML: `<3` and `<Narrator>` are text. Entities: only such as end in a semicolon.
HTML_TAG = (
    r"(?i)</?(?:a|b|br|div|em|font|h[1-6]|i|img|li|ol|p|script|span|strong|style|table|td|tr|u|ul)"
    r"(?:\s[^<>]*)?/?>|&(?:amp|lt|gt|quot|apos|nbsp|#[0-9]{1,7}|#x[0-9a-f]{1,6});"
)
# UTF-8 read as Latin-1 or Windows-1252, and the mark that stands for lost characters.
MOJIBAKE = "[ÂÃ][\u0080-\u00bf]|â€|â\u0080|ðŸ|ï¿½|\ufffd"
CONTROL = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f\u0080-\u009f]"


class GateParams(Section):
    """Section `streamrec.gate`. A share is out of all items of the catalogue."""

    leaked_label: Literal["warn", "fail"] = Field(
        "warn", description="what a label in its own texts leads to"
    )
    leaked_label_share: float = Field(0.2, ge=0, le=1, description="texts of a label that may name it")
    leaked_label_ratio: float = Field(5.0, ge=1, le=1000, description="own share over the share elsewhere")
    max_empty_share: float = Field(0.5, ge=0, le=1, description="items that may have no synopsis")
    max_unclean_share: float = Field(0.01, ge=0, le=1, description="texts with HTML, mojibake, controls left")
    max_repeated_share: float = Field(0.5, ge=0, le=1, description="texts that may stand there already")
    max_categories_share: float = Field(0.75, gt=0, le=1, description="categories over items, from 10 on")
    max_category_characters: int = Field(200, ge=1, le=10_000)
    max_characters: int = Field(200_000, ge=1, le=10_000_000, description="whatever the cleaner let through")


def shape_rules() -> list[Rule]:
    """What has to hold before any value is looked at."""
    return [
        Rule(
            "columns",
            "ExpectTableColumnsToMatchSet",
            "The columns item_id, title, synopsis, category and text_sha256 are there, as text",
            bounds={"column_set": list(COLUMNS), "exact_match": False},
        ),
        Rule("rows", "ExpectTableRowCountToBeBetween", "There is at least one item", bounds={"min_value": 1}),
    ]


def content_rules(rows: int, facts: Mapping[str, Any], params: GateParams) -> list[Rule]:
    """What each row of a catalogue has to keep to, column by column."""
    limit = min(int(facts.get("max_characters", params.max_characters)), params.max_characters)
    rules = [
        Rule(f"{column}_missing", "ExpectColumnValuesToNotBeNull", f"No {column} is missing", column)
        for column in COLUMNS
    ]
    filled = 1 - params.max_empty_share
    filled_words = f"At least {filled:.0%} of the synopses are not empty"
    rules += [
        Rule("item_id_repeated", "ExpectColumnValuesToBeUnique", "Each item_id stands there once", "item_id"),
        _filled("item_id_empty", "No item_id is empty", "item_id"),
        _filled("category_empty", "No category is empty", "category"),
        _filled("synopsis_empty", filled_words, "synopsis", mostly=filled),
    ]
    rules += _category_rules(rows, params)
    rules += _text_rules("title", limit, params) + _text_rules("synopsis", limit, params)
    rules += _repetition_rules(params)
    return rules


def hash_rule() -> Rule:
    """What is expected of the hashes beside those made anew: a table edited by hand breaks it."""
    return Rule(
        "text_sha256_stale",
        "ExpectColumnPairValuesToBeEqual",
        "Each text_sha256 is the one of the row's title and synopsis",
        bounds={"column_A": "text_sha256", "column_B": RECOMPUTED},
        shows="text_sha256",
    )


def leaked_label_rule(column: str, params: GateParams) -> Rule:
    """What is expected of the labels, one a row, with null in `column` where a label is sound."""
    words = (
        f"No label is named in more than {params.leaked_label_share:.0%} of its texts "
        f"and {params.leaked_label_ratio:g} times as often as elsewhere"
    )
    return Rule(
        "leaked_label", "ExpectColumnValuesToBeNull", words, column, warns=params.leaked_label == "warn"
    )


def _filled(name: str, words: str, column: str, mostly: float = 1.0) -> Rule:
    bounds = {"min_value": 1, "mostly": mostly}
    return Rule(name, "ExpectColumnValueLengthsToBeBetween", words, column, bounds)


def most_categories(rows: int, params: GateParams) -> int:
    """The number of categories that `rows` items may have.

    Titles or synopses in the place of categories differ nearly all. Honest labels repeat: 200 rows of a
    streaming catalogue with all its labels in one string had 99 different ones, 8,786 rows had 512.
    """
    return max(10, int(rows * params.max_categories_share))


def _category_rules(rows: int, params: GateParams) -> list[Rule]:
    most = most_categories(rows, params)
    return [
        Rule(
            "category_long",
            "ExpectColumnValueLengthsToBeBetween",
            # A row that slipped by one column puts a sentence here.
            f"No category is longer than {params.max_category_characters} characters",
            "category",
            {"max_value": params.max_category_characters},
        ),
        Rule(
            "category_single",
            "ExpectColumnUniqueValueCountToBeBetween",
            "There are at least two categories to tell apart",
            "category",
            {"min_value": 2},
        ),
        Rule(
            "category_count",
            "ExpectColumnUniqueValueCountToBeBetween",
            f"There are at most {most} categories for {rows} items, as labels repeat "
            "and titles or synopses in their place do not",
            "category",
            {"max_value": most},
        ),
    ]


def _text_rules(column: str, limit: int, params: GateParams) -> list[Rule]:
    clean = 1 - params.max_unclean_share
    # The cleaner leaves none of these. A few stay allowed, for texts that mean what they say: a synopsis
    # about `<br>`, a lost character.
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
            # A synopsis column that holds labels, or one sentence throughout, gives a few texts many times.
            "text_few",
            "ExpectColumnProportionOfUniqueValuesToBeBetween",
            f"At least {distinct:.0%} of the texts differ from all before them",
            "text_sha256",
            {"min_value": distinct},
            shows="synopsis",
        ),
        Rule(
            "text_repeated",
            "ExpectColumnValuesToBeUnique",
            "No text stands under several ids",
            "text_sha256",
            warns=True,
            shows="synopsis",
        ),
        Rule(
            "text_empty",
            "ExpectColumnValuesToNotBeInSet",
            "No item is without any text",
            "text_sha256",
            {"value_set": [EMPTY_SHA256]},
            warns=True,
        ),
    ]
