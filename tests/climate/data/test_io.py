"""A folder of grids: written whole, read split by split, and nothing quietly changed or missing."""

import netCDF4
import numpy as np
import pytest

from convoy.climate.data import io as grids
from convoy.climate.data.domains import Axis, Days, Domain, Grid
from convoy.core import files
from convoy.core.errors import ConvoyError

COARSE = Grid(Axis.regular(40.0, 1.0, 4), Axis.regular(-3.0, 1.0, 5))
FINE = Grid(Axis.regular(40.0, 0.5, 8), Axis.regular(-3.0, 0.5, 10))
PARTS = {
    "train": [
        {"domain": "home", "from": "2001-01-01", "to": "2001-12-31"},
        {"domain": "far", "from": "2001-01-01", "to": "2001-01-31"},
    ],
    "validation": [
        {"domain": "home", "from": "2002-01-05", "to": "2002-01-20"},
        {"domain": "home", "from": "2002-02-01", "to": "2002-02-10"},
    ],
    "test": [{"domain": "home", "from": "2001-12-30", "to": "2002-01-03"}],
    "none": [],
}
FACTS = {
    "source": "made",
    "target": "tasmax",
    "inputs": ["tasmax", "psl"],
    "splits": PARTS,
    "noise_floor": None,
}


def domain(name="home", days=None, truth=True, **changes):
    days = Days.years(2001, 2) if days is None else days
    rng = np.random.default_rng(len(name))
    coarse, fine = (
        (280 + 10 * rng.standard_normal((len(days), *grid.shape))).astype(np.float32)
        for grid in (COARSE, FINE)
    )
    fine[:, 2, 3] = np.nan  # a cell that is missing at all times
    fine[5] = np.nan  # and a day
    coarse[7, 1, 1] = np.nan
    height = rng.uniform(0, 2000, FINE.shape).astype(np.float32)
    inputs = {"tasmax": coarse, "psl": (coarse * 360).astype(np.float32)}
    values = {
        "inputs": inputs, "target": fine if truth else None,
        "static": {"elevation": height, "coast": height / 9},
        "coarse_static": {"elevation": height[::2, ::2]}, **changes,
    }  # fmt: skip
    return Domain(name, name, COARSE, FINE, days, **values)


def written(folder, *domains, **facts):
    grids.write(folder, domains or [domain(), domain("far", Days.years(2001, 1))], {**FACTS, **facts})
    return folder


def same(one, other):
    assert (one.name, one.place, one.days.calendar) == (other.name, other.place, other.days.calendar)
    np.testing.assert_array_equal(one.days.ordinal, other.days.ordinal)
    for a, b in ((one.coarse, other.coarse), (one.fine, other.fine)):
        for axis, twin in ((a.lat, b.lat), (a.lon, b.lon)):
            np.testing.assert_array_equal(axis.centres, twin.centres)
            np.testing.assert_array_equal(axis.bounds, twin.bounds)
    for fields in ("inputs", "static", "coarse_static"):
        assert set(getattr(one, fields)) == set(getattr(other, fields))
        for name, field in getattr(one, fields).items():
            np.testing.assert_array_equal(field, getattr(other, fields)[name], err_msg=name)
            assert field.dtype == np.float32
    np.testing.assert_array_equal(one.target, other.target)


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day", "proleptic_gregorian"])
def test_what_is_written_comes_back_with_its_missing_cells(tmp_path, calendar):
    home = domain(days=Days.years(2003, 2, calendar))
    last = "2004-12-30" if calendar == "360_day" else "2004-12-31"
    whole = {"all": [{"domain": "home", "from": "2003-01-01", "to": last}]}
    folder = written(tmp_path / "grids", home, splits=whole)
    assert grids.read_facts(folder) == {
        **FACTS, "schema": 1, "splits": whole, "domains": [{"name": "home", "place": "home"}],
    }  # fmt: skip
    (back,) = grids.read(folder, "all")
    same(back, home)
    assert np.isnan(back.target[:, 2, 3]).all()
    assert np.isnan(back.target[5]).all()
    assert np.isnan(back.inputs["tasmax"]).sum() == 1


