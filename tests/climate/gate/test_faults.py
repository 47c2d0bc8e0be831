"""Each planted fault of values, days, terrain and splits is found by the expectation meant for it."""

import dataclasses
import re

import numpy as np

from convoy.climate.data.domains import Axis, Grid
from convoy.core.files import MANIFEST, write_manifest
from tests.support import stored_grids as stored
from tests.support.stored_grids import found, numbers, spans, verdict_of, with_facts


def test_faults_of_values(sound, tmp_path):
    far, warmer = "far/coarse_2001.nc", "warmer/coarse_2003.nc"
    first_days = slice(0, 5)
    edits = {
        far: lambda file: (
            numbers("psl", lambda pascal: pascal / 100)(file),  # hPa
            numbers("huss", lambda old: 0 * old + 0.006, slice(0, 31))(file),  # a constant field
        ),
        warmer: lambda file: (
            numbers("psl", lambda old: 0 * old + 1e20)(file),  # nothing but the fill value
            numbers("huss", lambda old: old[:1] + 0 * old, slice(59, 90))(file),  # the same map each day
        ),
        "home/coarse_2001.nc": lambda file: (
            numbers("huss", lambda old: -old, (slice(31, 32), 0, 0))(file),
            numbers("psl", lambda old: 0 * old + 1e20, first_days)(file),  # the fill value, now and then
        ),
        "home/coarse_2002.nc": numbers("huss", lambda old: 0 * old + np.inf, (7, 1, 1)),
        "home/fine_2003.nc": numbers("tasmax", lambda old: 0 * old - 9999, (slice(0, 1), 0, 0)),
        "home/fine_2002.nc": numbers("tasmax", lambda old: 0 * old + 1e20, (first_days, 0, 0)),
    }
    verdict = verdict_of(stored.edited(sound, tmp_path / "grids", edits))
    far, warmer, home = "month 'far'", "month 'warmer'", "month 'home'"
    assert found(verdict) == {
        "psl_coarse_mean": [far],
        "psl_coarse_low": [far],
        "psl_coarse_missing": [warmer],
        "psl_coarse_gaps": [home],
        "huss_coarse_mean": [home],
        "huss_coarse_low": [home],
        "huss_coarse_high": [home],
        "huss_coarse_spread": [far],
        "huss_coarse_change": [far, warmer],
        "tasmax_fine_low": [home],
        "tasmax_fine_gaps": [home],
        "coarse_mean": ["domain 'home'"],
    }
    told = {f"{finding.name}: {example}" for finding in verdict.failures for example in finding.examples}
    # 5 of 31 days, and 5 cells of 256 x 31
    assert "psl_coarse_gaps: month 'home 2001-01': 0.16129" in told
    assert "tasmax_fine_gaps: month 'home 2002-01': 0.000630040"[:-1] in told
    assert "tasmax_fine_low: month 'home 2003-01': -9999.0" in told
    assert "huss_coarse_change: month 'warmer 2003-03': 0.0" in told
    assert (
        "  psl (coarse): No psl (coarse) is below 80000 Pa; found 12 of 60 violate it (20.00%)"
        in verdict.summary()
    )


def test_degrees_celsius_labelled_kelvin(tmp_path):
    celsius = np.float32(273.15)
    changes = {
        "far": stored.changed(target=lambda made: made.target - celsius),
        "warmer": stored.changed(
            inputs=lambda made: {**made.inputs, "tasmax": made.inputs["tasmax"] - celsius}
        ),
    }
    verdict = verdict_of(stored.write_folder(tmp_path / "grids", changes))
    assert found(verdict) == {
        "tasmax_fine_mean": ["month 'far'"],
        "tasmax_fine_low": ["month 'far'"],
        "tasmax_coarse_mean": ["month 'warmer'"],
        "tasmax_coarse_low": ["month 'warmer'"],
        "coarse_mean": ["domain 'far'", "domain 'warmer'"],
    }
    assert {finding.name: finding.count for finding in verdict.failures}["tasmax_fine_mean"] == 12


def test_faults_of_days(tmp_path):
    def one_more(made):  # 2001-02-09 twice
        return made.at(np.sort(np.r_[np.arange(len(made.days)), 39]))

    changes = {
        "home": one_more,
        "far": lambda made: made.at(np.delete(np.arange(365), [45, 46, 200])),
        "warmer": stored.changed(target=lambda made: np.roll(made.target, 1, axis=0)),
    }
    folder = stored.write_folder(tmp_path / "grids", changes)
    (folder / "far" / "fine_2001.nc").unlink()
    (folder / MANIFEST).unlink()
    write_manifest(folder)
    verdict = verdict_of(folder)
    assert found(verdict) == {
        "time_order": ["domain 'home (coarse)'", "domain 'home (fine)'"],
        "days_missing": ["domain 'far (coarse)'"],
        "split_truth": ["split 'unseen_terrain'"],
        "days_shifted": ["domain 'warmer'"],
        "coarse_mean": ["domain 'warmer'"],
        "time_coarse_days": ["month 'far'", "month 'home'"],
        "time_fine_days": ["month 'home'"],
    }
    told = {finding.name: str(finding.examples[0]) for finding in verdict.failures}
    assert told["time_order"] == "domain 'home (coarse)': 2001-02-09 is stored 2 times"
    assert told["days_missing"] == ("domain 'far (coarse)': 3 days: 2001-02-15 to 2001-02-16, 2001-07-20")
    assert re.fullmatch(
        r"domain 'warmer': correlation 0\.7\d+, but 0\.9\d+ if it were 1 day later",
        told["days_shifted"],
    )


