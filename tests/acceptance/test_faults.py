"""Every planted fault is caught by the check that is named for it; clean retrainings are accepted."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from convoy.acceptance.certificate import certificate, is_accepted
from convoy.acceptance.checks import judged
from convoy.acceptance.io import examine
from convoy.core import artifact
from convoy.core.files import write_manifest
from convoy.embeddings import io
from convoy.streamrec.catalogue.source_io import Items
from convoy.streamrec.classification.acceptance_io import gathered
from tests.support.accepted import catalogue_table, contents, embed, make, store
from tests.support.once import once

RANDOM = np.random.default_rng(5)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return once(tmp_path_factory, "accepted", make)


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    return make(tmp_path_factory.mktemp("retrained") / "second", seed=1)


def judge(vectors, of, against=None, catalogue=None, **more):
    """The certificate of a version, with the catalogue and the model in the folder `of`."""
    items = Items(catalogue or of / "catalogue.parquet", {})
    case = gathered(examine(vectors), items, artifact.read(of / "model"), against, **more)
    results = judged(case)
    found = certificate(case, results)
    assert found["accepted"] == is_accepted(results) == (not failed(found))
    return found


def failed(found):
    return {name for name, check in found["checks"].items() if check["state"] == "failed"}


def changed(**changes):
    return lambda rows: replace(rows, **{name: change(rows) for name, change in changes.items()})


def with_rows(change):
    def vectors(rows):
        new = rows.vectors.copy()
        change(new)
        return new

    return changed(vectors=vectors)


def put(rows, places, value):
    rows[places] = value


def labels(rows):
    """The category as one strong direction of each vector."""
    table = catalogue_table()
    category = dict(zip(table["item_id"].to_pylist(), table["category"].to_pylist(), strict=True))
    numbers = np.unique([category[one] for one in rows.ids], return_inverse=True)[1]
    return rows.vectors + 30 * np.eye(rows.vectors.shape[1], dtype=np.float32)[numbers]


def collapsed(rows):
    return rows.vectors.mean(0) + 0.001 * RANDOM.normal(size=rows.vectors.shape).astype(np.float32)


def scaled(rows):
    return rows.vectors / np.linalg.norm(rows.vectors, axis=1, keepdims=True)


def with_fact(**facts):
    return lambda rows: replace(rows, facts={**rows.facts, **facts})


def doubled(rows):
    return rows.taken(np.sort(np.append(np.arange(len(rows.ids)), 7)))


def extra(rows):
    more = rows.taken(np.append(np.arange(len(rows.ids)), len(rows.ids) - 1))
    more.ids[-1] = "item-9999999"
    return more


FAULTS = {
    "shuffled ids": ("categories", lambda rows: replace(rows, vectors=RANDOM.permutation(rows.vectors))),
    "shuffled ids, seen by the neighbours": (
        "overlap", lambda rows: replace(rows, vectors=RANDOM.permutation(rows.vectors)),
    ),
    "a tenth of the ids shuffled": (
        "re_embedded", with_rows(lambda rows: put(rows, slice(60), np.roll(rows[:60], 1, axis=0))),
    ),
    "zero rows": ("zeros", with_rows(lambda rows: put(rows, [4, 99], 0))),
    "a vector where the status says there is none": (
        "zeros", changed(status=lambda rows: ["all_unknown", *rows.status[1:]]),
    ),
    "no item with a vector": (
        "zeros",
        lambda rows: replace(rows, vectors=0 * rows.vectors, status=["all_unknown"] * len(rows.ids)),
    ),
    "NaN": ("finite", with_rows(lambda rows: put(rows, (3, 2), np.nan))),
    "infinity": ("finite", with_rows(lambda rows: put(rows, (3, 2), -np.inf))),
    "overflow": ("overflow", with_rows(lambda rows: put(rows, (3, 2), 3e38))),
    "a vector far too long": ("lengths", with_rows(lambda rows: put(rows, 5, rows[5] * 1e4))),
    "doubled id": ("ids", doubled),
    "unsorted ids": ("ids", lambda rows: rows.taken(np.arange(len(rows.ids))[::-1])),
    "missing item": ("missing", lambda rows: rows.taken(np.arange(len(rows.ids)) != 42)),
    "extra item": ("extra", extra),
    "wrong dimension": ("dimension", changed(vectors=lambda rows: rows.vectors[:, :12])),
    "changed normalisation": ("normalisation", changed(vectors=scaled)),
    "declared normalisation that is not": ("normalisation", with_fact(normalise="l2")),
    "other units": ("lengths", changed(vectors=lambda rows: 10 * rows.vectors)),
    "collapsed vectors": ("collapse", changed(vectors=collapsed)),
    "vectors on a line": (
        "collapse", changed(vectors=lambda rows: np.outer(rows.vectors[:, 0] - 1, np.ones(16, np.float32))),
    ),
    "leaked label": ("leaked_label", changed(vectors=labels)),
    "wrong catalogue": ("catalogue", with_fact(catalogue_sha256="0" * 64)),
    "other texts": ("texts", changed(digests=lambda rows: ["0" * 64, *rows.digests[1:]])),
    "a schema of the future": ("schema", with_fact(schema=3)),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_rows_fails_the_check_named_for_it(fault, first, tmp_path):
    name, plant = FAULTS[fault]
    store(tmp_path / "vectors", plant(contents(first / "vectors")))
    found = judge(tmp_path / "vectors", first, first / "vectors")
    assert name in failed(found), found["checks"]
    assert found["words"][0].startswith("Not accepted: ")
    assert any(words.startswith(f"{name}: ") for words in found["words"])


def test_what_the_faults_are_planted_into_is_accepted(first, tmp_path):
    store(tmp_path / "vectors", contents(first / "vectors"))
    found = judge(tmp_path / "vectors", first, first / "vectors")
    assert failed(found) == set()
    assert found["checks"]["overlap"]["figures"]["overlap"] == 1


def test_a_stale_model(first, second, tmp_path):
    found = judge(first / "vectors", second)
    assert {"weights", "re_embedded"} <= failed(found)
    # Even where somebody renewed the manifest.
    weights = contents(second / "vectors").facts["weights_sha256"]
    store(tmp_path / "vectors", with_fact(weights_sha256=weights)(contents(first / "vectors")))
    found = judge(tmp_path / "vectors", second)
    assert failed(found) == {"re_embedded"}


def test_mixed_versions(first, second, tmp_path):
    """The second half of the rows is by another network; then with its true facts, then with renewed ones."""
    rows, others = contents(first / "vectors"), contents(second / "vectors")
    half = len(rows.ids) // 2
    mixed = replace(rows, vectors=np.concatenate([rows.vectors[:half], others.vectors[half:]]))
    store(tmp_path / "one", mixed, weights_sha256=others.facts["weights_sha256"])
    found = judge(tmp_path / "one", first)
    assert "one_version" in failed(found)
    assert "part-00001.parquet: weights_sha256" in found["checks"]["one_version"]["found"]
    store(tmp_path / "two", mixed)
    found = judge(tmp_path / "two", first)
    assert failed(found) == {"re_embedded"}


def test_a_truncated_shard(first, tmp_path):
    """As found after a copy broke off, then with its checksum renewed."""
    store(tmp_path / "vectors", contents(first / "vectors"))
    part = tmp_path / "vectors/parquet/part-00001.parquet"
    part.write_bytes(part.read_bytes()[:-200])
    found = judge(tmp_path / "vectors", first)
    assert {"checksums", "parts"} <= failed(found)
    assert found["checks"]["checksums"]["found"].startswith("parquet/part-00001.parquet: ")
    assert found["checks"]["finite"]["state"] == "not run"
    renewed(tmp_path / "vectors")
    found = judge(tmp_path / "vectors", first)
    assert failed(found) == {"parts"}


def renewed(path):
    manifest = json.loads((path / io.MANIFEST).read_text())
    del manifest["files"]
    write_manifest(path, io.MANIFEST, **manifest)


def test_a_shard_that_is_gone(first, tmp_path):
    store(tmp_path / "vectors", contents(first / "vectors"))
    (tmp_path / "vectors/parquet/part-00001.parquet").unlink()
    found = judge(tmp_path / "vectors", first)
    assert {"checksums", "parts"} <= failed(found)


def test_a_flipped_bit(first, tmp_path):
    """Parquet alone, mmap alone."""
    for place in ("parquet/part-00000.parquet", io.VECTORS):
        shutil.copytree(first / "vectors", tmp_path / "vectors", dirs_exist_ok=True)
        file = tmp_path / "vectors" / place
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        found = judge(tmp_path / "vectors", first)
        assert "checksums" in failed(found)
        renewed(tmp_path / "vectors")
        found = judge(tmp_path / "vectors", first)
        assert failed(found) & {"parts", "copies"}


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (io.IDS, lambda data: data[:-2] + b"\xff\xff"),  # no character
        (io.IDS, lambda data: data.replace(b"{", b"(", 1)),  # a header that is no Python
        (io.IDS, lambda data: data.replace(b"<U", b">U", 1)),
        (io.VECTORS, lambda data: data.replace(b"<f4", b"|O4", 1)),
        (io.VECTORS, lambda data: data.replace(b"(600,", b"(99600,", 1)),
        ("parquet/part-00000.parquet", lambda data: data[:4] + data[8:]),
    ],
    ids=range(6),
)
def test_files_that_are_none_with_checksums_renewed(first, tmp_path, place, change):
    store(tmp_path / "vectors", contents(first / "vectors"))
    file = tmp_path / "vectors" / place
    file.write_bytes(change(file.read_bytes()))
    renewed(tmp_path / "vectors")
    assert failed(judge(tmp_path / "vectors", first)) == {"parts"}


def test_a_part_that_unpacks_to_far_more_than_its_rows(first, tmp_path):
    store(tmp_path / "vectors", contents(first / "vectors"), parts=1)
    part = tmp_path / "vectors/parquet/part-00000.parquet"
    table = pq.read_table(part)
    zeros = pa.ListArray.from_arrays([0, 5_000_000], pa.array(np.zeros(5_000_000, np.float32)))
    zeros = zeros.cast(table.schema.field("embedding").type)
    table = table.slice(0, 1).set_column(1, table.schema.field("embedding"), zeros)
    pq.write_table(table, part, compression="zstd", use_dictionary=False)
    renewed(tmp_path / "vectors")
    assert part.stat().st_size < 1_000_000
    assert "would take" in judge(tmp_path / "vectors", first)["checks"]["parts"]["found"]


def test_npy_files_that_differ_from_the_parquet(first, second, tmp_path):
    shutil.copytree(first / "vectors", tmp_path / "vectors")
    shutil.copy(second / "vectors" / io.VECTORS, tmp_path / "vectors" / io.VECTORS)
    renewed(tmp_path / "vectors")
    found = judge(tmp_path / "vectors", first)
    assert "copies" in failed(found)


def test_the_catalogue_of_another_day(first, tmp_path):
    """One item has gone, one has come, one has another text."""
    table = pq.read_table(first / "catalogue.parquet")
    rows = table.to_pylist()
    rows[0]["item_id"] = "item-9999999"
    rows[1]["text_sha256"] = "0" * 64
    pq.write_table(table.from_pylist(rows, table.schema), tmp_path / "other.parquet")
    found = judge(first / "vectors", first, catalogue=tmp_path / "other.parquet")
    assert failed(found) == {"catalogue", "missing", "extra", "texts"}
    assert "'item-9999999'" in found["checks"]["missing"]["found"]


@pytest.mark.parametrize("normalise", ["none", "l2"])
def test_clean_retrainings_are_accepted(normalise, first, second, tmp_path):
    for version in (first, second):
        embed(version, tmp_path / version.name, normalise=normalise)
    found = judge(tmp_path / second.name, second, tmp_path / first.name)
    assert failed(found) == set()
    assert 0.05 < found["checks"]["overlap"]["figures"]["overlap"] < 1


def test_churn_is_compared_with_that_between_the_models_own_seeds(first, second, tmp_path):
    """A model folder with two seeds; the second version's neighbours change as much as between seeds."""
    stored = artifact.read(first / "model")
    seeds = {0: stored.tensors, 1: artifact.read(second / "model").tensors}
    model = replace(stored, seeds=seeds)
    items = Items(first / "catalogue.parquet", {})
    case = gathered(examine(first / "vectors"), items, model, second / "vectors")
    found = certificate(case, judged(case))["checks"]["overlap"]
    figures = found["figures"]
    assert found["state"] == "passed"
    assert figures["churn_in_sample"] == pytest.approx(figures["churn_of_seeds_in_sample"], abs=0.01)
    assert "between two seeds of the model" in found["found"]


def test_click_figures(first, tmp_path):
    figures = {"category": {"auc": 0.60, "auc_low": 0.59}, "textcnn": {"auc": 0.66, "auc_low": 0.65}}
    (tmp_path / "recommender.json").write_text(json.dumps({"clicks": figures}))
    found = judge(first / "vectors", first, metrics=tmp_path / "recommender.json")
    assert found["checks"]["clicks"]["state"] == "passed"
    figures["textcnn"]["auc_low"] = 0.58
    (tmp_path / "recommender.json").write_text(json.dumps({"clicks": figures}))
    found = judge(first / "vectors", first, metrics=tmp_path / "recommender.json")
    assert failed(found) == {"clicks"}
    assert "0.5800" in found["checks"]["clicks"]["found"]


def test_vectors_no_better_than_those_of_bag_of_words(first, tmp_path):
    found = judge(first / "vectors", first, bag_of_words=first / "vectors")
    assert found["checks"]["bag_of_words"]["state"] == "not applicable"
    rows = contents(first / "vectors")
    store(tmp_path / "better", replace(rows, vectors=labels(rows)))
    found = judge(first / "vectors", first, bag_of_words=tmp_path / "better")
    assert failed(found) == {"bag_of_words"}
