"""Each stage's `deps` cover the modules of ours that it imports, and what a change makes stale."""

import subprocess
import sys

import grimp
import pytest
import yaml
from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

from convoy.climate.downscaling.models import specs as downscaling
from convoy.climate.events.models import specs as events
from convoy.climate.series.models import specs as series
from convoy.core.models import names_of
from convoy.streamrec.classification.models import specs as classification
from tests.contracts import stage_modules
from tests.contracts.stage_modules import ROOT


def test_deps_of_every_stage_are_its_imports():
    found = stage_modules.differences((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import convoy.core.files", {"convoy.core.files"}),
        ("from convoy.core import files", {"convoy.core.files"}),
        ("from convoy.core.files import sha256", {"convoy.core.files"}),
        ("def f():\n    from convoy.core import params as p", {"convoy.core.params"}),
        ("try:\n    import convoy.core.errors\nexcept ImportError:\n    pass", {"convoy.core.errors"}),
        ("import json, convoy", {"convoy"}),
        (
            "if TYPE_CHECKING:\n    import convoy.core.params\nelse:\n    import convoy.core.errors",
            {"convoy.core.errors"},
        ),
        ("if typing.TYPE_CHECKING:\n    from convoy.core import params", set()),
        ("import convoyance", set()),
    ],
)
def test_imports_of_a_script(source, expected):
    modules = {"convoy", "convoy.core.errors", "convoy.core.params", "convoy.core", "convoy.core.files"}
    assert set(stage_modules.imported_modules(source, modules)) == expected


@pytest.fixture
def tiny_root(tmp_path, monkeypatch):
    """A checkout of two packages: a -> b.c (templates beside it) -> d; e is for type checkers only."""
    package = tmp_path / "src" / "tinyhouse"
    sources = {
        "__init__.py": '"""Nothing."""\n',
        "a.py": "from tinyhouse.b import c\n",
        "b/__init__.py": "VERSION = 1\n",
        "b/c.py": "import typing\nif typing.TYPE_CHECKING:\n    import tinyhouse.e\nimport tinyhouse.d\n",
        "b/page.html": "<p>",
        "d.py": "",
        "e.py": "",
        "f.py": "",
    }
    for name, text in sources.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "one.py").write_text("def main():\n    import tinyhouse.a\n")
    monkeypatch.syspath_prepend(tmp_path / "src")
    graph = grimp.build_graph("tinyhouse", exclude_type_checking_imports=True, cache_dir=None)
    monkeypatch.setattr(stage_modules, "import_graph", lambda: graph)
    monkeypatch.setattr(stage_modules, "PACKAGE", "tinyhouse")
    stage_modules.graph_of.cache_clear()
    yield tmp_path
    stage_modules.graph_of.cache_clear()


NEEDED = {
    "pipelines/one.py",
    "src/tinyhouse/a.py",
    "src/tinyhouse/b/__init__.py",
    "src/tinyhouse/b/c.py",
    "src/tinyhouse/b/page.html",
    "src/tinyhouse/d.py",
}

DVC_YAML = """\
stages:
  one:
    cmd: pipelines/run one.py --x ${item.x}
    matrix: {x: [1, 2]}
    deps: [data/in.csv, pipelines/one.py, src/tinyhouse/a.py, src/tinyhouse/b, src/tinyhouse/f.py]
    outs: ["data/one/${item.x}"]
  two:
    cmd: pipelines/run one.py
    deps: [data/one, pipelines/one.py, src/tinyhouse]
    metrics: [data/two.json: {cache: false}]
  three:
    cmd: pipelines/run three.py
    deps: [data/two.json]
"""


def test_required_files_follow_the_imports(tiny_root):
    assert stage_modules.required("one", {"cmd": "pipelines/run one.py"}, tiny_root) == NEEDED


def test_differences_name_the_stage_and_the_file(tiny_root, monkeypatch):
    monkeypatch.setattr(stage_modules, "required", lambda name, stage: NEEDED)
    monkeypatch.setattr(stage_modules, "ROOT", tiny_root)
    assert stage_modules.differences(DVC_YAML) == [
        "one: deps lack src/tinyhouse/d.py",
        "one: deps list src/tinyhouse/f.py, of which it imports nothing",
        "three: no script pipelines/three.py",
    ]


@pytest.mark.parametrize(
    ("file", "stale"),
    [
        ("src/tinyhouse/b/c.py", {"one", "two", "three"}),
        ("src/tinyhouse/d.py", {"two", "three"}),
        ("src/tinyhouse/bb.py", {"two", "three"}),
        ("data/two.json", {"three"}),
        ("README.md", set()),
    ],
)
def test_a_change_makes_stale_what_depends_on_it_and_all_after(file, stale):
    assert stage_modules.reruns(DVC_YAML, file) == stale


