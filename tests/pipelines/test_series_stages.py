"""The series stages in a folder of their own: outputs, metrics, report, embeddings, and refusals."""

import shutil

import numpy as np
import pytest

from convoy import embeddings
from convoy.climate.series.data import io
from convoy.core import artifact
from convoy.core.errors import ConvoyError
from convoy.core.files import MANIFEST, read_json
from tests.support import sites
from tests.support.once import once
from tests.support.sites import BASELINES, DATA, METRICS, NETWORK


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return once(tmp_path_factory, "series", sites.make)


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


def test_metrics_have_the_same_keys_for_all_models(made):
    for model in (*BASELINES, NETWORK):
        metrics = read_json(made / METRICS / f"{model}.json")
        assert {"accuracy", "macro_f1", "ece", "accuracy_low", "accuracy_high"} <= set(metrics["test"])
        assert 0.8 < metrics["bayes"]["full"] <= 1
        assert metrics["test"]["accuracy"] == pytest.approx(
            metrics["share_of_bayes"]["full"] * metrics["bayes"]["full"]
        )


def test_the_bayes_accuracy_is_that_of_the_truth_on_the_test_sites(made):
    held, truth = io.read(made / DATA / "site_years"), io.read_truth(made / DATA / "truth.parquet")
    posterior = np.stack([truth[name].to_numpy() for name in held.categories], axis=1)
    rows = held.rows("test")
    expected = np.mean(posterior[rows].argmax(axis=1) == held.labels[rows])
    assert read_json(made / METRICS / f"{NETWORK}.json")["bayes"]["full"] == pytest.approx(expected)


def test_the_report_has_the_headline_and_the_bayes_accuracy(made):
    comparison = read_json(made / METRICS / "comparison.json")
    page = (made / DATA / "report.html").read_text()
    assert set(comparison["accuracy"]) == {*BASELINES, NETWORK}
    assert comparison["words"][0] in page
    assert "the likelihood of each regime is exact" in page


def test_site_embeddings_are_one_vector_per_site(made):
    held = io.read(made / DATA / "site_years")
    ids, vectors = embeddings.read(made / DATA / "embeddings" / NETWORK)
    assert ids.tolist() == sorted(set(held.site))
    assert vectors.shape == (120, 8)
    stored = artifact.read(made / DATA / "models" / NETWORK)
    from convoy.climate.series.networks import fit

    years = held.values[held.site == ids[7]]
    expected = fit.embeddings(stored.config, stored.tensors, years).mean(axis=0)
    np.testing.assert_allclose(vectors[7], expected, rtol=1e-4, atol=1e-5)


def test_a_stage_run_again_gives_the_same_bytes(copy):
    before = {path: path.read_bytes() for path in copy.rglob(MANIFEST)}
    for stage in ("series", "series_baselines", "series_train"):
        sites.run(stage, copy)
    assert {path: path.read_bytes() for path in copy.rglob(MANIFEST)} == before


def test_the_gate_leaves_nothing_where_it_fails(copy):
    held = io.read(copy / DATA / "site_years")
    held.values[3, held.variables.index("psl")] /= 100
    io.write(copy / DATA / "site_years", held, {"source": "test"})
    (copy / DATA / "gate.json").unlink()
    with pytest.raises(ConvoyError, match=r"expectation 'psl_least' failed: No psl is below 80000 Pa.*site-"):
        sites.run("series_gate", copy)
    assert not (copy / DATA / "gate.json").exists()


def test_a_model_of_other_variables_is_not_evaluated(copy):
    sites.write_params(copy, {**sites.SERIES, "data": {**sites.SERIES["data"], "inputs": ["tas", "psl"]}})
    sites.run("series", copy)
    with pytest.raises(ConvoyError, match="temporal_cnn: trained on other variables"):
        sites.run("series_evaluate", copy)


@pytest.mark.parametrize("baselines", [BASELINES, ("majority",)])
def test_baselines_are_compared_where_no_network_is_trained(copy, baselines):
    sites.write_params(copy, {**sites.SERIES, "networks": [], "baselines": list(baselines)})
    shutil.rmtree(copy / DATA / "evaluation/networks")
    (copy / METRICS / f"{NETWORK}.json").unlink()
    sites.run("series_compare", copy)
    comparison = read_json(copy / METRICS / "comparison.json")
    assert set(comparison["accuracy"]) == set(baselines)
    assert "TemporalCNN" not in " ".join(comparison["words"])
    assert comparison["words"][0] in (copy / DATA / "report.html").read_text()


def test_real_stations_run_through_all_stages(tmp_path, capsys):
    """Two variables of a CSV table, in degrees Celsius, with a gap; no Bayes accuracy is known.

    A label holds a terminal escape, which no stage prints.
    """
    rng = np.random.default_rng(0)
    dates = np.arange("2001-01-01", "2003-01-01", dtype="datetime64[D]")
    lines = ["site,date,label,split,TMEAN,TMAX,latitude"]
    for number in range(18):
        label, split = (
            ("coa\x1b[2Jst", "inland")[number % 2],
            ("train", "validation", "test")[number // 2 % 3],
        )
        noise = 3 * rng.standard_normal(len(dates)) * (1 + number % 2)
        cycle = 10 - 9 * np.cos(2 * np.pi * (np.arange(len(dates)) - 14) / 365)
        for date, value in zip(dates, cycle + noise, strict=True):
            shown = "" if number == 4 and "2001-03-10" <= str(date) < "2001-03-20" else f"{value:.2f}"
            lines.append(f"s{number:02d},{date},{label},{split},{shown},{value + 5:.2f},50")
    (tmp_path / "stations.csv").write_text("\n".join(lines) + "\n")
    data = {
        "source": {"paths": ["stations.csv"]},
        "folder": "stations.csv",
        "variables": {
            "tas": {"name": "TMEAN", "units": "degC"}, "tasmax": {"name": "TMAX", "units": "degC"},
        },
    }  # fmt: skip
    sites.write_params(tmp_path, {**sites.SERIES, "data": data})
    for stage in sites.STAGES:
        sites.run(stage, tmp_path)
    logged = capsys.readouterr().out
    assert r"coa\x1b[2Jst" in logged
    assert "\x1b" not in logged
    facts = io.read_facts(tmp_path / DATA / "site_years")
    assert facts["variables"] == ["tas", "tasmax"]
    assert facts["days_interpolated"] == 10
    metrics = read_json(tmp_path / METRICS / "quantiles.json")
    assert metrics["bayes"] is None
    assert metrics["test"]["accuracy"] == 1.0, "the spread differs by a factor of two"
    page = (tmp_path / DATA / "report.html").read_text()
    assert "For real stations the Bayes accuracy is not known." in page
