"""What three witnesses say of a run: the workers' own files, slurmband's journals, and the database."""

import contextlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a worker's own file; `at` is the monotonic clock of its node, since its boot."""

    process: str
    boot: str
    at: float
    what: str
    of: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A row of the attempts; its id is the fence."""

    id: int
    task: str
    slot: int
    number: int
    worker: int
    outcome: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the history; `sequence` is the database's own order of all events."""

    sequence: int
    task: str
    event: str
    attempt: int | None


@dataclass(frozen=True, slots=True)
class Incarnation:
    """A row of the workers; `lost_at` is the event's sequence, None if it was not judged lost."""

    key: int
    status: str
    boot: str
    pid: int
    timeout: float
    lost_at: int | None


@dataclass(frozen=True, slots=True)
class Database:
    """What the database says."""

    states: Mapping[str, str]
    edges: frozenset[tuple[str, str]]
    attempts: Mapping[int, Attempt]
    steps: Sequence[Step]
    workers: Mapping[int, Incarnation]


@dataclass(frozen=True, slots=True)
class History:
    """All that is known of a run that is over.

    Parameters
    ----------
    graph : mapping of str to collection of str
        Task -> what it depends on, as it was asked for.
    lines : sequence of Line
        In each process's own order.
    journals : mapping
        Worker key -> attempt id -> how it ended, None for begun and not ended.
    database : Database
    """

    graph: Mapping[str, frozenset[str]]
    lines: Sequence[Line]
    journals: Mapping[int, Mapping[int, str | None]]
    database: Database


def read_witnesses(folder: Path) -> list[Line]:
    """Read the workers' own files; a line that a crash cut off says nothing."""
    found = []
    for file in sorted(folder.glob("*.jsonl")):
        boot = ""
        for entry in _entries(file):
            boot = entry.get("boot", boot)
            found.append(Line(file.stem, boot, entry.pop("at"), entry.pop("what"), entry))
    return found


def read_journals(folder: Path) -> dict[int, dict[int, str | None]]:
    """Read slurmband's journals, without slurmband's own reader."""
    journals: dict[int, dict[int, str | None]] = {}
    for file in folder.glob("*.jsonl"):
        journal = journals.setdefault(int(file.stem), {})
        for entry in _entries(file):
            if "begun" in entry:
                journal.setdefault(entry["begun"], None)
            else:
                journal[entry["ended"]] = entry["outcome"]
    return journals


def _entries(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_bytes().split(b"\n")[:-1]:
        with contextlib.suppress(ValueError):
            yield json.loads(line)


@contextlib.contextmanager
def copied(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of the file and its ``-wal``: to look must not change what is looked at."""
    current = database.resolve()
    with tempfile.TemporaryDirectory() as folder:
        for file in (current, current.with_name(current.name + "-wal")):
            if file.exists():
                shutil.copy(file, folder)
        with contextlib.closing(sqlite3.connect(Path(folder) / current.name)) as connection:
            yield connection


def read_database(connection: sqlite3.Connection) -> Database:
    """Read what the checker needs."""
    names = dict(connection.execute("SELECT key, id FROM tasks"))
    edges = connection.execute("SELECT upstream, downstream FROM edges")
    attempts = connection.execute(
        "SELECT a.id, t.id, a.slot, a.number, a.worker, a.outcome, a.reason "
        "FROM attempts AS a JOIN tasks AS t ON t.key = a.task"
    )
    steps = connection.execute(
        "SELECT e.sequence, t.id, s.event, s.attempt FROM events AS e "
        "JOIN task_statuses AS s ON s.id = e.status_id JOIN tasks AS t ON t.key = s.task_id "
        "ORDER BY e.sequence"
    )
    workers = connection.execute(
        "SELECT key, status, boot_id, pid, heartbeat_timeout, (SELECT max(sequence) FROM events "
        "WHERE event = 'lost' AND worker_id = key AND status_id IS NULL) FROM workers"
    )
    return Database(
        states=dict(connection.execute("SELECT id, state FROM tasks")),
        edges=frozenset((names[above], names[below]) for above, below in edges),
        attempts={row[0]: Attempt(*row) for row in attempts},
        steps=[Step(*row) for row in steps],
        workers={row[0]: Incarnation(*row) for row in workers},
    )
