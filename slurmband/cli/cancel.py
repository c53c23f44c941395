"""``slurmband cancel``: tasks that are no longer wanted."""

import sys
from typing import Annotated

import typer

from slurmband.cli.common import DEFAULT_DB, Db, Json, named, open_store, plural, print_json
from slurmband.clock import SystemClock
from slurmband.errors import UsageError
from slurmband.liveness.notice import telling
from slurmband.store import interventions


def cancel(
    tasks: Annotated[list[str], typer.Argument(metavar="TASK...", show_default=False)],
    db: Db = DEFAULT_DB,
    as_json: Json = False,
) -> None:
    """Give up tasks that have not completed; what depends on them is blocked.

    A worker that is in one of them goes on until it reports, which then changes nothing.
    `slurmband retry TASK` takes it back.
    """
    store = open_store(db)
    with telling(store) as tx:
        cancelled = interventions.cancel(tx, tasks, now=SystemClock().now())
        missing = sorted(set(tasks) - set(cancelled))
        if missing:
            raise UsageError(
                f"{named(missing)}: no such task, or it has completed or is cancelled already. Nothing "
                "was cancelled. `slurmband tasks` lists states; `scancel` ends SLURM's jobs."
            )
    if as_json:
        print_json({"cancelled": cancelled})
    else:
        sys.stdout.write(f"{plural(len(cancelled), 'task')} cancelled.\n")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(cancel)
