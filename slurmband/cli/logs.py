"""``slurmband logs``: what a task printed, or a worker."""

import itertools
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Final

import typer

from slurmband.cli.common import DEFAULT_DB, WORDS, Db, Json, open_store, print_json
from slurmband.cli.log_printer import Printer
from slurmband.observe import logs as found_in
from slurmband.observe.stretches import Stretch

#: With --follow the database is asked at every so many looks at the logs.
LOOKS: Final = 5
#: Looks that a log may take to reach this machine, after what wrote to it ended.
LATE: Final = 30
#: Looks at a worker's whole log after the worker left: its last words come after that is recorded.
LAST_WORDS: Final = 3


def logs(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help=f"Tasks, or {WORDS}.")],
    attempt: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Of a task: this attempt; the newest that was begun if not given.",
            show_default=False,
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on until the attempt ends; wait until it begins."),
    ] = False,
    tail: Annotated[
        int | None,
        typer.Option(
            "--tail", "-n", min=0, metavar="N", help="Only the last N lines.", show_default=False
        ),
    ] = None,
    path: Annotated[
        bool,
        typer.Option("--path", help="Print only where it stands: begin, end (in bytes) and file."),
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How often --follow looks.")
    ] = 1.0,
    db: Db = DEFAULT_DB,
    as_json: Json = False,
) -> None:
    """Print what a task printed: its part of its worker's log.

    Of workers, nodes and SLURM's ids the whole logs. Several logs are printed under a header each.
    """
    store = open_store(db)
    find = partial(found_in.find, store, names, attempt=attempt)
    if as_json or path:
        (_print_json if as_json else _print_places)(find())
        return
    printer = Printer(store.layout.journals, lines=tail)
    printer.take(find(patient=follow))
    printer.print()
    if follow:
        _follow(find, printer, every=every)
    printer.conclude()


def _print_json(stretches: Sequence[Stretch]) -> None:
    print_json([stretch.row() for stretch in stretches])


def _print_places(stretches: Sequence[Stretch]) -> None:
    for stretch in stretches:
        if stretch.fault is not None:
            sys.stderr.write(f"note: {stretch.fault}\n")
        if stretch.log is not None:
            numbers = ("-" if n is None else str(n) for n in (stretch.begin, stretch.end))
            sys.stdout.write("\t".join([*numbers, stretch.log]) + "\n")


def _follow(find: Callable[..., list[Stretch]], printer: Printer, *, every: float) -> None:
    """Print what comes, until nothing more can; what is still under way is waited for a little."""
    late = 0
    if printer.waits:
        sys.stderr.write("note: it has not begun yet; waiting for it (Ctrl-C ends this).\n")
    for look in itertools.count(1):
        late += not printer.grows
        enough = LAST_WORDS if printer.has_whole_logs else 0
        if late > LATE or (late > enough and printer.is_complete):
            return
        time.sleep(every)
        if look % LOOKS == 0:
            printer.take(find(known=printer.attempts, patient=True))
        printer.print()


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(logs)
