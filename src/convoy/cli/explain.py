"""`convoy explain`: images in, their classes and where the network looks out."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convoy.cli.options import MODEL, stored_model
from convoy.cli.outputs import naming, without_new_parents
from convoy.core import threads
from convoy.core.errors import ConvoyError
from convoy.core.printable import one_line
from convoy.core.stage import guarded

if TYPE_CHECKING:
    from convoy.climate.events.inputs_io import Inputs
    from convoy.climate.events.judging import Judge, Judged

EXAMPLE = """\b
Example:
  convoy explain map.nc --model data/climate/events/models/simple_cnn
  convoy explain photo1.jpg photo2.png --out overlays --model models:/climate-events@champion
"""


def explain(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN...",
            help="Pictures (JPEG, PNG, WebP), or NetCDF files with a variable per channel, as the model was "
            "trained on.",
        ),
    ],
    model: Annotated[
        str, typer.Option(metavar=MODEL, help="A model folder, or models:/climate-events@champion.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of the overlays; the default is next to each input."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace overlays that are there already.")] = False,
) -> None:
    """Print the class of images and draw where the network looks.

    The overlay of NAME is NAME-explained.png.
    """
    raise typer.Exit(guarded(lambda: _explain(images, model, out, force)))


def _explain(paths: list[Path], model: str, out: Path | None, force: bool) -> None:
    threads.sleep_soon()
    threads.keep_memory()
    from convoy.climate.data.netcdf import Reader
    from convoy.climate.events.inputs_io import read_inputs
    from convoy.climate.events.judging import Judge

    with naming(out or Path("."), "folder", *paths, Path(model)), Reader() as reader:
        judge = Judge(stored_model(model)[0])
        read = [read_inputs(path, judge.channels, judge.units, judge.edges, reader) for path in paths]
        targets = [
            [_target(path, name, out) for name in inputs.names]
            for path, inputs in zip(paths, read, strict=True)
        ]
        _check_targets([target for group in targets for target in group], force)
        # All before the first overlay is written: images of huge values are refused here.
        verdicts = [judge(inputs.values) for inputs in read]
        for inputs, judged, group in zip(read, verdicts, targets, strict=True):
            pictures = _pictures(judge, inputs, judged)
            for target, picture, line in zip(group, pictures, _lines(inputs, judged), strict=True):
                with without_new_parents(target):
                    _write(target, picture)
                print(one_line(f"{line}  {target}"), flush=True)


def _target(path: Path, name: str, out: Path | None) -> Path:
    return Path(os.path.realpath(out or path.parent)) / f"{name}-explained.png"


def _check_targets(targets: list[Path], force: bool) -> None:
    """Refuse names that are taken before anything is computed or written."""
    seen: set[Path] = set()
    for target in targets:
        if target in seen:
            raise ConvoyError("two inputs have this overlay", path=target, hint="name them in two runs")
        seen.add(target)
        if target.exists() and not force:
            raise ConvoyError(
                "is there already", path=target, hint="name another folder with --out, or use --force"
            )


def _lines(inputs: "Inputs", judged: "Judged") -> list[str]:
    rows = zip(inputs.names, judged.names, judged.probability, strict=True)
    return [f"{name}: {label}, probability {probability:.3f}" for name, label, probability in rows]


def _pictures(judge: "Judge", inputs: "Inputs", judged: "Judged") -> list[bytes]:
    from convoy.report.overlays import Explained, overlays
    from convoy.report.themes import LIGHT

    importance = judge.importance(inputs.values, judged)
    titles = [
        f"{name.replace('_', ' ')}, {p:.0%}" for name, p in zip(judged.names, judged.probability, strict=True)
    ]
    return [
        overlays([Explained(title, values, own)], judge.channels, LIGHT)
        for title, values, own in zip(titles, inputs.values, importance, strict=True)
    ]


def _write(target: Path, picture: bytes) -> None:
    from convoy.core.files import atomic_file

    with atomic_file(target) as partial:
        partial.write_bytes(picture)