def test_the_same_grids_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        written(tmp_path / name)
    one, two = (files.check_manifest(tmp_path / name)["files"] for name in ("one", "two"))
    assert one == two
    assert set(one) == {
        "grids.json",
        *(f"home/{kind}.nc" for kind in ("static_fine", "static_coarse")),
        *(f"home/{side}_{year}.nc" for side in ("fine", "coarse") for year in (2001, 2002)),
        *(f"far/{kind}.nc" for kind in ("static_fine", "static_coarse", "fine_2001", "coarse_2001")),
    }


def test_a_split_has_its_days_and_no_others(tmp_path):
    folder = written(tmp_path / "grids")
    home, far = grids.read(folder, "train")
    assert (home.name, far.name) == ("home", "far")
    assert (home.days.labels[0], home.days.labels[-1], len(home.days)) == ("2001-01-01", "2001-12-31", 365)
    assert (far.days.labels[0], far.days.labels[-1], len(far.days)) == ("2001-01-01", "2001-01-31", 31)
    (validation,) = grids.read(folder, "validation")
    assert validation.days.labels[15:17] == ["2002-01-20", "2002-02-01"]
    assert len(validation.days) == 16 + 10
    # Over the turn of the year, from two files.
    (test,) = grids.read(folder, "test")
    days = ["2001-12-30", "2001-12-31", "2002-01-01", "2002-01-02", "2002-01-03"]
    assert test.days.labels == days
    same(test, domain().at(np.isin(domain().days.labels, days)))
    assert grids.read(folder, "none") == []


def test_inputs_that_the_facts_do_not_name_are_not_read(tmp_path):
    (home, _) = grids.read(written(tmp_path / "grids", inputs=["psl"]), "train")
    assert list(home.inputs) == ["psl"]


def test_a_domain_without_truth_has_none(tmp_path):
    folder = written(tmp_path / "grids", domain(truth=False), domain("far"))
    assert [part.target is None for part in grids.read(folder, "train")] == [True, False]


def test_files_say_what_they_are_in_the_terms_of_cf(tmp_path):
    folder = written(tmp_path / "grids")
    with netCDF4.Dataset(str(folder / "home" / "fine_2001.nc")) as file:
        assert file.Conventions == "CF-1.11"
        assert file["tasmax"].standard_name == "air_temperature"
        assert (file["tasmax"].units, file["tasmax"].cell_methods) == ("K", "time: maximum")
        assert file["height"][...] == 2.0
        np.testing.assert_array_equal(file["time_bnds"][:, 1] - file["time_bnds"][:, 0], 1)
        assert file["tasmax"][:].mask.sum() == FINE.shape[0] * FINE.shape[1] + 364


def test_changed_or_missing_files_are_refused(tmp_path):
    folder = written(tmp_path / "grids")
    path = folder / "home" / "fine_2001.nc"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ConvoyError, match=r"fine_2001\.nc: sha256 differs from the manifest"):
        grids.read_facts(folder)
    path.unlink()
    with pytest.raises(ConvoyError, match=r"fine_2001\.nc: missing"):
        grids.read_facts(folder)
    path.write_bytes(whole)
    grids.read_facts(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(ConvoyError, match=r"no manifest\.json"):
        grids.read_facts(folder)


def test_splits_that_are_not_there_are_refused(tmp_path):
    folder = written(tmp_path / "grids")
    with pytest.raises(ConvoyError, match="no split 'unseen'; it has none, test, train, validation"):
        grids.read(folder, "unseen")
    written(
        tmp_path / "grids", splits={"train": [{"domain": "home", "from": "1990-01-01", "to": "1990-02-01"}]}
    )
    with pytest.raises(ConvoyError, match="no days in "):
        grids.read(folder, "train")


def test_a_failed_write_leaves_the_former_folder(tmp_path):
    folder = written(tmp_path / "grids")
    former = files.check_manifest(folder)

    def broken():
        yield domain()
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        grids.write(folder, broken(), FACTS)
    assert files.check_manifest(folder) == former
    assert [path.name for path in tmp_path.iterdir()] == ["grids"]
