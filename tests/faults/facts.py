"""What a database says when nobody is in it, read from a copy, and what must hold whatever happened."""

import contextlib
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from slurmband.store.invariants import INVARIANTS

#: Each finds what must not be where nobody has pruned, beside what holds of any database.
WRONG: Final = {
    "an attempt without its number": """
        SELECT tasks.id FROM attempts JOIN tasks ON tasks.key = task GROUP BY task
        HAVING min(number) <> 1 OR max(number) <> count(*) OR tasks.attempts <> count(*)""",
    "completed more than once, or without an attempt that did": """
        SELECT id FROM tasks WHERE (state = 'completed') <>
        (SELECT count(*) FROM attempts WHERE task = tasks.key AND outcome = 'completed')""",
    "history that ends in another state than the task's": """
        SELECT id FROM tasks JOIN (SELECT task_id, status, max(id) FROM task_statuses GROUP BY task_id)
        ON task_id = key WHERE status <> state""",
    **{invariant.says: invariant.offenders for invariant in INVARIANTS},
}


@dataclass(frozen=True)
class Facts:
    """What a database says of its tasks and attempts."""

    states: dict[str, str]
    #: By attempt id: its task and its outcome.
    attempts: dict[int, tuple[str, str | None]]

    def ends_of(self, task: str) -> list[str | None]:
        """Return the outcomes of a task's attempts, in order."""
        return [outcome for name, outcome in self.attempts.values() if name == task]


def facts(database: Path) -> Facts:
    """Read a copy of the database, recovering as the next process would, and check what must hold."""
    file = database.resolve()
    assert not file.with_name(f"{file.name}-shm").exists()
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        copy = Path(folder, "copy.sqlite")
        shutil.copyfile(file, copy)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(f"{file}-wal", f"{copy}-wal")
        with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            return _facts(connection)


def _facts(connection: sqlite3.Connection) -> Facts:
    def rows(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query).fetchall()

    assert rows("PRAGMA integrity_check") == [("ok",)]
    assert rows("PRAGMA foreign_key_check") == []
    assert {what: found for what, query in WRONG.items() if (found := rows(query))} == {}
    attempts = rows(
        "SELECT attempts.id, tasks.id, outcome FROM attempts JOIN tasks ON tasks.key = task ORDER BY 1"
    )
    return Facts(
        dict(rows("SELECT id, state FROM tasks")),
        {attempt: (task, outcome) for attempt, task, outcome in attempts},
    )


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
