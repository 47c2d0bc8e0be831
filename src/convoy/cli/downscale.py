"""`convoy downscale`: daily coarse fields in, a NetCDF file of fine fields out."""

import os
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from convoy.cli.options import MODEL, in_place_of_params, pairs, stored_model
from convoy.cli.outputs import naming, without_new_parents
from convoy.cli.progress import progress
from convoy.core import threads
from convoy.core.errors import ConvoyError, Param
from convoy.core.printable import one_line
from convoy.core.stage import guarded

if TYPE_CHECKING:
    from convoy.climate.data.netcdf import Reader

EXAMPLE = """\b
Example:
  convoy downscale cesm.nc fine.nc \\
    --model data/climate/models/residual \\
    --variables tasmax=TREFHTMX,psl=PSL,huss=QREFHT
  convoy downscale tasmax_*.nc psl_*.nc huss_*.nc fine.nc \\
    --model models:/climate-downscaling@champion
"""

Compression: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="LEVEL",
        min=0,
        max=9,
        help="zlib level of OUT's fields, without loss: 0 for none; above 1 little smaller, and slower.",
    ),
]


def downscale(
    # Not required, as far as the parser knows: it gives a single name to OUT, and would miss an IN.
    coarse: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN...",
            default_factory=list,
            show_default=False,
            help="One or more NetCDF files or Zarr stores (also zipped) of daily coarse fields. Each may "
            "hold some of the variables and some of the days.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The NetCDF-4 file to write (CF-1.11).")],
    model: Annotated[
        str, typer.Option(metavar=MODEL, help="A model folder, or models:/climate-downscaling@champion.")
    ],
    orography: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file of surface heights on the fine grid to write, where that is not the grid that the "
            "model was trained on.",
        ),
    ] = None,
    variables: Annotated[
        str,
        typer.Option(
            metavar="OURS=THEIRS,…",
            help="Variables with other names in the files: tasmax=TREFHTMX,… for TREFHTMX as tasmax.",
        ),
    ] = "",
    units: Annotated[
        str,
        typer.Option(
            metavar="OURS=UNITS,…",
            help="Units of variables for which the files state none or wrong ones: tasmax=degC,…",
        ),
    ] = "",
    mask: Annotated[
        bool,
        typer.Option(
            "--mask/--no-mask",
            help="Leave the cells empty that had no true value in training, such as the sea of a land-only "
            "data set; --no-mask extends the fields to them.",
        ),
    ] = True,
    compression: Compression = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if this command wrote it.")] = False,
) -> None:
    """Downscale daily coarse fields to a fine grid.

    The files may be larger than memory: days are read in blocks.
    """
    raise typer.Exit(
        guarded(lambda: _downscale(coarse, out, model, orography, variables, units, mask, compression, force))
    )


def _downscale(
    coarse: list[Path], out: Path, model: str, orography: Path | None, variables: str, units: str, mask: bool,
    compression: int, force: bool,
) -> None:  # fmt: skip
    if not coarse:
        raise ConvoyError(f"OUT is missing: name the file to write after {out}")
    threads.sleep_soon()
    threads.keep_memory()
    from convoy.climate.data.netcdf import Reader
    from convoy.climate.downscaling.inference.files import Application, attributes, inputs_side, settings
    from convoy.climate.downscaling.inference.io import write
    from convoy.climate.downscaling.inference.surface import heights_of, surface_for

    names = pairs("--variables", variables, "tasmax=tx"), pairs("--units", units, "tasmax=degC")
    read = [*coarse, Path(model), *([] if orography is None else [orography])]
    with naming(out, "file", *read), in_place_of_params(_option), Reader() as reader:
        out = Path(os.path.realpath(out))
        _check_out(out, read, force, reader)
        stored, digest = stored_model(model)
        given, files = settings(*names), [reader.open(path) for path in coarse]
        inputs = inputs_side(files, stored, given)
        heights = None if orography is None else heights_of(reader.open(orography), given)
        applied = Application(stored, inputs, surface_for(stored, inputs, heights), not mask)
        of_file = attributes(files, stored, version("convoy"), digest)
        with without_new_parents(out), progress("days") as report:
            write(
                out, applied.grid, applied.days, applied.variables, of_file, applied.parts(report),
                applied.remarks, compression,
            )  # fmt: skip
    for warning in applied.warnings():
        print(f"convoy: warning: {one_line(warning)}", file=sys.stderr)
    print(one_line(applied.summary()))


def _option(param: Param) -> str:
    """The option in place of a param; empty where the command has none."""
    from convoy.climate.data.variables import SECTION

    options = {"name": "--variables", "units": "--units"}
    match param.keys:
        case _ if param.section != SECTION:
            return ""
        case (variable, key):
            if key not in options:
                return ""
            return f"{options[key]} {variable}" + (f"={param.value}" if param.value else "")
        case _:
            return options["name"]


def _check_out(out: Path, inputs: list[Path], force: bool, reader: "Reader") -> None:
    from convoy.climate.downscaling.inference.files import is_downscaled

    for path in map(os.path.realpath, inputs):
        if Path(path) in (out, *out.parents):
            raise ConvoyError(
                f"would overwrite or change {path}, which is read", path=out, hint="name another file"
            )
    if not out.exists():
        return
    if not force:
        raise ConvoyError("is there already", path=out, hint="name another file, or replace it with --force")
    with suppress(ConvoyError):  # a file that cannot be read was not made by this command
        if is_downscaled(reader.open(out)):
            return
    # Where OUT was forgotten, this is the last of several inputs.
    raise ConvoyError("--force replaces what this command has made, and this is something else", path=out)
