"""``slurmband tasks``: every task, and where its newest attempt ran."""

from typing import Annotated

import typer

from slurmband.cli.common import (
    DEFAULT_DB,
    DEFAULT_FORMAT,
    Db,
    Format,
    Json,
    Only,
    open_store,
    show,
)
from slurmband.observe import maps


def tasks(
    only: Only = None,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", "-s", help="Only tasks in this state; may be given several times."),
    ] = None,
    db: Db = DEFAULT_DB,
    as_json: Json = False,
    table_format: Format = DEFAULT_FORMAT,
) -> None:
    """List tasks: state, attempts, and where the newest attempt ran."""
    rows = maps.tasks(open_store(db), states=state, only=only or [])
    columns = ("id", "state", "attempts", "worker", "job", "node", "started", "ended", "reason")
    show(rows, columns, as_json=as_json, table_format=table_format)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tasks)
