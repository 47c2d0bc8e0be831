"""Promotions on real stores: who becomes champion, who is refused and why, and what is told of it."""

import json
import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from convoy.classifiers.comparison.promotion import difference
from convoy.classifiers.evaluation.io import Predictions
from convoy.core import params
from convoy.core.errors import ConvoyError
from convoy.core.files import write_json
from convoy.projects import task_of
from convoy.streamrec.catalogue import io as catalogues
from convoy.streamrec.classification.corpus import data as corpus
from convoy.streamrec.classification.models import specs as models
from convoy.tasks import PromotionParams
from convoy.tracking import dvclock, store
from convoy.tracking.registry.decisions import rollback
from convoy.tracking.registry.promotion import RefusedError, promote
from tests.conftest import ROOT
from tests.tracking import shelves
from tests.tracking.servers import convoy, free_port, mlflow_server
from tests.tracking.shelves import MODEL, TEXT, aliases, figures, history, lines, predicted, tags


def refused(*arguments):
    with pytest.raises(RefusedError) as caught:
        promote(TEXT, *arguments)
    return str(caught.value)


def test_the_first_champion_is_judged_by_the_checks_alone(client, repository, add):
    add("bow", 600)
    said = promote(TEXT)
    assert said == f"promoted: {MODEL} version 1 (bow) is champion: no previous champion; all checks pass"
    assert aliases(client) == {"champion": 1}
    (line,) = lines(repository)
    assert (line["action"], line["version"], line["former"], line["who"]) == ("promoted", 1, None, "Somebody")
    assert line["content"] == tags(client, 1)["convoy.content"]
    assert line["metrics"]["accuracy"] == 0.6
    assert line["time"].endswith("+00:00")
    assert len(line["commit"]) == 40
    assert tags(client, 1)["promoted_over"] == "no previous champion"


def test_better_is_promoted_worse_refused_the_same_kept_and_all_of_it_told(client, repository, add):
    add("bow", 600)
    add("textcnn", 900)
    promote(TEXT, "bow")
    assert aliases(client) == {"champion": 1, "challenger": 2}
    said = promote(TEXT)
    assert (
        "version 2 (textcnn) is champion, over version 1 (bow): +30.0 points of accuracy on the same 1,000"
        in said
    )
    assert aliases(client) == {"champion": 2}
    line = refused("1")
    assert line.startswith(
        f"refused: {MODEL} version 1 (bow): −30.0 points of accuracy on the same 1,000 test items"
    )
    assert "so a loss of more than 0.5 points cannot be excluded; all checks pass" in line
    assert line.endswith("; version 2 (textcnn) stays champion")
    assert promote(TEXT) == f"kept: {MODEL} version 2 (textcnn): already the champion; nothing changed"
    assert aliases(client) == {"champion": 2}
    actions = [line["action"] for line in lines(repository)]
    assert actions == ["promoted", "promoted", "refused", "kept"]
    assert [line.partition(" ")[0] for line in history(client)] == actions
    assert history(client)[1].startswith(
        "promoted version 2 (textcnn, accuracy 90.0%) over version 1 (bow, accuracy 60.0%): +30.0 points"
    )
    assert history(client)[1].endswith("(by Somebody)")
    told = tags(client, 2)
    assert told["promoted_over"] == "version 1 (bow, accuracy 60.0%)"
    assert told["promoted_because"].startswith("+30.0 points of accuracy")
    assert told["promoted_at"].endswith(" UTC")
    assert tags(client, 1)["replaced_by"] == "version 2 (textcnn, accuracy 90.0%)"
    assert tags(client, 1)["refused_against"] == "version 2 (textcnn, accuracy 90.0%)"


def test_a_loss_within_the_margin_is_allowed_and_one_that_may_be_larger_is_not(client, add):
    add("bow", 900)
    promote(TEXT)
    add("textcnn", 899)
    assert "−0.1 points of accuracy" in promote(TEXT)
    add("bow", 897)
    assert "cannot be excluded" in refused("challenger", PromotionParams(margin=0.001))
    assert "is excluded" in promote(TEXT, "challenger", PromotionParams(margin=0.01))


