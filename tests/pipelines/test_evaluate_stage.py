"""The evaluate and compare stages in a folder of their own, behind real, tiny models."""

import base64
import os
import re
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from convoy.core import artifact as models
from convoy.core import plots_io as plots
from convoy.core.errors import ConvoyError
from convoy.core.files import read_json, sha256
from convoy.core.models import names_of
from convoy.streamrec.catalogue import io as catalogues
from convoy.streamrec.catalogue.build import build
from convoy.streamrec.catalogue.params import CatalogueParams
from convoy.streamrec.catalogue.synthetic.items import SyntheticParams, generate
from convoy.streamrec.classification.corpus import data as corpora
from convoy.streamrec.classification.corpus.build import CorpusParams, build_corpus
from convoy.streamrec.classification.evaluation.files import FILES
from convoy.streamrec.classification.models.specs import MODELS, train
from tests.conftest import ROOT
from tests.support.rooted import rooted
from tests.support.trained import PARAMS

STAGES = ROOT / "pipelines/streamrec"
NETWORKS = names_of(MODELS, "network")
BASELINES = names_of(MODELS, "baseline")
SECTION = {
    "evaluate": {"resamples": 200}, "networks": list(NETWORKS), "baselines": list(BASELINES),
    "models": {name: {"C": [10.0]} if name.startswith("linear") else {} for name in BASELINES},
}  # fmt: skip
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workspace as the train stages leave it: 400 synthetic items, one category with a vile name."""
    folder = tmp_path_factory.mktemp("trained")
    made = generate(SyntheticParams(items=400, categories=5, seed=3))
    table, _ = build(made.catalogue, CatalogueParams())
    corpus = build_corpus(table, {"max_characters": 20_000}, CorpusParams(min_count=1))
    vile = corpus.categories[0]
    categories = (HOSTILE, *corpus.categories[1:])
    corpus = corpora.Corpus(**{**vars(corpus), "categories": categories})
    truth = made.truth
    for rule in ("order_blind", "full"):
        names = [HOSTILE if name == vile else name for name in truth[rule].to_pylist()]
        truth = truth.set_column(truth.schema.get_field_index(rule), rule, [names])
    data = folder / "data/streamrec"
    corpora.write(data / "corpus", corpus)
    catalogues.write_truth(data / "truth.parquet", truth)
    for model in NETWORKS:
        config, tensors, curve = train(model, PARAMS[model], corpus, (0, 1))
        models.write(data / "models" / model, config, tensors, corpus.tokenizer_json, curve)
    (folder / "params.yaml").write_text(yaml.safe_dump({"streamrec": SECTION}))
    return folder


@pytest.fixture(scope="module")
def compared(trained):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        baselines, evaluate, compare = (
            runpy.run_path(STAGES / f"{name}.py")["main"] for name in ("baselines", "evaluate", "compare")
        )
        baselines()
        for model in NETWORKS:
            evaluate(model=model)
        compare()
    return trained / "data/streamrec"


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def figures(data, model):
    return rooted(FILES, data.parents[1]).read(model)


def evaluated(data, model):
    return rooted(FILES, data.parents[1]).folder_of(model)


def test_metrics_hold_the_headlines_their_bayes_and_the_seeds(compared):
    for model in MODELS:
        test = read_json(compared / f"metrics/{model}.json")["test"]
        metrics = figures(compared, model)
        for name in ("accuracy", "macro_f1", "log_loss", "ece"):
            assert test[f"{name}_low"] <= test[name] <= test[f"{name}_high"]
        assert 0 < metrics["bayes"]["order_blind"] < metrics["bayes"]["full"] <= 1
        assert metrics["share_of_bayes"]["full"] == pytest.approx(test["accuracy"] / metrics["bayes"]["full"])
        assert metrics["seeds"] == ([0] if model in BASELINES else [0, 1])


def test_predictions_plots_and_metrics_tell_the_same(compared):
    corpus = corpora.read(compared / "corpus")
    items = corpus.items(corpora.TEST)
    for model in MODELS:
        metrics = figures(compared, model)
        table = pq.read_table(evaluated(compared, model) / "predictions.parquet").to_pydict()
        assert table["item_id"] == corpus.item_ids.take(items).to_pylist()
        assert table["category"] == [corpus.categories[label] for label in corpus.labels[items]]
        right = [
            np.mean(np.array(table[f"predicted_{seed}"]) == table["category"]) for seed in metrics["seeds"]
        ]
        assert metrics["test"]["accuracy"] == pytest.approx(np.mean(right))
        tables = plots.read_plots(evaluated(compared, model) / "plots")
        assert tables["confusion.csv"] == {"actual": table["category"], "predicted": table["predicted_0"]}
        assert sum(int(n) for n in tables["reliability.csv"]["n"]) == len(items)


def test_networks_have_curves_and_baselines_none(compared):
    three = {"confusion", "reliability", "curve"}
    for model in MODELS:
        found = {path.name for path in (evaluated(compared, model) / "plots").iterdir()} - {"manifest.json"}
        expected = {f"{name}.{kind}" for name in three for kind in ("csv", "png")}
        assert found == (expected if model in NETWORKS else {"confusion.csv", "reliability.csv"})
    curve = plots.read_plots(evaluated(compared, "bow") / "plots")["curve.csv"]
    assert curve["epoch"] == ["1", "2"]
    assert {"train_loss", "validation_loss", "validation_accuracy", "learning_rate"} < set(curve)


def test_the_report_is_one_safe_page_that_begins_with_the_findings(compared):
    html = (compared / "report.html").read_text()
    words = read_json(compared / "metrics/comparison.json")["words"]
    assert words[1].startswith(("TextCNN", "Bag-of-words"))
    places = [html.index(word.replace("<", "&lt;").replace(">", "&gt;").split("“")[0]) for word in words]
    assert places == sorted(places)
    assert places[-1] < html.index("<picture>")
    assert "&lt;script&gt;alert(1)" in html
    assert "<script" not in html
    assert not re.search(r"https?://", html)
    pictures = re.findall(r'"data:image/png;base64,([^"]+)"', html)
    # Light and dark: bars, curves, calibration, confusion of both networks and of a baseline that won.
    assert len(pictures) in (10, 12)
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)


def test_both_stages_repeat_their_bytes_as_dvc_runs_them(compared, trained, tmp_path):
    folder = evaluated(compared, "linear").relative_to(compared)
    outputs = ["metrics/linear.json", "metrics/comparison.json", "report.html"]
    outputs += [folder / name for name in ("predictions.parquet", "details.json")]
    outputs += [folder / "plots" / path.name for path in (compared / folder / "plots").iterdir()]
    shutil.copytree(trained, tmp_path / "again")
    data = tmp_path / "again/data/streamrec"
    for output in outputs:
        (data / output).unlink()
    shutil.rmtree(data / folder)
    done = run(tmp_path / "again", STAGES / "baselines.py")
    assert (done.returncode, done.stderr) == (0, "")
    done = run(tmp_path / "again", STAGES / "compare.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert "test items" in done.stdout
    assert [sha256(data / output) for output in outputs] == [sha256(compared / output) for output in outputs]


@pytest.mark.parametrize("change", [{"categories": ("a", "b")}, {"tokenizer_json": "{}"}])
def test_a_model_of_another_corpus_is_refused(compared, tmp_path, monkeypatch, change):
    shutil.copytree(compared, tmp_path / "data/streamrec")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("streamrec: {evaluate: {}}")
    other = corpora.Corpus(**{**vars(corpora.read(compared / "corpus")), **change})
    corpora.write(tmp_path / "data/streamrec/corpus", other)
    before = sha256(compared / "metrics/bow.json")
    with pytest.raises(ConvoyError, match=r"bow: trained on other (categories|tokens) .*`dvc repro`"):
        runpy.run_path(STAGES / "evaluate.py")["main"](model="bow")
    assert sha256(tmp_path / "data/streamrec/metrics/bow.json") == before
