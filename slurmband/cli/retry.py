"""``slurmband retry``: tasks that failed, were killed or cancelled are tried again."""

import sys
from typing import Annotated

import typer

from slurmband.cli.common import DEFAULT_DB, Db, Json, named, open_store, plural, print_json
from slurmband.clock import SystemClock
from slurmband.errors import UsageError
from slurmband.liveness.notice import telling
from slurmband.store import interventions


def retry(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK]...",
            help="Which; none: all that failed or were killed.",
            show_default=False,
        ),
    ] = None,
    db: Db = DEFAULT_DB,
    as_json: Json = False,
) -> None:
    """Let failed and killed tasks be tried again, with whole budgets; unblock what waited.

    A cancelled task comes back where it is named.
    """
    store = open_store(db)
    with telling(store) as tx:
        reset = interventions.reset(tx, tasks or None, now=SystemClock().now())
        missing = sorted(set(tasks or ()) - set(reset))
        if missing:
            raise UsageError(
                f"{named(missing)}: no such task, or it neither failed nor was killed or cancelled. "
                "Nothing was reset. `slurmband tasks` lists states."
            )
    if as_json:
        print_json({"reset": reset})
    else:
        sys.stdout.write(f"{plural(len(reset), 'task')} to be tried again.\n")
        if reset:
            sys.stdout.write(
                "Workers that wait take them up; with none, run `slurmband submit` again.\n"
            )


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(retry)