def test_the_difference_agrees_with_the_normal_approximation():
    first, second = predicted(650, seeds=3), predicted(620)
    found = difference(first, second, 4000, 0)
    width = 1.96 * math.sqrt(0.03 * 0.97 / 1000)
    assert found.difference == pytest.approx(0.03)
    assert found.low == pytest.approx(0.03 - width, abs=1e-3)
    assert found.high == pytest.approx(0.03 + width, abs=1e-3)
    assert found.details["mcnemar_p"] == pytest.approx(2 * 0.5**30)
    assert difference(second, first, 4000, 0).difference == pytest.approx(-0.03)


def test_whole_groups_of_items_are_resampled_where_items_are_alike():
    first, second = predicted(650), predicted(620)
    alone = difference(first, second, 2000, 0)
    assert difference(first, second, 2000, 0, lambda ids: np.arange(len(ids))) == alone
    # Ten neighbours each, of which all or none differ: fewer independent observations.
    grouped = difference(first, second, 2000, 0, lambda ids: np.arange(len(ids)) // 10)
    assert grouped.difference == alone.difference
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_pairs_are_made_by_id_whatever_the_order():
    first, second = predicted(650), predicted(620)
    order = pa.array(np.random.default_rng(0).permutation(1000))
    shuffled = Predictions(
        second.item_ids.take(order), second.category.take(order), {0: second.predicted[0].take(order)}
    )
    assert difference(first, shuffled, 200, 0) == difference(first, second, 200, 0)
    with pytest.raises(ConvoyError, match="not of the same test items"):
        difference(first, predicted(620, first=1), 200, 0)


def test_equal_predictions_of_few_items_prove_little():
    many, few = predicted(900), predicted(18, items=20)
    assert difference(many, many, 200, 0).low > -0.005
    assert difference(few, few, 200, 0).low < -0.1


@pytest.mark.parametrize(
    ("metrics", "fault"),
    [
        (figures(predicted(900), ece=0.3), "calibration error 0.300, at most 0.1 is allowed"),
        (figures(predicted(900), log_loss=None), "log_loss not finite"),
        (figures(predicted(899)), "the accuracy of its predictions is 90.0%, that of its metrics file 89.9%"),
        (
            figures(predicted(900)) | {"majority": {"category": "a", "accuracy": 0.89}},
            "(95% confidence interval from 88.0%) is not above that of always predicting 'a', 89.0%",
        ),
    ],
)
def test_every_check_refuses(client, repository, add, metrics, fault):
    add("bow", 900, metrics=metrics)
    line = refused()
    assert fault in line
    assert line.endswith("; there is no champion")
    assert aliases(client) == {"challenger": 1}
    assert fault in lines(repository)[0]["reason"]


def test_a_stored_model_with_a_changed_byte_is_refused(client, repository, add):
    add("textcnn", 900)
    (weights,) = repository.glob("mlruns/artifacts/**/model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    line = refused()
    assert "its stored model is refused" in line
    assert "model.safetensors: sha256 differs" in line


def test_a_version_is_named_by_number_alias_or_kind(client, add):
    add("bow", 600)
    add("bow", 700)
    add("textcnn", 900)
    assert "version 2 (bow) is champion" in promote(TEXT, "bow")
    assert "kept" in promote(TEXT, "champion")
    for which, what in (("7", "no version 7"), ("linear", "no linear")):
        with pytest.raises(ConvoyError, match=f"{what}; name a number or a kind of: version 3"):
            promote(TEXT, which)
    with pytest.raises(ConvoyError, match="nothing: none of our registered models; expected streamrec-text"):
        task_of("nothing")
    with pytest.raises(ConvoyError, match="expected a version number, an alias or a kind of model"):
        promote(TEXT, " ")


def test_other_test_items_need_the_texts_in_the_workspace(client, repository, add, two_networks):
    add("bow", 600)
    promote(TEXT)
    items = two_networks.corpus.items(corpus.TRAIN)
    names = np.asarray(two_networks.corpus.categories)
    ids = two_networks.corpus.item_ids.take(pa.array(items))
    category = pa.array(names[two_networks.corpus.labels[items]])
    table = models.probabilities(two_networks.stored("bow"), two_networks.corpus, items)[0]
    bow = float(np.mean(table.argmax(axis=1) == two_networks.corpus.labels[items]))
    assert 0.1 < bow < 0.95
    found = Predictions(ids, category, {0: category})
    catalogue = repository / "data/streamrec/catalogue.parquet"
    facts = {"source": "x", "source_sha256": None, "max_characters": 2000}
    catalogues.write(catalogue, two_networks.catalogue, facts)
    md5 = dvclock.md5(catalogue)
    add("textcnn", 0, found=found, data={"catalogue.parquet": "0" * 32})
    with pytest.raises(
        ConvoyError, match=r"were tested on different items, and .*catalogue.parquet is not that"
    ):
        promote(TEXT)
    assert len(lines(repository)) == 1
    add("textcnn", 0, found=found, data={"catalogue.parquet": md5})
    promote(TEXT)
    assert lines(repository)[1]["difference"]["difference"] == pytest.approx(1 - bow)
    assert lines(repository)[1]["difference"]["n"] == len(items)


def test_four_at_once_are_four_decisions_and_one_champion(client, repository, add):
    add("bow", 600)
    add("textcnn", 900)
    command = [sys.executable, "-P", "-m", "convoy.cli.app", "promote"]
    started = [
        subprocess.Popen(
            [*command, which], env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for which in ("1", "2") * 2
    ]  # fmt: skip
    ended = [(process.communicate(), process.returncode) for process in started]
    assert all("Traceback" not in errors for (_, errors), _ in ended)
    assert {code for _, code in ended} <= {0, 1}
    assert len(lines(repository)) == 4
    assert aliases(client) == {"champion": 2}
    actions = [line["action"] for line in lines(repository)]
    assert 1 <= actions.count("promoted") <= 2
    assert len(history(client)) == 4


def test_the_commands(client, repository, add):
    add("bow", 600)
    add("textcnn", 900)
    promote(TEXT)
    worse = convoy(repository, "promote", "bow")
    assert worse.returncode == 1
    assert worse.stdout.startswith(f"convoy: refused: {MODEL} version 1 (bow): −30.0 points")
    assert len(worse.stdout.splitlines()) == 1
    unknown = convoy(repository, "promote", "linear")
    assert unknown.returncode == 2
    assert unknown.stdout.startswith(
        f"convoy: {MODEL}: no linear; name a number or a kind of: version 2 (textcnn)"
    )
    back = convoy(repository, "rollback", "--reason", "a test")
    assert back.returncode == 2
    assert "no earlier one has a version now" in back.stdout


def test_the_same_against_a_server(repository, two_networks, tmp_path, monkeypatch):
    port = free_port()
    with mlflow_server(tmp_path / "server", port):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        client = store.client()
        shelves.add(client, two_networks, tmp_path, "bow", 600)
        promote(TEXT)
        shelves.add(client, two_networks, tmp_path, "textcnn", 900)
        promote(TEXT)
        assert "cannot be excluded" in refused("bow")
        assert aliases(client) == {"champion": 2}
        rollback(TEXT)
        assert aliases(client) == {"champion": 1}
    with pytest.raises(ConvoyError, match=r"MLflow at http://127\.0\.0\.1"):
        promote(TEXT)
    assert len(lines(repository)) == 4


def test_the_section_of_params_yaml_is_what_the_code_says():
    assert params.load("promotion", PromotionParams, ROOT / "params.yaml") == PromotionParams()


@pytest.mark.parametrize("accepted", [True, False])
def test_the_certificate_of_its_embeddings_is_named(client, repository, add, tmp_path, accepted):
    """Where it is in the workspace, with the model that was promoted."""
    add("bow", 600)
    (made,) = (tmp_path / "models").glob("bow-*")
    place = repository / "data/streamrec"
    shutil.copytree(made, place / "models/bow")
    weights = json.loads((made / "manifest.json").read_text())["files"]["model.safetensors"]["sha256"]
    checks = {"finite": {"state": "passed"}, "overlap": {"state": "passed" if accepted else "failed"}}
    named = {"weights_sha256": weights, "manifest_sha256": "0" * 64}
    found = {"accepted": accepted, "checks": checks, "embeddings": named}
    for folder, content in (("bow", found), ("textcnn", {"accepted": True})):
        write_json(place / f"acceptance/{folder}/certificate.json", content)
    words = "accepted" if accepted else "not accepted (overlap)"
    assert promote(TEXT).endswith(f"; all checks pass; its embeddings were {words}")
    other = {**found, "embeddings": {**named, "weights_sha256": "1"}}
    write_json(place / "acceptance/bow/certificate.json", other)
    assert "embeddings" not in promote(TEXT)
