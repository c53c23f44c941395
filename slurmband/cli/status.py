"""``slurmband status``: how far the band is."""

import sys
from typing import Any

import typer

from slurmband.cli.common import DEFAULT_DB, Db, Json, open_store, print_json
from slurmband.observe.status import status as look


def status(db: Db = DEFAULT_DB, as_json: Json = False) -> None:
    """Say how far the band is: tasks and workers, one count per state."""
    found = look(open_store(db))
    if as_json:
        print_json(found)
    else:
        sys.stdout.write("\n".join(_lines(found)) + "\n")


def _lines(found: dict[str, Any]) -> list[str]:
    tasks, workers = found["tasks"], found["workers"]
    lines = [
        f"database  {found['database']} (mode {found['mode']}, on {found['file_system']})",
        f"tasks     {_counts(tasks, always=('completed',))}",
        f"workers   {_counts(workers, always=('alive',))}",
    ]
    for row in found["submissions"]:
        name = row["array_job_id"] or "-"
        lines.append(f"array     {name} [{row['array']}] on {row['cluster']}, {row['status']}")
        if row["error"]:
            lines.append(f"          {row['error']}")
    if tasks["failed"] or tasks["killed"]:
        lines.append(
            "hint      `slurmband tasks --state failed` says why; `slurmband retry` resets."
        )
    if found["unservable"] and workers["alive"]:
        wanted = " or ".join(found["unservable"])
        lines.append(
            f"hint      ready tasks need {wanted}, which no live worker offers (--labels)."
        )
    if not workers["alive"] and (tasks["ready"] or tasks["running"]):
        lines.append("hint      no worker is alive: `slurmband reap-dead`, `slurmband submit`.")
    return lines


def _counts(counts: dict[str, int], *, always: tuple[str, ...]) -> str:
    shown = [
        f"{n} {name}" for name, n in counts.items() if name != "total" and (n or name in always)
    ]
    return f"{counts['total']}: " + ", ".join(shown)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)
