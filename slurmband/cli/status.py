"""``slurmband status``: how far the band is."""

import json
import sys
from typing import Annotated, Any

import typer

from slurmband.cli.common import DEFAULT_DB, Db, Json, open_store, plural, print_json
from slurmband.observe.status import status as look

Now = Annotated[
    bool,
    typer.Option(
        "--now", help="Count in the database itself, also if its workers must wait for it."
    ),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say also what SLURM was asked, and how often.")
]


def status(
    db: Db = DEFAULT_DB, now: Now = False, verbose: Verbose = False, as_json: Json = False
) -> None:
    """Say how far the band is: tasks and workers, one count per state.

    Of a database in shared mode this reads what its workers published last, and takes no lock.
    """
    found = look(db, open_store=open_store, now=now)
    if as_json:
        print_json(found)
    else:
        sys.stdout.write("\n".join(_lines(found, verbose=verbose)) + "\n")


def _lines(found: dict[str, Any], *, verbose: bool) -> list[str]:
    tasks, workers = found["tasks"], found["workers"]
    where = f"mode {found['mode']}, on {found['file_system']}"
    if found["generation"] not in (None, 1):
        where += f", generation {found['generation']}"
    lines = [
        f"database  {found['database']} ({where})",
        *([f"as of     {found['as_of']}"] if found["as_of"] else []),
        *([f"graph     growing, {_producer(found)}"] if found["growing"] else []),
        f"tasks     {_counts(tasks, always=('completed',))}",
        f"workers   {_counts(workers, always=('alive',))}",
    ]
    for row in found["submissions"]:
        name = row["array_job_id"] or "-"
        state = "" if row["status"] == "queued" else f", {row['status']}"
        lines.append(f"array     {name} [{row['array']}] submitted to {row['cluster']}{state}")
        if row["error"]:
            lines.append(f"          {' '.join(row['error'].split())}")
    if verbose:
        lines += [
            f"asked     {row['command']} {plural(row['n'], 'time')}, last at {row['asked']}"
            for row in found["questions"]
        ] or ["asked     SLURM was asked nothing"]
    return lines + [f"hint      {hint}" for hint in _hints(found)]


def _hints(found: dict[str, Any]) -> list[str]:
    """Say what stands in the way, and what to do."""
    tasks, workers, hints = found["tasks"], found["workers"], []
    ended = [state for state in ("failed", "killed") if tasks[state]]
    if ended:
        states = " ".join(f"--state {state}" for state in ended)
        hints.append(f"`slurmband tasks {states}` says why; `slurmband retry` resets.")
    labels = [" ".join(json.loads(wanted)) for wanted in found["unservable"]]
    if any(labels):
        needed = " or ".join(filter(None, labels))
        how = "slurmband recover" if ">=" in needed else "slurmband submit --labels ..."
        hints.append(f"ready tasks need a worker with {needed}: `{how}`.")
    if not workers["alive"] and (tasks["ready"] or tasks["running"] or found["growing"]):
        hints.append("no worker is alive: `slurmband reap-dead`, then `slurmband submit` again.")
    if found["unexplained"] and not workers["alive"]:
        lost = plural(found["unexplained"], "worker")
        hints.append(f"`slurmband reap-dead` asks SLURM again why {lost} died.")
    if found["unsafe_options"]:
        options = ", ".join(found["unsafe_options"])
        hints.append(
            f"this file system is mounted with {options}: locks may not reach other nodes."
        )
    return hints


def _producer(found: dict[str, Any]) -> str:
    return f"producer {found['producer']}" if found["producer"] else "no producer now"


def _counts(counts: dict[str, int], *, always: tuple[str, ...]) -> str:
    shown = [
        f"{n} {name}" for name, n in counts.items() if name != "total" and (n or name in always)
    ]
    return f"{counts['total']}: " + ", ".join(shown)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)
