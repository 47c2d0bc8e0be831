"""Help and error lines of the commands: their own options by name, and nothing that acts on a terminal."""

import re

import numpy as np
import pytest

from convoy.cli.app import app
from convoy.core import artifact
from tests.cli.test_app import invoke, refused
from tests.support import downscaled, gridfiles
from tests.support.downscaled import variables
from tests.support.tiny import write_model


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write_model(tmp_path / "model", "textcnn", ["a tale of two cats the road"])
    (tmp_path / "items.csv").write_text("item_id,title,description\ns1,A tale,of two cats\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def grids(tmp_path, monkeypatch):
    """Coarse days, and the model `ridge` that downscales them."""
    monkeypatch.chdir(tmp_path)
    place = downscaled.climate()[0]
    artifact.write(tmp_path / "ridge", *downscaled.trained("ridge", place), None)
    return place.at(slice(0, 40))


def test_what_does_not_print_is_shown_escaped(folder):
    (folder / "columns.csv").write_text('item_id,name,"syn\x1b[31m\nopsis"\n1,a,b\n')
    line = refused("embed", "columns.csv", "out", "--model", "model")
    assert "its columns are item_id, name, syn\\x1b[31m opsis (delimiter: a comma, encoding: UTF-8); " in line
    (folder / "ids.csv").write_text('item_id,title,synopsis\n"\x1b[31m\n",a,b\n"\x1b[31m\n",c,d\n')
    line = refused("embed", "ids.csv", "out", "--model", "model")
    assert line == (
        "convoy: ids.csv: ids given twice: '\\x1b[31m\\n' (rows 1 and 2); give every item its own\n"
    )


def test_columns_are_an_option_where_a_stage_has_a_param(folder):
    line = refused("embed", "items.csv", "out", "--model", "model", "--columns=title=name")
    assert line.endswith("; name the right ones in --columns\n")
    line = refused("embed", "items.csv", "out", "--model", "model", "--columns=name=title")
    assert line == ("convoy: --columns: unknown key 'name'; expected item_id, title, synopsis, category\n")


def test_how_a_catalogue_is_written_is_an_option_where_a_stage_has_a_param(folder):
    (folder / "latin.csv").write_bytes("item_id;title;synopsis\ns1;caf\xe9;a tale\n".encode("latin-1"))
    given = ("embed", "latin.csv", "out", "--model", "model")
    assert "set --encoding, for example to windows-1252" in refused(*given)
    assert refused(*given, "--encoding=utf9") == (
        'convoy: --encoding: no encoding of that name; found "utf9"\n'
    )
    assert "convoy: --delimiter: " in refused(*given, "--encoding=latin-1", "--delimiter=no")
    assert "convoy: --quotes: " in refused(*given, "--encoding=latin-1", "--quotes=single")
    done = invoke(*given, "--encoding=latin-1", "--delimiter=;", "--quotes=doubled")
    assert done.exit_code == 0, done.output


def test_what_a_catalogue_lacks_is_said(folder):
    (folder / "titles.csv").write_text("show_id,title\ns1,A tale\ns2,two cats\n")
    done = invoke("embed", "titles.csv", "out", "--model", "model")
    assert "column 'show_id' looks like ids: if so, map item_id to it" in done.stderr
    assert "no column 'synopsis' among show_id, title: the texts are the titles alone" in done.stderr
    done = invoke("embed", "titles.csv", "out2", "--model", "model", "--columns=item_id=show_id")
    assert "looks like ids" not in done.stderr


USAGE = {
    "embed": "CATALOGUE OUT",
    "accept": "PATH",
    "versions": "STORE",
    "neighbours": "PATH [ITEM_ID]",
    "downscale": "IN... OUT",
    "explain": "IN...",
    "publish": "",
    "promote": "[VERSION]",
    "rollback": "",
    "lineage": "PATH_OR_URI",
    "dashboard": "",
}


def test_usage_names_the_arguments_as_the_help_does():
    listed = invoke("--help").stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == list(USAGE)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)
    for command, arguments in USAGE.items():
        text = invoke(command, "--help").stdout
        usage = text.splitlines()[0].partition(f" {command} ")[2]
        assert usage == f"[OPTIONS] {arguments}".rstrip()
        for name in arguments.replace("[", "").replace("]", "").split():
            assert f"\n  {name} " in text
        assert "list[" not in text
        assert "<path>" not in text


def test_params_of_stages_are_options_and_what_does_not_print_is_escaped(grids):
    def line(name, *options, units="Pa"):
        written = variables(grids)
        held = written["psl"]
        written["psl"] = (held[0], held[1], {"units": units})
        gridfiles.write(name, written)
        return refused("downscale", name, "out.nc", "--model", "ridge", *options)

    assert line("odd.nc", units="\x1b[31m\nPa") == (
        "convoy: odd.nc: variable 'psl' states the units '\\x1b[31m\\nPa'; expected one of Pa, hPa, kPa; "
        "set them: --units psl=...\n"
    )
    assert line("odd.nc", "--units=psl=metres") == (
        "convoy: --units psl: expected one of Pa, hPa, kPa; found 'metres'\n"
    )
    written = variables(grids)
    written["plev"] = (("plev",), np.array([850.0, 500.0]), {"units": "hPa"})
    dims, values, stated = written["tasmax"]
    written["tasmax"] = (("plev", *dims), np.stack([values, values]), stated)
    gridfiles.write("levels.nc", written)
    assert refused("downscale", "levels.nc", "out.nc", "--model", "ridge") == (
        "convoy: levels.nc: variable 'tasmax' has 2 values along 'plev'; expected time, latitude and "
        "longitude alone: choose one of them first\n"
    )


def test_every_command_shows_an_example():
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.callback.__name__
        help_text = invoke(name, "--help").stdout
        assert re.search(rf"Example:\n    convoy {name}\s", help_text)
