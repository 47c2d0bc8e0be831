"""Our catalogue as it comes back, and as it is refused."""

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from convoy.core.errors import ConvoyError
from convoy.streamrec.catalogue import io as catalogues
from convoy.streamrec.catalogue import source_io

ROW = {"item_id": "1", "title": "a", "synopsis": "b", "category": "c"}
CLEAN = pa.table({**{name: [value] for name, value in ROW.items()}, "text_sha256": ["00"]})
FACTS = {"source": "a.csv", "source_sha256": None, "max_characters": 20}


def test_a_catalogue_comes_back_with_its_facts_and_is_a_source_itself(tmp_path):
    path = tmp_path / "catalogue.parquet"
    catalogues.write(path, CLEAN, FACTS)
    table, facts = catalogues.read(path)
    assert table.equals(CLEAN.cast(catalogues.CATALOGUE))
    assert facts == FACTS
    assert json.loads(pq.read_schema(path).metadata[b"convoy"]) == FACTS
    assert source_io.read_source(path, {}, need_category=True).to_pylist() == [ROW]
    before = path.read_bytes()
    catalogues.write(path, CLEAN, FACTS)
    assert path.read_bytes() == before


def test_a_broken_catalogue_is_refused(tmp_path):
    path = tmp_path / "catalogue.parquet"
    with pytest.raises(ConvoyError, match="no such file"):
        catalogues.read(path)
    catalogues.write(path, CLEAN, FACTS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with pytest.raises(ConvoyError, match="make it again"):
        catalogues.read(path)
    place = whole.index(b"\x28\xb5\x2f\xfd") + 10  # within the first zstd frame
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(ConvoyError, match="CRC checksum"):
        catalogues.read(path)
    pq.write_table(CLEAN.drop_columns("title"), path)
    with pytest.raises(ConvoyError, match="expected the columns item_id, title"):
        catalogues.read(path)
    pq.write_table(CLEAN.cast(catalogues.CATALOGUE), path)
    with pytest.raises(ConvoyError, match="no facts"):
        catalogues.read(path)


def test_truth_comes_back_and_has_no_rows_for_a_real_catalogue(tmp_path):
    path = tmp_path / "truth.parquet"
    catalogues.write_truth(path, None)
    assert catalogues.read_truth(path).equals(catalogues.TRUTH.empty_table())
    truth = pa.table({"item_id": ["1"], "order_blind": ["a"], "full": ["b"], "taste": [[0.5, 1.5]]})
    catalogues.write_truth(path, truth)
    assert catalogues.read_truth(path).to_pylist() == truth.to_pylist()


NO_SHA256: tuple[Any, ...] = ({"a": 1}, [], 1, "x", "A" * 64, "")
ODD: list[tuple[str, Any]] = [("source_sha256", value) for value in NO_SHA256]
ODD += [("max_characters", value) for value in (None, 0, "20", 1.5, True)]


@pytest.mark.parametrize("facts", [
    b"", b"{", b"null", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b"{}", b'{"source_sha256": null}',
    *(json.dumps({**FACTS, key: value}).encode() for key, value in ODD),
])  # fmt: skip
def test_odd_metadata_under_our_name_are_refused_in_one_line(tmp_path, facts):
    path = tmp_path / "catalogue.parquet"
    catalogues.write(path, CLEAN, FACTS)
    pq.write_table(pq.read_table(path).replace_schema_metadata({catalogues.FACTS: facts}), path)
    for reader in (lambda: catalogues.read(path), source_io.Items(path, {}).sources):
        with pytest.raises(ConvoyError, match=r"^[^\n]*metadata 'convoy' are not the facts[^\n]*$"):
            reader()
