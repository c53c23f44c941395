"""``slurmband events``: what happened, in order, and what happens now."""

import json
import sys
import time
from typing import Annotated, Any

import typer

from slurmband.cli.common import DEFAULT_DB, DEFAULT_FORMAT, Db, Format, Json, open_store, show
from slurmband.errors import UsageError
from slurmband.observe import events as log
from slurmband.store import listings
from slurmband.store.database import Store


def events(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TASK]...", help="Only of these tasks.", show_default=False),
    ] = None,
    last: Annotated[
        int, typer.Option("--last", "-n", min=0, metavar="N", help="The newest N.")
    ] = 20,
    since: Annotated[
        int | None,
        typer.Option("--since", metavar="SEQUENCE", help="All that came after this number."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on printing what happens, until Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How often --follow looks.")
    ] = 2.0,
    db: Db = DEFAULT_DB,
    as_json: Json = False,
    table_format: Format = DEFAULT_FORMAT,
) -> None:
    """List events: what became of tasks, workers that came and went, graphs that were registered.

    With --follow, --json prints one object per line.
    """
    store = open_store(db)
    _check(store, tasks)
    found = log.newest(store, last, tasks=tasks) if since is None else None
    rows = list(log.since(store, since or 0, tasks=tasks)) if found is None else found
    if not follow:
        show(rows, _COLUMNS, as_json=as_json, table_format=table_format)
        return
    _follow(store, rows, tasks, since=since or 0, every=every, as_json=as_json)


_COLUMNS = ("sequence", "time", "event", "task", "state", "worker", "attempt", "detail")


def _check(store: Store, tasks: list[str] | None) -> None:
    with store.read() as tx:
        missing = [name for name in tasks or () if listings.task_row(tx, name) is None]
    if missing:
        raise UsageError(f"no task {missing[0]!r} here. `slurmband tasks` lists them.")


def _follow(
    store: Store,
    rows: list[dict[str, Any]],
    tasks: list[str] | None,
    *,
    since: int,
    every: float,
    as_json: bool,
) -> None:
    while True:
        for row in rows:
            sys.stdout.write(json.dumps(row) + "\n" if as_json else _line(row))
            since = row["sequence"]
        sys.stdout.flush()
        time.sleep(every)
        rows = list(log.since(store, since, tasks=tasks))


def _line(row: dict[str, Any]) -> str:
    """Write one event on a line of its own; columns cannot be measured while more is to come."""
    what = f"{row['event']:<10}"
    attempt = f" attempt {row['attempt']}" if row["attempt"] else ""
    subject = f" {row['task']}{attempt} -> {row['state']}" if row["task"] else ""
    who = f" [{row['worker']}]" if row["worker"] else ""
    detail = f" {row['detail']}" if row["detail"] else ""
    return f"{row['sequence']:>6} {row['time']} {what}{subject}{who}{detail}\n"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(events)
