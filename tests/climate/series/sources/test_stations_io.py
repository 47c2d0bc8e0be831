"""Stations from CSV and NetCDF: names, units, dates, gaps, labels; and the real stations."""

import gzip

import numpy as np
import pytest
import xarray as xr

from convoy.climate.data.variables import VariableParams
from convoy.climate.series.sources import cf_io, tables_io
from convoy.climate.series.sources.io import SeriesParams, of_stations, summary
from convoy.climate.series.sources.stations_io import read_stations
from convoy.climate.series.sources.tables_io import read_labels
from convoy.core.errors import ConvoyError
from convoy.core.params import parse

CSV = """site,date,tas,psl,label
oslo,2001-01-02,270.5,101000,lowland
oslo,2001-01-01,271.5,,lowland
bergen,2001-01-01,278.0,100500,coast
"""


def write(tmp_path, text, name="stations.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def read(path, settings=None, wanted=None):
    return read_stations([path], settings or {}, wanted)


def test_a_table_with_a_row_per_site_and_day(tmp_path):
    stations, labels, variables = read(write(tmp_path, CSV))
    assert variables == ["tas", "psl"]
    found = {station.site: station for station in stations}
    assert found["oslo"].days.labels == ["2001-01-01", "2001-01-02"]
    assert found["oslo"].values["tas"].tolist() == [271.5, 270.5]
    np.testing.assert_array_equal(found["oslo"].values["psl"], [np.nan, 101000])
    assert {site: label.name for site, label in labels.items()} == {"oslo": "lowland", "bergen": "coast"}


def test_declared_units_and_names_are_used(tmp_path):
    path = write(tmp_path, "site,date,TAVG,psl\nx,2001-01-01,50,1013.25\n")
    settings = {"tas": VariableParams(name="TAVG", units="degF"), "psl": VariableParams(units="hPa")}
    (station,), _, _ = read(path, settings)
    assert station.values["tas"] == pytest.approx([283.15])
    assert station.values["psl"] == pytest.approx([101325])


WRONG = {
    "Fahrenheit that is not declared": (
        "site,date,tas\nx,2001-01-01,50\n",
        r"variable 'tas' is 50 K if its units are 'K'.*tas: \{units: ...\}",
    ),
    "a word among the numbers": (
        "site,date,tas\nx,2001-01-01,270\nx,2001-01-02,warm\n",
        "column 'tas', row 3: expected a number or an empty cell; found warm",
    ),
    "infinity": ("site,date,tas\nx,2001-01-01,inf\n", "row 2: expected a finite number"),
    "a wrong date": (
        "site,date,tas\nx,2001-02-30,270\n", "column 'date', row 2: expected a day as YYYY-MM-DD",
    ),
    "another order of the date": ("site,date,tas\nx,01/02/2001,270\n", "found 01/02/2001"),
    "a day twice": (
        "site,date,tas\nx,2001-01-01,270\nx,2001-01-01,271\n", "site 'x' has two rows for 2001-01-01",
    ),
    "two labels": (
        "site,date,tas,label\nx,2001-01-01,270,a\nx,2001-01-02,270,b\n", r"column 'label': site 'x' has two",
    ),
    "no site": ("station,date,tas\nx,2001-01-01,270\n", "no column 'site'"),
    "no variable": ("site,date,rain\nx,2001-01-01,270\n", "no variable 'tas'"),
    "a column twice": ("site,date,tas,tas\nx,2001-01-01,270,270\n", "two columns have the same name"),
    "a short row": ("site,date,tas\nx,2001-01-01\n", "not a CSV table"),
    "nothing": ("", "not a CSV table"),
    "a header and no row": ("site,date,tas\n", "it has no row; expected a row for each site and day"),
    "another delimiter": ("site;date;tas\nx;2001-01-01;270\n", "separate columns by commas"),
    "a site without a name": ("site,date,tas\nx,2001-01-01,270\n ,2001-01-02,270\n", "column 'site', row 3"),
    "more than a day": ("site,date,tas\nx,2001-01-01garbage,270\n", "found 2001-01-01garbage"),
    "a number for missing": ("site,date,tas\nx,2001-01-01,-999\n", "leave missing values empty"),
    "a latitude beyond the pole": (
        "site,date,tas,latitude\nx,2001-01-01,270,-91\n",
        "latitude: expected degrees from -90 to 90; found -91",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_one_line_for_a_faulty_table(tmp_path, fault):
    text, message = WRONG[fault]
    with pytest.raises(ConvoyError, match=message) as caught:
        read(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_wanted_variable_that_is_missing_is_refused(tmp_path):
    with pytest.raises(ConvoyError, match="no variable 'huss'"):
        read(write(tmp_path, CSV), wanted=("tas", "huss"))


def test_spaces_around_sites_labels_and_days_are_left_out(tmp_path):
    path = write(tmp_path, "site,date,tas,label\nx ,2001-01-01 12:00,270,a\n x, 2001-01-02T00:00,271, a\n")
    (station,), labels, _ = read(path)
    assert (station.site, labels["x"].name) == ("x", "a")
    assert station.days.labels == ["2001-01-01", "2001-01-02"]
    assert list(read_labels(write(tmp_path, "site,label\n x, a\n"))) == ["x"]


def test_a_table_of_another_encoding_is_refused(tmp_path):
    path = tmp_path / "latin.csv"
    path.write_bytes(b"site,date,tas\nZ\xfcrich,2001-01-01,270\n")
    with pytest.raises(ConvoyError, match="expected commas between columns, and UTF-8"):
        read(str(path))


def test_a_packed_table_is_bounded_by_its_unpacked_size(tmp_path, monkeypatch):
    monkeypatch.setattr(tables_io, "MOST_BYTES", 2**20)
    path = tmp_path / "packed.csv.gz"
    path.write_bytes(gzip.compress(b"site,date,tas\n" + b"x,2001-01-01,270\n" * 300_000))
    assert path.stat().st_size < tables_io.MOST_BYTES
    with pytest.raises(ConvoyError, match="unpacked, larger than 1,048,576 bytes; split it by sites"):
        read(str(path))


def test_one_column_is_not_two_variables(tmp_path):
    settings = {"tasmax": VariableParams(name="tas")}
    with pytest.raises(ConvoyError, match="variable 'tas' is read as tas and as tasmax"):
        read(write(tmp_path, CSV), settings)


def test_an_unusable_year_is_reported_with_its_file_and_a_lacking_label_with_the_label_file(tmp_path):
    path, labels = write(tmp_path, CSV), write(tmp_path, "site,label\noslo,a\n", "labels.csv")
    params = {"source": {"paths": [path], "labels": labels}}
    with pytest.raises(ConvoyError, match=r"stations\.csv: no year in which") as caught:
        of_stations(parse({"source": {"paths": [path]}}, SeriesParams, "x"))
    assert caught.value.path == path
    with pytest.raises(ConvoyError, match="site 'bergen' has no label") as caught:
        of_stations(parse({**params, "max_missing": 0.5}, SeriesParams, "x"))
    assert caught.value.path == labels


def test_a_site_in_two_files_is_refused(tmp_path):
    paths = [write(tmp_path, CSV), write(tmp_path, CSV, "more.csv")]
    with pytest.raises(ConvoyError, match="site 'oslo' is in several files"):
        read_stations(paths, {}, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("site,label\na,x\na,y\n", "site 'a' is listed twice"),
        ("site,label\na,\n", "row 2: expected a site and its label"),
        ("site,regime\na,x\n", "no column 'label'"),
        ("site,label,split\na,x,dev\n", "expected one of train, validation, test"),
    ],
)
def test_one_line_for_a_faulty_label_file(tmp_path, text, message):
    with pytest.raises(ConvoyError, match=message):
        read_labels(write(tmp_path, text))


def netcdf(tmp_path, order=("station", "time"), characters=False, units="degC"):
    """Two stations of three days, in CF's discrete sampling geometry."""
    tas = xr.DataArray(np.array([[1.0, 2, 3], [4, 5, np.nan]], "f4"), dims=("station", "time"))
    tas.attrs = {"standard_name": "air_temperature", "units": units, "cell_methods": "time: mean"}
    tas.encoding["_FillValue"] = np.float32(-999)
    names = xr.DataArray(np.array(["Å", "b"], "S2" if characters else object), dims="station",
                         attrs={"cf_role": "timeseries_id"})  # fmt: skip
    held = xr.Dataset(
        {"temperature": tas.transpose(*order)},
        coords={"sid": names, "lat": ("station", [60.0, -33.0]), "time": ("time", [0, 1, 2])},
        attrs={"featureType": "timeSeries"},
    )
    held["time"].attrs = {"units": "days since 2001-12-30 12:00", "calendar": "standard"}
    path = tmp_path / "stations.nc"
    held.to_netcdf(path)
    return str(path)


@pytest.mark.parametrize("order", [("station", "time"), ("time", "station")])
def test_stations_of_a_netcdf_file(tmp_path, order):
    stations, labels, variables = read(netcdf(tmp_path, order))
    assert variables == ["tas"]
    assert labels == {}
    assert [station.site for station in stations] == ["Å", "b"]
    assert [station.latitude for station in stations] == [60.0, -33.0]
    assert stations[0].days.labels == ["2001-12-30", "2001-12-31", "2002-01-01"]
    np.testing.assert_allclose(stations[1].values["tas"], [277.15, 278.15, np.nan], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "attribute"), [("rowSize", "sample_dimension"), ("stationIndex", "instance_dimension")]
)
def test_a_ragged_array_is_refused(tmp_path, name, attribute):
    held = xr.Dataset({
        "tas": ("obs", np.full(6, 280.0), {"units": "K"}), "time": ("obs", np.arange(6.0)),
        name: ("obs", np.zeros(6, int), {attribute: "obs"}),
    })  # fmt: skip
    held.to_netcdf(tmp_path / "ragged.nc")
    with pytest.raises(ConvoyError, match=f"ragged array \\('{name}' has a {attribute}\\)"):
        read(str(tmp_path / "ragged.nc"))


def test_the_values_of_a_file_are_bounded_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(cf_io, "MOST_VALUES", 5)
    with pytest.raises(ConvoyError, match="tas have 6 values; expected at most 5"):
        read(netcdf(tmp_path))


def test_units_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ConvoyError, match=r"variable 'temperature' has the units 'm'"):
        read(netcdf(tmp_path, units="m"))


def test_a_grid_is_refused(tmp_path):
    held = xr.Dataset({"tas": (("time", "lat", "lon"), np.full((2, 2, 2), 280.0))})
    held.to_netcdf(tmp_path / "grid.nc")
    with pytest.raises(ConvoyError, match="no variable 'tas'"):
        read(str(tmp_path / "grid.nc"))


def test_the_log_shows_labels_without_their_terminal_escapes(tmp_path):
    days = np.arange("2001-01-01", "2002-01-01", dtype="datetime64[D]")
    rows = "".join(f"x,{day},270,\x1b[2Jcoast\n" for day in days)
    path = write(tmp_path, "site,date,tas,label\n" + rows)
    held, facts = of_stations(parse({"source": {"paths": [path]}}, SeriesParams, "x"))
    assert r"labels: \x1b[2Jcoast 1" in summary(held, facts)


def test_the_real_stations(tmp_path, real_data):
    path = real_data / "stations" / "daily_surface_cancities_1990-1993.nc"
    labels = write(
        tmp_path,
        "site,label,split\nHalifax,coast,train\nMontréal,inland,train\nIqaluit,coast,validation\n"
        "Saskatoon,inland,test\nVictoria,coast,test\n",
        "labels.csv",
    )
    source = {"paths": [str(path)], "labels": labels}
    held, facts = of_stations(parse({"source": source}, SeriesParams, "x"))
    assert held.values.shape == (20, 6, 365)
    assert held.variables == ("tas", "tasmax", "tasmin", "psl", "huss", "sfcWind")
    assert held.label.tolist()[:8] == ["coast"] * 4 + ["inland"] * 4
    assert facts["days_interpolated"] == 0
    some, _ = of_stations(parse({"source": source, "inputs": ["psl", "tas"]}, SeriesParams, "x"))
    assert some.variables == ("tas", "psl")
    with xr.open_dataset(path) as file:
        # 1992 has 366 days; the last day of the year is the last value all the same.
        expected = file["tas"].sel(location="Victoria", time="1992-12-31").item()
    assert some.values[some.item_ids.index("Victoria 1992"), 0, 364] == pytest.approx(expected)
