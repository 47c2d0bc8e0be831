"""Reads stations from any number of files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from convoy.climate.data.netcdf import Reader
from convoy.climate.series.sources.cf_io import cf_stations
from convoy.climate.series.sources.naming import SHOWN, Settings
from convoy.climate.series.sources.stations import Label, Station
from convoy.climate.series.sources.tables_io import csv_stations
from convoy.core.errors import ConvoyError
from convoy.core.printable import cut

_TABLES = (".csv", ".txt", ".gz")


def read_stations(
    paths: Sequence[str], settings: Settings, wanted: Sequence[str] | None
) -> tuple[list[Station], dict[str, Label], list[str]]:
    """Stations of all files, the labels in CSV tables, and the variables, in the order of our table.

    wanted: variables to read; None: those of ours that every file has. Raises ConvoyError for a file that is
    broken or too large, a variable that a file lacks, units that do not fit, and a site in two files.
    """
    stations: list[Station] = []
    labels: dict[str, Label] = {}
    shared: list[str] | None = None
    with Reader() as reader:
        for path in paths:
            if Path(path).suffix.lower() in _TABLES:
                found, own = csv_stations(path, settings, wanted)
                labels |= own
            else:
                found = cf_stations(path, reader, settings, wanted)
            have = list(found[0].values) if found else []
            shared = have if shared is None else [name for name in shared if name in have]
            stations += found
    twice = [site for site, count in Counter(station.site for station in stations).items() if count > 1]
    if twice:
        raise ConvoyError(f"site '{cut(twice[0], 60)}' is in several files", path=", ".join(paths)[:SHOWN])
    if not stations or not shared:
        raise ConvoyError("no station with a variable of ours", path=", ".join(paths)[:SHOWN])
    return stations, labels, shared