def test_swapped_grids_and_broken_surface(tmp_path):
    def swapped(made):
        coarse = {**made.inputs, "tasmax": made.target}
        inputs = {name: np.resize(field, made.target.shape) for name, field in coarse.items()}
        return dataclasses.replace(
            made, coarse=made.fine, fine=made.coarse, inputs=inputs, target=made.inputs["tasmax"],
            static=made.coarse_static, coarse_static=made.static,
        )  # fmt: skip

    def holed(made):
        elevation = made.static["elevation"].copy()
        elevation[3, 4], elevation[5, 6] = np.nan, 9999
        return dataclasses.replace(made, static={"elevation": elevation})

    verdict = verdict_of(stored.write_folder(tmp_path / "grids", {"far": swapped, "warmer": holed}))
    assert found(verdict) == {
        "swapped": ["domain 'far'"],
        "static_missing": ["domain 'warmer'"],
        "elevation_range": ["domain 'warmer'"],
        "same_surface": ["domain 'warmer'"],
    }
    told = {finding.name: finding.examples[0].value for finding in verdict.failures}
    assert told == {
        "swapped": "coarse 16 x 16 cells of 0.25 degrees, fine 4 x 4 of 1",
        "static_missing": "1 of 256 cells of elevation (fine)",
        "elevation_range": told["elevation_range"],
        "same_surface": "elevation (fine) differs from home",
    }
    assert told["elevation_range"].endswith(" to 9999 m")


def test_a_wrong_pair_of_files(tmp_path):
    def another_weather(made):
        other = stored.domain("far", "far", made.days, seed=77)
        return dataclasses.replace(made, inputs=other.inputs)

    def elsewhere(made):
        return dataclasses.replace(made, fine=Grid(Axis.regular(60, 0.25, 16), made.fine.lon))

    facts = {"factor": None}
    verdict = verdict_of(stored.write_folder(tmp_path / "one", {"far": another_weather}, facts))
    assert found(verdict) == {"correlation": ["domain 'far'"]}
    assert abs(float(verdict.failures[0].examples[0].value)) < 0.2
    verdict = verdict_of(stored.write_folder(tmp_path / "two", {"far": elsewhere}, facts))
    assert found(verdict) == {"apart": ["domain 'far'"]}
    assert verdict.failures[0].examples[0].value == "lat: fine 60 to 64, coarse 40 to 44"


def test_a_coarse_field_upside_down_fails_and_one_far_too_warm_is_warned_of(tmp_path):
    def slanted(made, change):
        """Ten kelvin colder in the north than in the south."""
        fine = made.target - 2.5 * (made.fine.lat.centres[:, None] - 42).astype(np.float32)
        coarse = made.inputs["tasmax"] - 2.5 * (made.coarse.lat.centres[:, None] - 42).astype(np.float32)
        return dataclasses.replace(made, target=fine, inputs={**made.inputs, "tasmax": change(coarse)})

    def verdict(name, change):
        changes = {"far": lambda made: slanted(made, change)}
        return verdict_of(stored.write_folder(tmp_path / name, changes, {"factor": None}))

    same = verdict("same", lambda field: field)
    assert (same.failures, same.warnings) == ((), ())
    turned = verdict("turned", lambda field: np.ascontiguousarray(field[:, ::-1]))
    (finding,) = [finding for finding in turned.failures if finding.name == "upside_down"]
    assert re.search(
        r"pattern correlation -?0\.\d+, but 1\.000 if it were upside down", str(finding.examples[0])
    )
    warm = verdict("warm", lambda field: field + np.float32(20))
    assert warm.failures == ()
    (finding,) = warm.warnings
    assert (finding.name, str(finding.examples[0])) == ("coarse_bias", "domain 'far': 20 K")


def test_coarse_that_is_not_the_mean_of_fine(sound, tmp_path):
    warmer = {"far/coarse_2001.nc": numbers("tasmax", lambda old: old + np.float32(0.06))}
    folder = stored.edited(sound, tmp_path / "grids", warmer)
    (finding,) = verdict_of(folder).failures
    assert (finding.name, str(finding.examples[0])) == ("coarse_mean", "domain 'far': 0.06")
    assert finding.words == (
        "The RMSE between tasmax (coarse) and the area means of tasmax (fine) is at most 0.05 K"
    )
    with_facts(folder, tmp_path / "told", factor=None)
    verdict = verdict_of(tmp_path / "told")
    assert verdict.success
    assert verdict.metrics()["domains"]["far"]["coarse_mean_rmse"] == 0.06


def test_faults_of_splits(sound, tmp_path):
    parts = spans(
        train=[("home", 2002, 2003), ("far", 2001, 2001), ("nowhere", 2001, 2001)],
        validation=[("home", 2011, 2012)],
        test=[("home", 2001, 2001)],
        unseen_terrain=[("far", 2001, 2001)],
    )
    parts["warmer_2k"] = [{"domain": "home", "from": "2003-12-30", "to": "2003-12-31"}]
    verdict = verdict_of(with_facts(sound, tmp_path / "grids", splits=parts))
    told = {f.name: {e.place.split("'")[1]: e.value for e in f.examples} for f in verdict.failures}
    assert told == {
        "split_spans": {
            "train": "no domain 'nowhere'",
            "validation": "no day of home in 2011-01-01 to 2012-12-31; it has 2001-01-01 to 2003-12-31",
        },
        "split_empty": {"validation": "no day"},
        "split_shared": {
            "train": "far also in unseen_terrain: 365 days: 2001-01-01 to 2001-12-31; 1 more",
            "unseen_terrain": "far also in train: 365 days: 2001-01-01 to 2001-12-31",
            "warmer_2k": "home also in train: 2 days: 2003-12-30 to 2003-12-31",
        },
        "split_unseen": {"unseen_terrain": "place far is in train"},
        "split_future": {"train": "home 730 days: 2002-01-01 to 2003-12-31; test begins 2001-01-01"},
    }
