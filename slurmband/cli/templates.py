"""``slurmband templates``: the sbatch templates, listed and printed."""

import sys
from typing import Annotated

import typer

from slurmband.cli.common import DEFAULT_FORMAT, Format, Json, show
from slurmband.slurm import templates as found

app = typer.Typer(help="List the sbatch templates, or print one to copy and change.")


@app.callback(invoke_without_command=True)
def listing(
    context: typer.Context, as_json: Json = False, table_format: Format = DEFAULT_FORMAT
) -> None:
    """List the sbatch templates."""
    if context.invoked_subcommand is None:
        rows = [{"name": template.name, "for": template.summary} for template in found.shipped()]
        show(rows, ("name", "for"), as_json=as_json, table_format=table_format)


@app.command("show")
def show_one(name: Annotated[str, typer.Argument(help="Name of a template, or a path.")]) -> None:
    """Print one template."""
    sys.stdout.write(found.find(name).text)


def add_to(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="templates")