def test_a_command_without_the_runner_is_refused():
    with pytest.raises(AssertionError, match="expected `pipelines/run SCRIPT"):
        stage_modules.script_of({"cmd": "python x.py"})


def test_only_publish_needs_tracking_and_only_when_it_runs():
    definitions = stage_modules.stages((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    tracking = {
        name
        for name, stage in definitions.items()
        if any("/tracking/" in file for file in stage_modules.required(name, stage))
    }
    assert tracking == {"publish"}
    # MLflow's settings are made before it is imported, by the commands that use it.
    probe = "import sys, convoy.cli.app, convoy.cli.artifacts, convoy.core.stage, convoy.training.event_log; "
    probe += "import convoy.projects, convoy.tracking.live, convoy.tracking.publish; "
    probe += "import convoy.tracking.registry.promotion, convoy.tracking.lineage.chain; "
    probe += "import convoy.tracking.dashboard.server; "
    probe += "print([name for name in sys.modules if name.split('.')[0] in ('mlflow', 'torch')])"
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_what_publish_writes_is_not_in_git():
    """In a fresh clone the file would be there already, and nothing would be published."""
    command = ["git", "check-ignore", "--quiet", "data/published.json"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


SOURCES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "src/convoy").rglob("*.py"))
TEXTS, FIELDS = "src/convoy/streamrec/classification", "src/convoy/climate/downscaling"


def stale(file: str) -> set[str]:
    return stage_modules.reruns((ROOT / "dvc.yaml").read_text(encoding="utf-8"), file)


def test_a_change_in_streamrecs_report_reruns_the_comparison_and_publish_alone():
    assert stale(f"{TEXTS}/subject.py") == {"streamrec-compare", "publish"}


@pytest.mark.parametrize("file", [file for file in SOURCES if "src/convoy/classifiers/comparison/" in file])
def test_a_change_in_a_report_of_classifiers_reruns_comparisons_and_publish_alone(file):
    assert {stage.split("-")[-1] for stage in stale(file)} == {"compare", "publish"}


@pytest.mark.parametrize("file", [file for file in SOURCES if f"{FIELDS}/comparison/" in file])
def test_a_change_in_climates_report_reruns_the_comparison_and_publish_alone(file):
    assert stale(file) == {"climate-compare", "publish"}


@pytest.mark.parametrize("file", [file for file in SOURCES if "/convoy/acceptance/" in file])
def test_a_change_in_the_acceptance_checks_reruns_certificates_and_publish_alone(file):
    assert stale(file) == {"streamrec-accept", "publish"}


@pytest.mark.parametrize("file", [file for file in SOURCES if "/tracking/" in file or "/cli/" in file])
def test_a_change_in_tracking_or_the_cli_reruns_publish_alone(file):
    assert stale(file) == {"publish"}


@pytest.mark.parametrize("file", [file for file in SOURCES if "/report/" in file])
def test_a_change_of_how_figures_and_pages_look_reruns_no_training(file):
    trains = {"streamrec-train", "climate-train", "climate-series-train", "climate-events-train"}
    trains |= {name.replace("-train", "-baselines") for name in trains}
    assert not stale(file) & trains


@pytest.mark.parametrize(
    "file",
    [file for file in SOURCES if file.endswith(("/evaluation/files.py", "/evaluation/outputs_io.py"))],
)
def test_other_headline_figures_train_no_network(file):
    measured = {name for name in stale(file) if name.endswith(("-baselines", "-evaluate"))}
    assert len(measured) in (2, 6)
    assert not {name for name in stale(file) if name.endswith(("-train", "-sweep", "-embed"))}
    definitions = stage_modules.stages((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    # It is after the baselines, whose models stay as they are.
    assert not stage_modules.covers(stage_modules.declared(definitions["streamrec-retrain"]), file)


@pytest.mark.parametrize(
    "file", ["src/convoy/nn/text.py", f"{TEXTS}/networks/fit.py", f"{TEXTS}/networks/batches.py"]
)
def test_a_change_in_a_text_network_retrains_the_networks_of_its_task_alone(file):
    assert "streamrec-train" in stale(file)
    assert not {name for name in stale(file) if name.startswith("climate-")}
    assert not stale(file) & {"streamrec-baselines", "streamrec-corpus"}


@pytest.mark.parametrize(
    "file", ["src/convoy/nn/downscaling.py", f"{FIELDS}/networks/fit.py", f"{FIELDS}/networks/tensors.py"]
)
def test_a_change_in_a_downscaling_network_retrains_the_networks_of_its_task_alone(file):
    assert stale(file) == {"climate-train", "climate-evaluate", "climate-compare", "publish"}


SITES = "src/convoy/climate/series"


@pytest.mark.parametrize(
    "file", ["src/convoy/nn/temporal.py", f"{SITES}/networks/fit.py", f"{SITES}/networks/batches.py"]
)
def test_a_change_in_a_series_network_retrains_the_networks_of_its_task_alone(file):
    after = {f"climate-series-{stage}" for stage in ("train", "evaluate", "compare", "embed")}
    assert stale(file) == {*after, "publish"}


@pytest.mark.parametrize("file", [file for file in SOURCES if file.startswith(f"{SITES}/")])
def test_a_change_in_the_series_reruns_no_stage_of_another_task(file):
    assert all(name.startswith("climate-series") or name == "publish" for name in stale(file))


IMAGES = "src/convoy/climate/events"


@pytest.mark.parametrize("file", ["src/convoy/nn/gradcam.py", f"{IMAGES}/comparison/explained.py"])
def test_a_change_of_explanations_or_the_report_retrains_no_image_network(file):
    assert stale(file) <= {"climate-events-evaluate", "climate-events-compare", "publish"}


@pytest.mark.parametrize("file", [file for file in SOURCES if file.startswith(f"{IMAGES}/")])
def test_a_change_in_the_events_reruns_no_stage_of_another_task(file):
    assert all(name.startswith("climate-events") or name == "publish" for name in stale(file))


def test_outputs_of_the_baselines_are_those_of_the_registries():
    """So that a new baseline is in the pipeline, or this test tells."""
    definitions = stage_modules.stages((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    tasks = {"streamrec": classification, "climate": downscaling, "climate-series": series}
    tasks["climate-events"] = events
    for stage, models in ((name, specs.MODELS) for name, specs in tasks.items()):
        outs = stage_modules.outputs(definitions[f"{stage}-baselines"])
        folders = {path.rpartition("/")[2] for path in outs if "/models/" in path}
        assert [path for path in outs if path.endswith("/evaluation/baselines")]
        metrics = {path.rpartition("/")[2].removesuffix(".json") for path in outs if "/metrics/" in path}
        assert folders == metrics == set(names_of(models, "baseline"))


def test_without_networks_every_stage_finds_what_it_depends_on():
    """In a fresh clone, where `networks: []` leaves a matrix empty and its outputs are never made."""
    definitions = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    always = {name: stage for name, stage in definitions.items() if "matrix" not in stage}
    made = {
        "data/streamrec/embeddings",  # by streamrec-interactions, see its test
        *listed.splitlines(),
        *(path for stage in always.values() for path in stage_modules.outputs(stage)),
    }
    missing = {
        (name, path)
        for name, stage in always.items()
        for path in stage["deps"]
        if "$" not in path
        and not any(stage_modules.covers([path], file) or stage_modules.covers([file], path) for file in made)
    }
    assert not missing


def test_folders_that_stages_depend_on_are_in_git_as_a_whole_or_not_at_all():
    """Else a clone without data has a part of such a folder, which DVC takes for a change."""
    definitions = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    in_git = {}
    for stage in definitions.values():
        for out in (*stage.get("outs", []), *stage.get("metrics", [])):
            (path, options) = next(iter(out.items())) if isinstance(out, dict) else (out, {})
            in_git[path] = options.get("cache") is False
    assert set(in_git.values()) == {True, False}
    for name, stage in definitions.items():
        for folder in stage["deps"]:
            parts = {path: of for path, of in in_git.items() if stage_modules.covers([folder], path)}
            assert len(set(parts.values())) <= 1, (name, folder, parts)
            if False in parts.values():
                command = ["git", "ls-files", folder]
                listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
                assert not listed, (name, listed)


def test_params_of_baselines_that_have_some_are_those_of_their_stage():
    stage = stage_modules.stages((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["streamrec-baselines"]
    with_params = {
        f"streamrec.models.{name}"
        for name, row in classification.MODELS.items()
        if not row.is_network and row.params.model_fields
    }
    assert {key for key in stage["params"] if ".models." in key} == with_params


def test_dvc_would_write_dvc_yaml_as_it_is():
    """So that `dvc freeze` changes one line."""
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert dumps_yaml(parse_yaml_for_update(text, "dvc.yaml")) == text
