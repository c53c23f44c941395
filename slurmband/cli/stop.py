"""``slurmband stop``: let workers leave, through the database."""

import secrets
import sys
from typing import Annotated

import typer

from slurmband.cli.common import DEFAULT_DB, Db, Json, Only, open_store, plural, print_json
from slurmband.domain.workers import Stop
from slurmband.liveness.notice import Notice, telling
from slurmband.observe import maps
from slurmband.store import stopping


def stop(
    only: Only = None,
    now: Annotated[
        bool,
        typer.Option("--now", help="Not after the task in hand: it is handed back, uncharged."),
    ] = False,
    db: Db = DEFAULT_DB,
    as_json: Json = False,
) -> None:
    """Let workers leave after the task in hand; all of them, or those of some elements.

    A task's name stands for the worker that is in it now.
    Without a name it holds for elements that have not started yet, too, and for arrays that continue
    themselves, until the next `slurmband submit`.
    """
    store = open_store(db)
    how = Stop.NOW if now else Stop.DRAIN
    rows = maps.workers(store, only=only or [], in_it=True)
    names = [row["worker"] for row in rows if row["state"] == "alive"]
    with telling(store) as tx:
        asked = stopping.stop(tx, names, how)
        if not only:
            stopping.stop_all(tx, how)
    Notice(store.layout.stop).write(secrets.token_hex(8))
    if as_json:
        print_json({"how": how.value, "workers": asked})
        return
    when = "now" if now else "after the task in hand"
    sys.stdout.write(f"{plural(len(asked), 'worker')} asked to leave {when}.\n")
    if not only:
        sys.stdout.write(
            "Elements that start later leave at once, until the next `slurmband submit`; `scancel` "
            "takes them out of the queue.\n"
        )


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(stop)
