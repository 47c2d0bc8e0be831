"""Planted faults, from the source file through catalogue, gate, corpus and corpus gate: caught, or mended."""

import csv
import dataclasses
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from convoy.core import files
from convoy.core.errors import ConvoyError
from convoy.streamrec.catalogue import io as catalogues
from convoy.streamrec.catalogue import source_io
from convoy.streamrec.catalogue.gate import judge
from convoy.streamrec.catalogue.gate_rules import GateParams
from convoy.streamrec.classification.corpus import data as corpora
from tests.conftest import ROOT
from tests.support import sources

STAGES = ("catalogue", "gate", "corpus", "corpus_gate")
DATA = Path("data/streamrec")


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    """Each test runs in a folder of its own, as the stages do."""
    monkeypatch.chdir(tmp_path)


def write_source(items, name="rows.csv", gate=None, columns=None, **catalogue):
    """The source file, and the params.yaml that names it."""
    with open(name, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, items[0])
        writer.writeheader()
        writer.writerows(items)
    write_params(name, gate, columns, **catalogue)


def write_params(source, gate=None, columns=None, **catalogue):
    section = {"source": str(source), "columns": columns or {}, **catalogue}
    params = {"streamrec": {"catalogue": section, "gate": gate or {}, "corpus": {"min_count": 1}}}
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def run(*stages):
    """Run the scripts' own `main` in this process, which has paid for Great Expectations already."""
    for stage in stages:
        runpy.run_path(str(ROOT / "pipelines" / "streamrec" / f"{stage}.py"))["main"]()


