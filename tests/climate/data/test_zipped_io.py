"""Zarr stores in zip archives are read as their folders are, and bad archives are refused in one line."""

import shutil
import warnings
import zipfile

import numpy as np
import pytest
import xarray

from convoy.climate.data import zipped_io
from convoy.climate.data.conventions import conform
from convoy.climate.data.netcdf import Reader
from convoy.core.errors import ConvoyError
from tests.support.gridfiles import daily
from tests.support.known import right


@pytest.fixture(scope="module")
def reader():
    with Reader() as shared:
        yield shared


def folder(path, zarr_format, **encoding):
    """The known field as a Zarr store."""
    variables = daily()
    axes = {name: (name, *variables[name][1:]) for name in ("time", "lat", "lon")}
    made = xarray.Dataset({"tasmax": variables["tasmax"]}).assign_coords(axes)
    chunks = {"tasmax": {"chunks": (10, 20, 12), **encoding}}
    made.to_zarr(path, zarr_format=zarr_format, consolidated=False, encoding=chunks)
    return path


def archive(path, source, prefix="", compression=zipfile.ZIP_STORED, leave=()):
    """A store's files in a zip archive, below a folder where there is a prefix."""
    with zipfile.ZipFile(path, "w", compression) as made:
        for file in sorted(source.rglob("*")):
            name = file.relative_to(source).as_posix()
            if file.is_file() and name not in leave:
                made.write(file, f"{prefix}{name}")
    return path


def refusal(call, *arguments):
    with pytest.raises(ConvoyError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("name", "prefix", "compression"),
    [("x.zarr.zip", "", zipfile.ZIP_STORED), ("x.zip", "a/x.zarr/", zipfile.ZIP_DEFLATED)],
)
def test_a_store_in_an_archive_is_read_as_its_folder(
    reader, tmp_path, zarr_format, name, prefix, compression
):
    path = archive(tmp_path / name, folder(tmp_path / "x.zarr", zarr_format), prefix, compression)
    found = conform(reader.open(path), {})
    right(found, found["tasmax"].values)
    right(found.isel(time=slice(7, 23)), found["tasmax"][7:23].values)
    # Opened a second time by another process.
    with Reader() as other:
        again = conform(other.open(path), {})
        np.testing.assert_array_equal(again["tasmax"].values, found["tasmax"].values)


def test_a_store_that_zarr_itself_wrote(reader, tmp_path):
    from zarr.storage import ZipStore

    opened = xarray.open_zarr(folder(tmp_path / "x.zarr", 3), consolidated=False)
    with ZipStore(tmp_path / "own.zip", mode="w") as store, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that are written twice: zarr's own affair
        opened.to_zarr(store, consolidated=False)
    found = conform(reader.open(tmp_path / "own.zip"), {})
    right(found, found["tasmax"].values)


def test_a_lost_chunk_is_missed(reader, tmp_path):
    source = folder(tmp_path / "x.zarr", 3)
    lost = archive(tmp_path / "lost.zip", source, leave=["tasmax/c/2/0/1"])
    line = refusal(lambda: reader.open(lost)["tasmax"].values)
    assert "variable 'tasmax' cannot be read" in line
    assert "chunk (2, 0, 1) is missing" in line
    sea = archive(tmp_path / "sea.zip", source, leave=[f"tasmax/c/{time}/0/1" for time in range(4)])
    # A chunk that no time has is left out on purpose.
    assert np.isnan(reader.open(sea)["tasmax"].values[:, :, 12:]).all()


def test_bad_archives_are_refused(reader, tmp_path, monkeypatch):
    source = folder(tmp_path / "x.zarr", 3)
    whole = archive(tmp_path / "whole.zip", source).read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole[: len(whole) // 2])
    assert f"{cut}: a zip archive that is truncated or broken (" in refusal(reader.open, cut)
    flipped = bytearray(whole)
    flipped[whole.index(b"tasmax/c/0/0/0") + 60] ^= 255
    (tmp_path / "flipped.zip").write_bytes(flipped)
    line = refusal(lambda: reader.open(tmp_path / "flipped.zip")["tasmax"].values)
    assert "truncated or broken (" in line
    with zipfile.ZipFile(tmp_path / "texts.zip", "w") as made:
        made.writestr("notes.txt", "no grid")
    assert "a zip archive with no Zarr store (zarr.json, .zgroup, .zmetadata); expected one" in refusal(
        reader.open, tmp_path / "texts.zip"
    )
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as made:
        for name in ("a", "b"):
            made.write(source / "zarr.json", f"{name}.zarr/zarr.json")
    assert "a zip archive with 2 Zarr stores" in refusal(reader.open, tmp_path / "two.zip")
    for name in ("../evil", "/etc/evil", "a/../../evil", "..\\evil", "C:\\evil"):
        path = archive(tmp_path / "out.zip", source)
        with zipfile.ZipFile(path, "a") as made:
            made.writestr(name, "x")
        assert "leads out of the archive" in refusal(zipped_io.root_of, path), name
    bomb = archive(tmp_path / "bomb.zip", source, compression=zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as made:
        made.writestr("tasmax/zarr.json.d/.zattrs", b" " * (1 << 24) + b"{}")
    assert bomb.stat().st_size < 200_000
    assert (
        "zip entry 'tasmax/zarr.json.d/.zattrs' expands to 16,777,218 bytes, more than 16,777,216"
        in refusal(reader.open, bomb)
    )
    monkeypatch.setattr(zipped_io, "LARGEST_CHUNK", 100)
    assert "expands to" in refusal(reader.open, tmp_path / "whole.zip")


def test_a_chunk_that_would_fill_the_memory_is_refused(reader, tmp_path):
    """A few bytes of metadata may state chunks of any size, whose first value would take all of it."""
    source = folder(tmp_path / "x.zarr", 3)
    meta = source / "tasmax" / "zarr.json"
    text = meta.read_text()
    assert '"chunk_shape": [' in text.replace("\n", "")
    import json

    said = json.loads(text)
    said["chunk_grid"]["configuration"]["chunk_shape"] = [100_000, 20_000, 12]
    meta.write_text(json.dumps(said))
    expected = "a chunk of 'tasmax' has 96,000,000,000 bytes, more than 4,294,967,296"
    assert expected in refusal(reader.open, source)
    shutil.make_archive(str(tmp_path / "y"), "zip", source)
    assert expected in refusal(reader.open, tmp_path / "y.zip")
