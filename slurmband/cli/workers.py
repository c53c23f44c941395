"""``slurmband workers``: every incarnation, where it runs, and what it holds."""

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


def workers(
    only: Only = None,
    db: Db = DEFAULT_DB,
    as_json: Json = False,
    table_format: Format = DEFAULT_FORMAT,
) -> None:
    """List workers: where each runs, what it holds, and how it ended."""
    rows = maps.workers(open_store(db), only=only or [])
    columns = ("worker", "state", "job", "node", "pid", "tasks", "completed", "started", "reason")
    show(rows, columns, as_json=as_json, table_format=table_format)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(workers)
