"""`convoy accept` as a recommender team meets it: table, exit codes, certificate."""

import json
import re

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from convoy.acceptance.checks import CHECKS
from convoy.acceptance.io import read_clicks, write_certificate
from convoy.core.errors import ConvoyError
from convoy.embeddings import io
from tests.cli.test_app import invoke, refused
from tests.support.accepted import contents, store

GIVEN = ("--catalogue", "catalogue.parquet", "--model", "model")


def test_accepted_with_a_table_and_a_certificate_whose_bytes_repeat(folder):
    texts = []
    for out in ("one", "two"):
        result = invoke("accept", "vectors", *GIVEN, "--out", out)
        assert (result.exit_code, result.stderr) == (0, "")
        texts.append([(folder / out / f"certificate.{kind}").read_bytes() for kind in ("json", "html")])
    assert texts[0] == texts[1]
    lines = result.stdout.splitlines()
    rows = [line.split()[0] for line in lines[2 : 2 + len(CHECKS)]]
    assert rows == [check.name for check in CHECKS]
    assert re.search(r"\nids +passed +600 ids, sorted, each once", result.stdout)
    assert "Accepted: the textcnn embeddings pass all" in result.stdout
    found = json.loads(texts[0][0])
    assert found["embeddings"]["weights_sha256"] == contents(folder / "vectors").facts["weights_sha256"]
    assert len(found["neighbours"]) == 8
    titles = pq.read_table("catalogue.parquet", columns=["item_id", "title"]).to_pylist()
    example = found["neighbours"][3]
    assert {"item_id": example["item_id"], "title": example["title"]} in titles
    assert all(other["item_id"] != example["item_id"] for other in example["nearest"])
    html = texts[0][1].decode()
    assert html.count("<img") == 2
    assert '<td class="words">re_embedded</td>' in html
    assert not any(str(folder) in text.decode() for text in texts[0])


def test_not_accepted_is_exit_code_1_with_the_checks_in_one_line(folder):
    rows = contents(folder / "vectors")
    rows.vectors[3] = np.nan
    store(folder / "bad", rows)
    result = invoke("accept", "bad", *GIVEN)
    assert result.exit_code == 1
    assert result.stderr == "convoy: bad: not accepted: finite\n"
    assert "1 vectors hold NaN or infinity" in result.stdout
    found = json.loads((folder / "bad-certificate/certificate.json").read_text())
    assert (found["accepted"], found["neighbours"]) == (False, [])


def test_without_a_catalogue_its_checks_do_not_apply(folder):
    result = invoke("accept", "vectors", "--out", "out")
    assert result.exit_code == 0
    found = json.loads((folder / "out/certificate.json").read_text())
    apply = {name for name, check in found["checks"].items() if check["state"] != "not applicable"}
    needed = {
        "catalogue",
        "missing",
        "extra",
        "texts",
        "categories",
        "bag_of_words",
        "weights",
        "re_embedded",
    }
    needed |= {"leaked_label", "dimension", "overlap", "clicks"}
    assert apply == {check.name for check in CHECKS} - needed


def test_a_catalogue_of_others_with_their_column_names(folder):
    """The catalogue that was embedded is named as its cleaned form; the texts are compared after cleaning."""
    table = pq.read_table("catalogue.parquet").select(["item_id", "title", "synopsis", "category"])
    pyarrow.csv.write_csv(table.rename_columns(["id", "title", "text", "category"]), "titles.csv")
    columns = "--columns=item_id=id,synopsis=text"
    result = invoke("accept", "vectors", "--catalogue=titles.csv", columns, "--model=model", "--out=out")
    found = json.loads((folder / "out/certificate.json").read_text())["checks"]
    assert {name for name, check in found.items() if check["state"] == "failed"} == {"catalogue"}
    assert found["texts"]["found"] == "the texts of 600 items are those of the catalogue"
    assert found["categories"]["state"] == "passed"
    assert "made from another file" in result.stdout


def test_texts_of_strangers_are_escaped(folder):
    table = pq.read_table("catalogue.parquet")
    titles = ["<script>alert(1)</script>\x1b[31m"] * len(table)
    pq.write_table(table.set_column(1, table.schema.field("title"), [titles]), "odd.parquet")
    result = invoke("accept", "vectors", "--catalogue=odd.parquet", "--out=out")
    assert "\x1b" not in result.stdout
    html = (folder / "out/certificate.html").read_text()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_what_cannot_be_read_is_an_error_in_one_line(folder):
    assert "no such embeddings folder" in refused("accept", "nowhere")
    assert "no _manifest.json, so this is not a whole embeddings folder" in refused("accept", "model")
    assert "--model: needs --catalogue" in refused("accept", "vectors", "--model=model")
    assert "vectors: cannot be read: Is a directory" in refused("accept", "vectors", "--metrics=vectors")
    assert "no.parquet: no such file" in refused("accept", "vectors", "--catalogue=no.parquet")
    rows = contents(folder / "vectors")
    store(folder / "bad", rows)
    (folder / "bad" / io.IDS).write_bytes(b"")
    assert "name a version whose files are whole" in refused("accept", "vectors", "--against=bad")
    (folder / "out").write_text("a file")
    assert "name another place for the certificate" in refused("accept", "vectors", "--out=out")


def test_an_infinite_number_in_a_manifest(folder):
    store(folder / "bad", contents(folder / "vectors"))
    manifest = folder / "bad" / io.MANIFEST
    manifest.write_text(manifest.read_text().replace('"textcnn"', "1e999"))
    assert "not valid JSON (1e999 is no finite number)" in refused("accept", "bad")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "key 'clicks': expected auc, auc_low"),
        ('{"clicks": 3}', "key 'clicks': expected auc, auc_low"),
        ('{"clicks": {"bow": {"auc": "x", "auc_low": 1}}}', "key 'clicks': expected auc, auc_low"),
        ('{"clicks": {"bow": {"auc": 1e999, "auc_low": 1}}}', "not valid JSON .1e999 is no finite number"),
        (
            '{"clicks": {"bow": {"auc": 1, "auc_low": 1' + 400 * "0" + "}}}",
            "key 'clicks': expected auc, auc_low",
        ),
    ],
    ids=range(5),
)
def test_metrics_that_are_none_of_a_recommender(tmp_path, content, message):
    (tmp_path / "recommender.json").write_text(content)
    with pytest.raises(ConvoyError, match=message):
        read_clicks(tmp_path / "recommender.json")


def test_a_certificate_leaves_other_files_alone(tmp_path):
    (tmp_path / ".gitignore").write_text("/certificate.html")  # by DVC
    for words in ("one", "two"):
        write_certificate(tmp_path, {"words": words}, words)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [".gitignore", "certificate.html", "certificate.json"]
    assert (tmp_path / "certificate.html").read_text() == "two"
