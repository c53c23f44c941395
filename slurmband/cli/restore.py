"""``slurmband doctor --restore``: list the backups, or bring one back."""

import sys
import time
from pathlib import Path
from typing import Any

from slurmband.cli.common import plural, print_json, show
from slurmband.doctor.restore import Backup, available, find, restore
from slurmband.observe.times import duration, iso
from slurmband.store.layout import Layout


def bring_back(
    database: Path, name: Path | None, *, force: bool, as_json: bool, table_format: str
) -> None:
    """List the backups, or bring back the one that is named."""
    layout = Layout(database)
    now = time.time()
    if name is None:
        found = available(layout)
        rows = [_row(backup, now) for backup in found]
        if rows or as_json:
            columns = ("backup", "taken", "age", "completed", "tasks")
            show(rows, columns, as_json=as_json, table_format=table_format)
        if not as_json:
            sys.stdout.write(
                "\nTo bring one back: `slurmband doctor --restore BACKUP`.\n"
                if rows
                else f"no backup in {layout.backups}.\n"
            )
        return
    done = restore(layout, find(layout, str(name)), force=force, now=now)
    aside = None if done.aside is None else str(done.aside)
    if as_json:
        print_json({"restored": _row(done.backup, now), "aside": aside})
        return
    sys.stdout.write(
        f"{database} goes on from {done.backup.file.name}, taken {iso(done.backup.taken)}, with "
        f"{done.backup.completed} of {plural(done.backup.total or 0, 'task')} completed.\n"
    )
    if aside:
        sys.stdout.write(f"The database as it was is kept in {aside}.\n")
    sys.stdout.write("What is not in the backup runs again: `slurmband submit`.\n")


def _row(backup: Backup, now: float) -> dict[str, Any]:
    return {
        "backup": backup.file.name,
        "taken": iso(backup.taken),
        "age": duration(max(0.0, now - backup.taken)),
        "completed": backup.completed,
        "tasks": backup.total,
    }
