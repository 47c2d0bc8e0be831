"""The stored folder of site-years: read as written, refused where it was changed."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from convoy.climate.series.data import io
from convoy.climate.series.sources.io import SeriesParams, made, summary
from convoy.core.errors import ConvoyError
from convoy.core.files import MANIFEST, write_manifest


@pytest.fixture(scope="module")
def made_once():
    return made(SeriesParams.model_validate({"synthetic": {"sites": 10, "years": 2}}))


@pytest.fixture
def folder(tmp_path, made_once):
    held, _, facts = made_once
    io.write(tmp_path / "series", held, facts)
    return tmp_path / "series"


def test_what_is_written_is_read(folder, made_once):
    held, found = made_once[0], io.read(folder)
    assert found.variables == held.variables
    assert found.categories == held.categories
    for name in ("values", "site", "year", "label", "split", "latitude", "interpolated"):
        np.testing.assert_array_equal(getattr(found, name), getattr(held, name))


def test_equal_site_years_give_equal_bytes(folder, tmp_path, made_once):
    io.write(tmp_path / "again", made_once[0], made_once[2])
    assert (tmp_path / "again" / MANIFEST).read_bytes() == (folder / MANIFEST).read_bytes()


def test_the_truth(tmp_path, made_once):
    held, posterior, _ = made_once
    io.write_truth(tmp_path / "truth.parquet", held.item_ids, held.categories, posterior)
    table = io.read_truth(tmp_path / "truth.parquet")
    assert table.column_names == ["item_id", *held.categories]
    assert table["item_id"].to_pylist() == held.item_ids
    np.testing.assert_array_equal(table["coast"].to_numpy(), posterior[:, 0])


def test_the_summary_counts(made_once):
    text = summary(made_once[0], made_once[2])
    assert "20 site-years of synthetic: tas, tasmax, tasmin, psl, huss, sfcWind" in text
    assert "coast 4, high_mountain 4, lowland 4, slope 4, valley 4" in text


def _other_shape(folder):
    np.save(folder / io.VALUES, np.zeros((20, 6, 366), np.float32))


def _other_numbers(folder):
    np.save(folder / io.VALUES, np.zeros((20, 6, 365)))


def _no_array(folder):
    (folder / io.VALUES).write_bytes(b"\x93NUMPY no")


def _pickled(folder):
    np.save(folder / io.VALUES, np.empty((20, 6, 365), object))


def _no_column(folder):
    pq.write_table(pq.read_table(folder / io.ROWS).drop_columns(["year"]), folder / io.ROWS)


def _no_parquet(folder):
    (folder / io.ROWS).write_bytes(b"PAR1")


def _no_variables(folder):
    facts = json.loads((folder / io.FACTS).read_text())
    (folder / io.FACTS).write_text(json.dumps({**facts, "variables": 6}))


def _nothing(folder):
    (folder / io.VALUES).write_bytes(b"")


def _column(name, value):
    def change(folder):
        table = pq.read_table(folder / io.ROWS)
        place = table.column_names.index(name)
        cells = pa.array([value] * len(table), pa.string())
        pq.write_table(table.set_column(place, name, cells), folder / io.ROWS)

    return change


def _a_category_twice(folder):
    text = (folder / io.FACTS).read_text()
    (folder / io.FACTS).write_text(text.replace('"valley"', '"slope"'))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_other_shape, r"values.npy: expected float32 \[20, 6, 365\]; found float32 \[20, 6, 366\]"),
        (_other_numbers, r"found float64"),
        (_no_array, "values.npy: not an array"),
        (_pickled, "values.npy: not an array"),
        (_nothing, "values.npy: not an array"),
        (_column("label", "desert"), "rows.parquet: expected labels among the categories; found desert"),
        (_column("split", None), "rows.parquet: expected no empty cell; found one in 'split'"),
        (_a_category_twice, "series.json: expected each category once"),
        (_no_column, "rows.parquet: expected columns site, year"),
        (_no_parquet, "rows.parquet: not a whole Parquet file"),
        (_no_variables, "series.json: expected a list of names as 'variables'; found 6"),
    ],
)
def test_parts_that_do_not_fit_are_refused(folder, change, message):
    change(folder)
    with pytest.raises(ConvoyError, match=r"values.npy|rows.parquet|series.json"):
        io.read(folder)  # the manifest shows that a file was changed
    write_manifest(folder)
    with pytest.raises(ConvoyError, match=message):
        io.read(folder)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ConvoyError, match="no such folder; make it again"):
        io.read(tmp_path / "none")
