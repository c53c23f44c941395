"""``slurmband recover``: the submissions that what is left needs."""

import shlex
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from slurmband.cli.common import DEFAULT_DB, Db, Json, open_store, plural, print_json
from slurmband.clock import SystemClock
from slurmband.liveness.inquiry import counted
from slurmband.observe.recovery import Need, needed
from slurmband.store.file import path_of


def recover(
    submit: Annotated[
        bool, typer.Option("--submit", help="Queue them, too; as it is, they are only printed.")
    ] = False,
    db: Db = DEFAULT_DB,
    as_json: Json = False,
) -> None:
    """Say what to submit for tasks that no live worker can do: more memory, more time, other labels.

    Each is like the last submission, with what these tasks require. Where an array that offers it is
    pending, nothing is submitted. Retry what failed first: `slurmband retry`.
    """
    store = open_store(db)
    needs = needed(store, run=counted(store, SystemClock().now))
    if as_json:
        print_json([asdict(need) for need in needs])
    elif not needs:
        sys.stdout.write("Nothing is left that the workers who are there could not do.\n")
    file = str(path_of(db))
    for need in needs:
        if not as_json:
            sys.stdout.write(f"{_comment(need)}\n")
            sys.stdout.write("" if need.queued else f"{_line(need, db)}\n")
            sys.stdout.flush()
        if submit and not need.queued:
            words = [sys.executable, "-m", "slurmband", "submit", "--db", file, *need.words]
            done = subprocess.run(words, check=False, cwd=need.directory)
            if done.returncode != 0:
                raise typer.Exit(done.returncode)


def _comment(need: Need) -> str:
    """Say what is left, and whether that is to be waited for."""
    wanted = ", ".join(need.requirements) or "any worker"
    arrays = ", ".join(map(str, need.queued))
    waits = f": queued for them, and pending: {arrays}" if arrays else ""
    return f"# {plural(need.tasks, 'task')} for {wanted}{waits}"


def _line(need: Need, db: str) -> str:
    """Write what a person is to say here."""
    here = Path.cwd() == Path(need.directory)
    words = ["slurmband", "submit", "--db", db if here else str(path_of(db)), *need.words]
    return ("" if here else f"cd {shlex.quote(need.directory)} && ") + shlex.join(words)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(recover)
