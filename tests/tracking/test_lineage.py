"""Lineages of a project that real stages made: complete, both ways, and broken by a changed byte anywhere."""

import json
import shutil
from pathlib import Path

import pytest

from convoy.core.errors import ConvoyError
from convoy.core.files import sha256, write_json
from convoy.embeddings import io
from convoy.projects import TASKS
from convoy.tracking import dvclock, store
from convoy.tracking.lineage.chain import lineage
from convoy.tracking.lineage.tree import Node, checked
from tests.tracking.servers import convoy, free_port, mlflow_server

EMBEDDINGS = "data/streamrec/embeddings/textcnn"
FOLDER = "data/streamrec/models/textcnn"


@pytest.fixture
def project(published_project, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    # Set, since MLflow sets it itself for the rest of the process.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{published_project / 'mlruns' / 'mlflow.db'}")
    monkeypatch.chdir(published_project)
    return published_project


@pytest.fixture
def version(project):
    """The registered textcnn."""
    found = store.client().search_model_versions("name = 'streamrec-text'")
    (textcnn,) = [one for one in found if one.tags["convoy.model"] == "textcnn"]
    return textcnn


def told(what):
    """The lines of a lineage in which nothing differs."""
    lines: list[str] = []
    lineage(str(what), TASKS, lines.append)
    assert all(line.endswith(("  ok", "  not here")) for line in lines)
    return lines


def fault(what):
    with pytest.raises(ConvoyError) as caught:
        lineage(str(what), TASKS, list[str]().append)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def not_here(lines):
    return [line for line in lines if line.endswith("not here")]


def test_from_embeddings_to_version_run_commit_data_and_source(project, version):
    lines = told(EMBEDDINGS)
    assert not not_here(lines)
    content, run = version.tags["convoy.content"][:12], version.run_id
    chain = [
        f"{EMBEDDINGS}: embeddings of 1,000 items by textcnn (1,000 ok, 0 empty_text, 0 all_unknown, ",
        "weights sha256 ", f"{FOLDER}: content {content}",
        f"models:/streamrec-text/{version.version}", f"run {run} 'textcnn · synthetic default, 1,000 items'",
        "git commit ", "dvc.lock entries: key ", "read data/streamrec/catalogue.parquet: md5 ",
        "artifact evaluation/predictions.parquet: md5 ", f"{FOLDER}: md5 ",
        "data/streamrec/corpus: md5 ", "data/streamrec/catalogue.parquet: md5 ", "synthetic: md5 ",
        "source: ",
    ]  # fmt: skip
    places = [
        next(i for i, line in enumerate(lines) if line.lstrip("│├└─ ").startswith(part)) for part in chain
    ]
    assert places == sorted(places)


def test_the_certificate_of_embeddings_is_among_them(project, version):
    manifest = project / EMBEDDINGS / io.MANIFEST
    named = {"weights_sha256": json.loads(manifest.read_text())["weights_sha256"]}
    named["manifest_sha256"] = sha256(manifest)
    certificate = "data/streamrec/acceptance/textcnn/certificate.json"
    found = {"accepted": True, "checks": {"finite": {"state": "passed"}}, "embeddings": named}
    write_json(project / certificate, found)
    for what in (EMBEDDINGS, f"models:/streamrec-text/{version.version}"):
        assert any(line.endswith(f"{certificate}: accepted  ok") for line in told(what))
    write_json(project / certificate, {**found, "embeddings": {**named, "manifest_sha256": "0" * 64}})
    assert f"{certificate}: accepted: of other embeddings by these weights" in fault(EMBEDDINGS)


def test_accepted_embeddings_and_the_registered_version_name_each_other(project, version):
    """In a store of versions as well, and where the model is no longer in the workspace."""
    store.client().set_registered_model_alias("streamrec-text", "champion", version.version)
    run = convoy(project, "accept", EMBEDDINGS, "--out", "certificate", "--into", "kept")
    assert run.returncode == 0, run.stdout
    named = f"models:/streamrec-text/{version.version} @champion"
    assert f"model: {named}" in run.stdout.splitlines()
    (kept,) = (project / "kept/versions").iterdir()
    place = kept.relative_to(project)
    for path in (FOLDER, "data/streamrec/acceptance"):
        shutil.rmtree(project / path, ignore_errors=True)
    lines = told(place / "embeddings")
    assert any(line.endswith(f"{place}/certificate.json: accepted  ok") for line in lines)
    assert any(f"{named} (textcnn): content" in line for line in lines)
    certificate = json.loads((kept / "certificate.json").read_text())
    certificate["embeddings"]["manifest_sha256"] = "0" * 64
    write_json(kept / "certificate.json", certificate)
    assert "certificate.json: accepted: of other embeddings" in fault(place / "embeddings")


def test_accepting_does_not_depend_on_the_store(project):
    accept = ("accept", EMBEDDINGS, "--out", "certificate")
    run = convoy(project, *accept, MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}")
    assert run.returncode == 0
    assert "model: its version is not known: MLflow at http://127.0.0.1" in run.stdout
    run = convoy(project, *accept, MLFLOW_TRACKING_URI=f"sqlite:///{project / 'none.db'}")
    assert run.returncode == 0
    assert "model: " not in run.stdout
    assert not (project / "none.db").exists()


def test_back_from_a_version_and_from_a_run_to_the_embeddings(project, version):
    store.client().set_registered_model_alias("streamrec-text", "champion", version.version)
    for uri in (
        "models:/streamrec-text@champion",
        f"models:/streamrec-text/{version.version}",
        version.source,
        f"runs:/{version.run_id}",
    ):
        lines = told(uri)
        assert not not_here(lines), uri
        text = "\n".join(lines)
        assert f"models:/streamrec-text/{version.version} @champion" in text
        assert f"{EMBEDDINGS}: embeddings of 1,000 items" in text
        assert "source: " in text
        assert "embeddings/bow" not in text


def test_other_outputs_and_the_run_of_all_models(project, version):
    assert told("data/streamrec/metrics/textcnn.json")[0].startswith(
        "data/streamrec/metrics/textcnn.json: md5 "
    )
    assert told("data/streamrec/corpus/tokens.npy")[0].startswith("data/streamrec/corpus: md5 ")
    assert told(f"{FOLDER}/config.json")[0].startswith(f"{FOLDER}: content ")
    parent = store.client().get_run(version.run_id).data.tags["mlflow.parentRunId"]
    assert len([line for line in told(f"runs:/{parent}") if " run " in line]) == 5


def test_the_md5_of_files_and_folders_is_that_of_dvc(project):
    entries = dvclock.read()
    outs = {path: md5 for entry in entries.values() for path, md5 in entry.outs.items()}
    assert sum(md5.endswith(".dir") for md5 in outs.values()) > 8
    assert {path: dvclock.md5(Path(path)) for path in outs} == outs


def test_a_changed_byte_anywhere_is_named(project, version):
    ours = [
        f"{EMBEDDINGS}/parquet/part-00000.parquet", f"{EMBEDDINGS}/_mmap/embeddings.npy",
        f"{EMBEDDINGS}/_manifest.json",
        *(f"{FOLDER}/{name}" for name in ("model.safetensors", "config.json", "tokenizer.json", "curve.csv")),
        f"{FOLDER}/manifest.json", "data/streamrec/corpus/tokens.npy", "data/streamrec/corpus/corpus.json",
        "data/streamrec/catalogue.parquet", "data/streamrec/gate.json", "data/streamrec/corpus_gate.json",
        "synthetic", "src/convoy/nn/text.py", "pipelines/streamrec/train.py",
    ]  # fmt: skip
    model_id = version.source.removeprefix("models:/")
    logged = next(project.glob(f"mlruns/artifacts/**/{model_id}/artifacts"))
    run = next(project.glob(f"mlruns/artifacts/**/{version.run_id}/artifacts"))
    stored = {
        logged / "data/textcnn/model.safetensors": "data/textcnn/model.safetensors",
        logged / "data/textcnn/manifest.json": "data/textcnn/manifest.json",
        run / "evaluation/predictions.parquet": "evaluation/predictions.parquet",
        run / "evaluation/metrics.json": "evaluation/metrics.json",
    }
    for path, named in {**{project / name: name for name in ours}, **stored}.items():
        whole = path.read_bytes()
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 1
        path.unlink()  # DVC may have linked it into its cache
        path.write_bytes(changed)
        for what in (EMBEDDINGS, f"models:/streamrec-text/{version.version}"):
            assert named in fault(what), (named, what)
        path.write_bytes(whole)
    told(EMBEDDINGS)


def test_a_lock_that_says_otherwise_is_named(project):
    lock = project / "dvc.lock"
    md5 = dvclock.read()["streamrec-corpus"].outs["data/streamrec/corpus"]
    lock.write_text(lock.read_text().replace(md5, "0" * 32 + ".dir"))
    assert "data/streamrec/corpus: md5 000000000000 by streamrec-corpus" in fault(EMBEDDINGS)


def test_a_version_whose_content_was_written_over_is_named(project, version):
    store.client().set_model_version_tag("streamrec-text", version.version, "convoy.content", "0" * 64)
    assert "expected the sha256 0000" in fault(f"models:/streamrec-text/{version.version}")


def test_embeddings_of_an_earlier_model_are_told_from_those_of_today(project):
    shutil.rmtree(FOLDER)
    shutil.copytree("data/streamrec/models/bow", FOLDER)
    line = fault(EMBEDDINGS)
    assert f"of {FOLDER}: it has other weights now" in line


def test_embeddings_are_known_wherever_they_were_copied_to(project, tmp_path):
    copy = tmp_path / "vectors.parquet"
    shutil.copy(f"{EMBEDDINGS}/parquet/part-00000.parquet", copy)
    lines = told(copy)
    assert lines[0].startswith(f"{copy}: embeddings of 1,000 items by textcnn")
    assert not not_here(lines)
    content = bytearray(copy.read_bytes())
    content[len(content) // 3] ^= 1
    copy.write_bytes(content)
    assert fault(copy).startswith(f"lineage of {copy}: 1 of ")


def test_embeddings_of_another_catalogue_have_no_catalogue_here(project, tmp_path):
    (tmp_path / "items.csv").write_text("item_id,title,synopsis\n1,A tale,of two cats\n")
    done = convoy(project, "embed", str(tmp_path / "items.csv"), str(tmp_path / "out"), "--model", FOLDER)
    assert done.returncode == 0, done.stdout
    lines = told(tmp_path / "out")
    assert [line.split(": ")[-1] for line in not_here(lines)] == ["no such catalogue here  not here"]
    assert any("models:/streamrec-text/" in line for line in lines)


@pytest.mark.parametrize("uri", ["sqlite:///{}/none.db", "http://127.0.0.1:9"])
def test_without_a_store_the_files_are_checked_all_the_same(project, tmp_path, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(tmp_path))
    lines = told(EMBEDDINGS)
    (missing,) = not_here(lines)
    assert "MLflow" in missing
    assert uri.partition("{")[0] in missing
    assert sum("source: " in line for line in lines) == 6
    assert not (tmp_path / "none.db").exists()
    (project / "data/streamrec/catalogue.parquet").write_bytes(b"")
    assert "data/streamrec/catalogue.parquet" in fault(EMBEDDINGS)


def test_a_version_without_its_workspace_is_known_by_what_the_store_holds(project, version):
    shutil.rmtree("data")
    (project / "dvc.lock").unlink()
    lines: list[str] = []
    with pytest.raises(ConvoyError, match=r"no dvc\.lock in .*, so nothing ties it to its data"):
        lineage(f"models:/streamrec-text/{version.version}", TASKS, lines.append)
    assert lines[0].endswith("  ok")
    assert any("git commit" in line and line.endswith("ok") for line in lines)
    assert any("dvc.lock has other entries now  not here" in line for line in lines)
    assert any("none in the workspace  not here" in line for line in lines)


def test_mistakes_are_told_in_one_line(project):
    assert "nowhere: no such file or folder; expected an output of dvc.lock" in fault("nowhere")
    assert "nothing is known of it" in fault("README.md")
    assert "no such version" in fault("models:/streamrec-text/77")
    assert "there are models:/streamrec-text/2, models:/streamrec-text/1" in fault("models:/other@champion")
    assert "no such run" in fault("runs:/0123456789abcdef0123456789abcdef")
    for nothing in ("", " ", "models:/", "runs://"):
        assert f"found '{nothing}'" in fault(nothing)


def test_without_dvc_s_lock_nothing_is_whole(project):
    (project / "dvc.lock").unlink()
    for what in (EMBEDDINGS, FOLDER):
        assert "no dvc.lock in" in fault(what)


def test_the_command_ends_with_0_or_2(project):
    whole = convoy(project, "lineage", EMBEDDINGS)
    assert whole.returncode == 0
    assert whole.stdout.count("\n") == len(told(EMBEDDINGS))
    (project / "synthetic").write_text("other")
    broken = convoy(
        project / "data", "lineage", "streamrec/embeddings/textcnn", PYTHONPATH=str(project / "src")
    )
    assert broken.returncode == 2
    *tree, last = broken.stdout.splitlines()
    assert len(tree) == len(whole.stdout.splitlines())
    assert last.startswith("convoy: lineage of streamrec/embeddings/textcnn: 1 of ")
    assert "synthetic: md5 " in last


def test_a_server_is_asked_as_well(project, tmp_path, monkeypatch):
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with mlflow_server(tmp_path / "server", port):
        published = convoy(project, "publish", MLFLOW_TRACKING_URI=uri)
        assert published.returncode == 0, published.stdout
        shutil.rmtree(project / "mlruns" / "artifacts")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert not not_here(told(EMBEDDINGS))
        assert not not_here(told("models:/streamrec-text/1"))
        stored = next((tmp_path / "server" / "artifacts").glob("**/data/textcnn/model.safetensors"))
        stored.write_bytes(stored.read_bytes()[:-1] + b"?")
        assert "data/textcnn/model.safetensors" in fault(EMBEDDINGS)


def test_a_tree_counts_each_check_once():
    again = Node("b", "differs", again=True)
    tree = Node("a", "ok", [checked("b", "is c"), again])
    assert list(tree.lines()) == ["a  ok", "├─ b: is c  differs", "└─ b (above)  differs"]
    assert len(list(tree.all())) == 2
