"""``slurmband jobs``: every array element, its two ids, and the worker in it."""

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


def jobs(
    only: Only = None,
    db: Db = DEFAULT_DB,
    as_json: Json = False,
    table_format: Format = DEFAULT_FORMAT,
) -> None:
    """List array elements: both ids, the worker in each, its node, its task and its log."""
    rows = maps.jobs(open_store(db), only=only or [])
    for row in rows:
        row["element"] = maps.element_id(row)
    columns = ("element", "job_id", "state", "restarts", "worker", "node", "task", "log")
    show(rows, columns, as_json=as_json, table_format=table_format)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(jobs)
