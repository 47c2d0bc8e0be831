"""The `convoy` command: its subcommands in the order in which `convoy --help` lists them."""

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from convoy.cli import accept, dashboard, downscale, embed, explain, neighbours, registry, versions

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)


class _Command(TyperCommand):
    """A command that shows its arguments by name alone, as in `IN... OUT`, in its usage line and its help."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        param: Any
        for param in self.params:
            if param.param_type_name == "argument":
                # Typer would add the Python type, such as <list[Path]>.
                param.display_type_rich = lambda ctx: None  # noqa: ARG005

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        arguments = [param for param in self.get_params(ctx) if param.param_type_name == "argument"]
        # Of an argument that takes several values one at least has to be given.
        needed = {param.metavar: param.required or param.nargs == -1 for param in arguments}
        return ["[OPTIONS]", *(f"{name}" if must else f"[{name}]" for name, must in needed.items())]


for _function, _epilog in (
    (embed.embed, embed.EXAMPLE),
    (accept.accept, accept.EXAMPLE),
    (versions.versions, versions.EXAMPLE),
    (neighbours.neighbours, neighbours.EXAMPLE),
    (downscale.downscale, downscale.EXAMPLE),
    (explain.explain, explain.EXAMPLE),
    (registry.publish, registry.PUBLISH_EXAMPLE),
    (registry.promote, registry.PROMOTE_EXAMPLE),
    (registry.rollback, registry.ROLLBACK_EXAMPLE),
    (registry.lineage, registry.LINEAGE_EXAMPLE),
    (dashboard.dashboard, dashboard.EXAMPLE),
):
    app.command(cls=_Command, epilog=_epilog)(_function)


def main() -> None:
    """Run the command line."""
    app(prog_name="convoy")


@app.callback(invoke_without_command=True)
def _convoy(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Embed catalogues, downscale climate data and explain images with stored models, and manage versions."""
    if show_version:
        print(f"convoy {version('convoy')}")
        raise typer.Exit


if __name__ == "__main__":
    main()
