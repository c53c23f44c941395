"""``slurmband prune``: forget old history, and make the database smaller."""

import dataclasses
import sys
from typing import Annotated

import typer

from slurmband.cli.common import DEFAULT_DB, Db, Json, open_store, plural, print_json
from slurmband.locks.leftovers import remove_leftovers
from slurmband.store import pruning


def prune(
    keep_latest: Annotated[
        int, typer.Option(min=1, metavar="N", help="History rows to keep of each task.")
    ] = pruning.KEEP_LATEST,
    keep_events: Annotated[
        int, typer.Option(min=0, metavar="N", help="Events to keep.")
    ] = pruning.KEEP_EVENTS,
    keep_attempts: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Ended attempts to keep of each task, besides its newest completion; all if not given.",
            show_default=False,
        ),
    ] = None,
    db: Db = DEFAULT_DB,
    as_json: Json = False,
) -> None:
    """Forget old history and events, and make the database smaller.

    Nothing changes for any task: states, dependencies and attempts stay. Lock files of processes that
    are provably dead go as well, and database files of generations that are over. This is done by itself
    when a band has nothing left to do.
    """
    store = open_store(db)
    with store.transaction() as tx:
        pruned = pruning.prune(
            tx.connection,
            keep_latest=keep_latest,
            keep_events=keep_events,
            keep_attempts=keep_attempts,
        )
    locks = [file.name for file in remove_leftovers(store.layout.locks)]
    generations = [file.name for file in store.remove_old_generations()]
    if as_json:
        print_json(dataclasses.asdict(pruned) | {"locks": locks, "generations": generations})
    else:
        sys.stdout.write(
            f"{plural(pruned.statuses, 'history row')}, {plural(pruned.events, 'event')} and "
            f"{plural(pruned.attempts, 'attempt')} pruned.\n"
        )
        if locks:
            sys.stdout.write(f"{plural(len(locks), 'lock file')} of dead processes removed.\n")
        if generations:
            sys.stdout.write(f"{plural(len(generations), 'old generation')} removed.\n")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(prune)
