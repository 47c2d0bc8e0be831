"""Params of the catalogue: where it comes from, how it is written, how it is labelled and cleaned."""

from typing import Literal

from pydantic import Field, field_validator

from convoy.core.params import Section
from convoy.streamrec.catalogue.synthetic.items import SyntheticParams
from convoy.streamrec.catalogue.text_io import AUTO, Dialect, is_encoding

SYNTHETIC = "synthetic"


class Columns(Section):
    """Column names of the source, where they differ from ours."""

    item_id: str | None = Field(
        default=None, min_length=1, description="null: `item_id` if the file has it, else the row number."
    )
    title: str | None = Field(default=None, min_length=1, description="null: `title`; values may be empty.")
    synopsis: str | None = Field(
        default=None, min_length=1, description="null: `synopsis` if the file has it, else titles alone."
    )
    category: str | None = Field(
        default=None, min_length=1, description="null: `category`; a label or a list of them."
    )


class CatalogueParams(Section):
    """Where the catalogue comes from and how it is cleaned."""

    source: str = Field(
        default=SYNTHETIC,
        min_length=1,
        description="`synthetic`, or the path of a CSV, TSV, JSON, JSON lines or Parquet file.",
    )
    columns: Columns = Field(
        default=Columns(), description="For a file: the name in the file of each column, where it differs."
    )
    delimiter: str = Field(
        default=AUTO,
        pattern='^(auto|tab|[^\\s\\w"\\\\])$',
        description="Of a CSV: one character, or tab; auto: comma, semicolon, tab or bar, by the header.",
    )
    encoding: str = Field(
        default=AUTO,
        pattern="^[A-Za-z0-9_-]+$",
        description="Of a text file, such as windows-1252; auto: UTF-8, or as its byte order mark states.",
    )
    quotes: Literal["auto", "doubled", "backslash", "none"] = Field(
        default="auto",
        description="Of a CSV: how quotes in a field are written; none: quotes are text. auto: found out.",
    )
    category_separator: str | None = Field(
        default=None,
        min_length=1,
        description="Text between several labels of a row, of which the first is used.",
    )
    min_category_size: int = Field(
        default=1,
        ge=1,
        le=1_000_000,
        description="Categories with fewer items are small, see `small_categories`.",
    )
    small_categories: Literal["fold", "drop"] = Field(
        default="fold",
        description="fold: they become `other`; drop: no model is trained on their items, which are embedded "
        "all the same.",
    )
    unlabelled: Literal["auto", "refuse", "drop"] = Field(
        default="auto",
        description="A row without a category: an error, or as an item of a small category that is dropped; "
        "auto: by `small_categories`, refuse where these are folded.",
    )
    max_characters: int = Field(
        default=20_000, ge=10, le=200_000, description="Longer titles and synopses are cut."
    )
    synthetic: SyntheticParams = Field(
        default=SyntheticParams.model_validate({}),
        description="For `source: synthetic`; null: the value of the preset.",
    )

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != AUTO and not is_encoding(name):
            raise ValueError("no encoding of that name")
        return name

    def column_names(self) -> dict[str, str]:
        """The names that differ, by ours."""
        return self.columns.model_dump(exclude_none=True)

    def dialect(self) -> Dialect:
        """How the source is written."""
        return Dialect(self.delimiter, self.encoding, self.quotes)
