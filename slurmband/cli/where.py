"""``slurmband where``: where a task ran, or what runs in an element."""

import sys
from typing import Annotated

import typer

from slurmband.cli.common import (
    DEFAULT_DB,
    DEFAULT_FORMAT,
    WORDS,
    Db,
    Format,
    Json,
    open_store,
    show,
)
from slurmband.observe import maps


def where(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"A task, or where it may run: {WORDS}.")
    ],
    db: Db = DEFAULT_DB,
    as_json: Json = False,
    table_format: Format = DEFAULT_FORMAT,
) -> None:
    """Say where a task ran: element, raw job id, worker, node and log of every attempt.

    Of a worker, a node or an id of SLURM's: what runs there.
    """
    rows = maps.where(open_store(db), name)
    columns = ["task", "attempt", "outcome", "element", "job", "worker", "node", "log", "reason"]
    if rows and "attempt" not in rows[0]:
        columns = ["element", "job_id", "state", "worker", "node", "task", "log"]
        for row in rows:
            row["element"] = maps.element_id(row)
    show(rows, columns, as_json=as_json, table_format=table_format)
    errors = [row["error"] for row in rows if row.get("error")]
    if errors and not as_json:
        sys.stdout.write(f"\n{errors[-1]}")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(where)