def subprocess_of(stage, **environment):
    return subprocess.run(
        [sys.executable, "-P", ROOT / "pipelines/streamrec" / f"{stage}.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def refusal(items, **params):
    """Which stage refuses, with which line; every stage before it passes."""
    write_source(items, **params)
    for stage in STAGES:
        try:
            run(stage)
        except ConvoyError as error:
            return stage, str(error)
    return None


def put(column, value, *rows):
    items = sources.rows()
    for row in rows or range(len(items)):
        items[row][column] = value
    return items


def swapped(one, other):
    return [{**item, one: item[other], other: item[one]} for item in sources.rows()]


def numbered():
    return list(enumerate(sources.rows()))


def without(column):
    return [{name: value for name, value in item.items() if name != column} for item in sources.rows()]


def label_in_texts():
    items = sources.rows()
    for item in items[:90]:
        item["synopsis"] += f" What a {item['category'].lower()}!"
    return items


FAULTS = {
    "null id": (put("item_id", "", 4), "catalogue", "row 5"),
    "repeated id": (put("item_id", "s9", 4), "catalogue", "rows 5, 9"),
    "empty category": (put("category", "", 4), "catalogue", "row 5"),
    "all-null category": (put("category", ""), "catalogue", "category"),
    "one category": (put("category", "Drama"), "catalogue", "two categories"),
    "all-null synopsis": (put("synopsis", ""), "catalogue", "synopsis"),
    "all-null synopsis but one": (put("synopsis", "", *range(299)), "gate", "'synopsis_empty'"),
    "no title column": (without("title"), "catalogue", "'title'"),
    "synopsis and category swapped": (swapped("synopsis", "category"), "catalogue", "hardly categories"),
    "title and category swapped": (swapped("title", "category"), "catalogue", "hardly categories"),
    "id and title swapped": (
        [
            {**item, "item_id": f"{item['title']} {number}", "title": f"s{number}"}
            for number, item in numbered()
        ],
        "gate",
        "column 'item_id': expectation 'item_id_swapped'",
    ),
    "title and synopsis swapped": (swapped("title", "synopsis"), "gate", "column 'title'"),
    "one synopsis for all": (
        [{**item, "title": "", "synopsis": "To be announced"} for item in sources.rows()],
        "gate",
        "'text_few'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_refused(fault):
    items, stage, expected = FAULTS[fault]
    caught = refusal(items)
    assert caught is not None
    assert caught[0] == stage
    assert expected in caught[1]
    assert "\n" not in caught[1]
    assert not (DATA / "gate").exists()
    assert not (DATA / "gate.json").exists()


def test_no_rows():
    Path("rows.csv").write_text("item_id,title,synopsis,category\n", encoding="utf-8")
    write_params("rows.csv")
    with pytest.raises(ConvoyError, match="no rows"):
        run("catalogue")


def test_ten_megabytes_html_and_mojibake_are_mended_and_counted(capsys):
    items = put("synopsis", "kemo lira <b>savo</b> &amp; more " * 320_000, 4)  # 10 MB
    items[5]["synopsis"] = "<p>Kemo &quot;lira&quot;</p><br/>savo"
    items[6]["title"] = "CafÃ© Zuve"
    items[7]["synopsis"] += "\x07"
    write_source(items, max_characters=2000)
    run(*STAGES)
    report = json.loads((DATA / "catalogue_report.json").read_text(encoding="utf-8"))
    mended = report["mended"]
    assert (mended["synopsis"]["cut"], mended["synopsis"]["html"]) == (1, 2)
    assert (mended["synopsis"]["control_characters"], mended["title"]["encoding"]) == (1, 1)
    table = catalogues.read(DATA / "catalogue.parquet")[0].to_pylist()
    assert len(table[4]["synopsis"]) <= 2000
    assert (table[5]["synopsis"], table[6]["title"]) == ('Kemo "lira" savo', "Café Zuve")
    assert "gate passed: 30 expectations on 300 items of the catalogue" in capsys.readouterr().out


def test_uncleaned_texts_do_not_pass_the_gate():
    """What a catalogue would be without its cleaning: the gate does not rely on it."""
    write_source(put("synopsis", "<p>Kemo</p> Ã© lira savo ", *range(0, 300, 2)))
    run("catalogue")
    raw = sources.table(put("synopsis", "<p>Kemo</p> Ã© lira savo ", *range(0, 300, 2)))
    catalogues.write(DATA / "catalogue.parquet", raw, sources.FACTS)
    with pytest.raises(ConvoyError, match=r"'synopsis_html' failed: .* 150 of 300 .*synopsis_mojibake"):
        run("gate")


def test_a_label_that_gives_itself_away_warns_or_fails(capsys):
    write_source(label_in_texts())
    run("catalogue", "gate")
    assert "in 15 of its 50 texts, in 0 of 250 others" in capsys.readouterr().out
    metrics = json.loads((DATA / "gate.json").read_text(encoding="utf-8"))
    assert metrics["success"]
    assert metrics["warnings"] == {"leaked_label": 6}
    assert metrics["leaked_labels"]["Sci-Fi"] == {"own": 15, "own_texts": 50, "other": 0, "other_texts": 250}
    write_source(label_in_texts(), gate={"leaked_label": "fail"})
    with pytest.raises(ConvoyError, match="'leaked_label' failed"):
        run("gate")


def test_a_text_on_both_sides_of_the_split():
    items = sources.rows()
    for number in range(0, 20, 2):
        items[number + 1].update(title=items[number]["title"], synopsis=items[number]["synopsis"])
    write_source(items)
    run(*STAGES)  # equal texts fall on one side, and pass
    sound = corpora.read(DATA / "corpus")
    assert json.loads((DATA / "corpus_gate.json").read_text(encoding="utf-8"))["success"]
    split = sound.split.copy()
    split[3] = (split[3] + 1) % 3
    corpora.write(DATA / "corpus", dataclasses.replace(sound, split=split))
    with pytest.raises(ConvoyError, match=r"two splits; found 2 of 300 .*row 3 \(item_id 's3'\)"):
        run("corpus_gate")


def test_token_ids_out_of_range():
    write_source(sources.rows())
    run("catalogue", "gate", "corpus")
    sound = corpora.read(DATA / "corpus")
    tokens = np.where(np.arange(len(sound.tokens)) == 0, sound.vocab_size, sound.tokens)
    corpora.write(DATA / "corpus", dataclasses.replace(sound, tokens=tokens))
    with pytest.raises(ConvoyError, match=r"'token_range' failed: .* row 1 \(item_id 's1'\)"):
        run("corpus_gate")
    assert not (DATA / "corpus_gate.json").exists()


def test_as_dvc_runs_it_a_failure_is_one_line_and_leaves_nothing():
    write_source(put("synopsis", "", *range(200)))
    run("catalogue")
    before = {path.name for path in DATA.iterdir()}
    done = subprocess_of("gate")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "convoy: data/streamrec/catalogue.parquet: column 'synopsis': expectation 'synopsis_empty' failed: "
    )
    assert "200 of 300" in line
    assert "row 1 (item_id 's1'): ''" in done.stdout
    assert {path.name for path in DATA.iterdir()} == before


def test_another_process_gives_the_same_bytes():
    write_source(label_in_texts())
    run("catalogue", "gate")
    first = {path: files.sha256(path) for path in [DATA / "gate.json", *(DATA / "gate").iterdir()]}
    assert {path.name for path in first} == {"gate.json", "index.html", "manifest.json"}
    done = subprocess_of("gate", PYTHONHASHSEED="5", TZ="Asia/Tokyo", LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, "")
    assert {path: files.sha256(path) for path in first} == first


def test_a_real_catalogue_passes(real_data):
    columns = {"item_id": "show_id", "synopsis": "description", "category": "listed_in"}
    source = real_data / "catalogue" / "netflix_titles.csv"
    write_params(source, columns=columns, category_separator=", ", min_category_size=50)
    run(*STAGES)
    metrics = json.loads((DATA / "gate.json").read_text(encoding="utf-8"))
    assert (metrics["success"], metrics["items"], metrics["categories"]) == (True, 8786, 21)
    assert metrics["leaked_labels"] == {}
    assert set(metrics["warnings"]) == {"text_repeated"}
    write_params(source, columns=columns)  # all labels of an item in one string: 512 of them
    run("catalogue", "gate")
    assert json.loads((DATA / "gate.json").read_text(encoding="utf-8"))["categories"] == 512
    write_params(source, columns={**columns, "title": "description", "synopsis": "title"})
    with pytest.raises(
        ConvoyError, match=r"'title_swapped' failed: .* found 143\.\d+, allowed at most 35\.\d"
    ):
        run("catalogue", "gate")


def test_slices_of_a_real_catalogue_pass(real_data):
    """All labels of an item in one string, and 200 rows: as many categories as an honest catalogue gets."""
    columns = {"item_id": "show_id", "synopsis": "description", "category": "listed_in"}
    source = real_data / "catalogue" / "netflix_titles.csv"
    read = source_io.read_source(source, columns, need_category=True)
    for start in (0, 3000, 8500):
        verdict, _ = judge(sources.table(read.slice(start, 200).to_pylist()), sources.FACTS, GateParams())
        assert verdict.failures == ()
