"""``slurmband where``: where a task ran, or what runs in an element."""

import sys
from typing import Annotated

import typer

from slurmband.cli.common import DEFAULT_DB, DEFAULT_FORMAT, Db, Format, Json, open_store, show
from slurmband.errors import UsageError
from slurmband.observe import maps


def where(
    name: Annotated[
        str, typer.Argument(metavar="TASK", help="A task, or an id of SLURM's: 36_1, 36, a raw id.")
    ],
    db: Db = DEFAULT_DB,
    as_json: Json = False,
    table_format: Format = DEFAULT_FORMAT,
) -> None:
    """Say where a task ran: element, raw job id, worker, node and log of every attempt."""
    store = open_store(db)
    columns = ["task", "attempt", "outcome", "element", "job", "worker", "node", "log", "reason"]
    try:
        rows = maps.where(store, name)
    except UsageError as no_task:
        try:
            rows = maps.jobs(store, only=[name])  # perhaps an element
        except UsageError:
            raise no_task from None
        for row in rows:
            row["element"] = maps.element_id(row)
        columns = ["element", "job_id", "state", "worker", "node", "task", "log"]
    show(rows, columns, as_json=as_json, table_format=table_format)
    errors = [row["error"] for row in rows if row.get("error")]
    if errors and not as_json:
        sys.stdout.write(f"\n{errors[-1]}")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(where)
