"""A bare SQLite program that does per task what slurmband must, and nothing else: the floor.

It reports behind a fence, frees the dependents by counters, claims by an index and writes two rows of
history, under one lock of this machine. It has no heartbeat, reaper or journal, and trusts everybody.
"""

import argparse
import fcntl
import sqlite3
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks import crew, graphs, marks
from benchmarks.places import Place
from benchmarks.runners import Run, gated

HOW: Final = (
    "By the workers' clocks, from the first that may claim to the end of the last task. Start-up is "
    "filling the database and starting processes until each has opened it."
)
SCHEMA: Final = """
PRAGMA journal_mode = WAL;
CREATE TABLE tasks (
    key INTEGER PRIMARY KEY, id TEXT UNIQUE, seconds REAL, state TEXT NOT NULL, unmet INTEGER NOT NULL
);
CREATE INDEX ready ON tasks (key) WHERE state = 'ready';
CREATE TABLE edges (
    upstream INTEGER NOT NULL, downstream INTEGER NOT NULL, PRIMARY KEY (upstream, downstream)
) WITHOUT ROWID;
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY, task INTEGER NOT NULL, worker TEXT NOT NULL, claimed_at REAL NOT NULL,
    ended_at REAL, outcome TEXT
);
CREATE UNIQUE INDEX one_claim ON attempts (task) WHERE outcome IS NULL;
CREATE TABLE history (
    id INTEGER PRIMARY KEY, task INTEGER NOT NULL, event TEXT NOT NULL, at REAL NOT NULL
);
CREATE INDEX history_of ON history (task);
"""
#: Seconds to wait when nothing is ready and others are at work.
LOOK_AGAIN: Final = 0.002


def run(place: Place, graph: str, workers: int, folder: Path, *, batch: int = 1) -> Run:
    """Run a graph once.

    Parameters
    ----------
    place : Place
        This machine.
    graph : str
        As `graphs.make` reads it.
    workers : int
    folder : Path
        Where the database lies.
    batch : int, default 1
        How many tasks one transaction reports and claims.
    """
    crew.prepare(place, folder)
    begun = time.perf_counter()
    tasks = fill(folder / "bare.sqlite", graph)
    took = time.perf_counter() - begun
    command = [sys.executable, "-m", "benchmarks.runners.bare", "--batch", str(batch)]
    done = crew.work(place, command, folder, {}, workers=workers)
    name = "bare SQLite" if batch == 1 else f"bare SQLite, {batch} per transaction"
    return gated(name, graph, tasks, done, before=took, how=HOW)


def fill(file: Path, graph: str) -> int:
    """Write a graph into a new database; return how many tasks it has."""
    keys: dict[str, int] = {}
    connection = sqlite3.connect(file)
    connection.executescript(SCHEMA)
    for key, node in enumerate(graphs.make(graph)):
        keys[node.id] = key
        unmet = len(node.dependencies)
        row = (key, node.id, node.seconds, "waiting" if unmet else "ready", unmet)
        connection.execute("INSERT INTO tasks VALUES (?, ?, ?, ?, ?)", row)
        edges = [(keys[name], key) for name in node.dependencies]
        connection.executemany("INSERT INTO edges VALUES (?, ?)", edges)
    connection.commit()
    connection.close()
    return len(keys)


class Worker:
    """One process and its connection.

    Parameters
    ----------
    folder : Path
    batch : int
    """

    def __init__(self, folder: Path, batch: int) -> None:
        self._sql = sqlite3.connect(folder / "bare.sqlite", timeout=60, isolation_level=None)
        self._sql.execute("PRAGMA synchronous = NORMAL")
        self._batch = batch
        self._notes = marks.Marks(folder)
        self._lock = (folder / "lock").open("w")

    def work(self) -> None:
        """Go round until nothing is left."""
        self._notes.gate()
        held: list[tuple[int, int, float]] = []
        while True:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._sql.execute("BEGIN IMMEDIATE")
            for attempt, task, _ in held:
                self._report(attempt, task, time.time())
            held = self._claim(time.time())
            over = not held and not self._others_work()
            self._sql.execute("COMMIT")
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            if over:
                return
            if not held:
                time.sleep(LOOK_AGAIN)
            for _, _, seconds in held:
                self._notes.do(seconds)

    def _report(self, attempt: int, task: int, now: float) -> None:
        closed = self._sql.execute(
            "UPDATE attempts SET outcome = 'completed', ended_at = ? WHERE id = ? AND outcome IS NULL",
            (now, attempt),
        )
        if closed.rowcount != 1:
            raise RuntimeError(f"attempt {attempt} was not open")
        self._sql.execute("UPDATE tasks SET state = 'completed' WHERE key = ?", (task,))
        self._tell(task, "complete", now)
        self._sql.execute(
            "UPDATE tasks SET unmet = unmet - 1, state = iif(unmet = 1, 'ready', state) "
            "WHERE key IN (SELECT downstream FROM edges WHERE upstream = ?)",
            (task,),
        )

    def _claim(self, now: float) -> list[tuple[int, int, float]]:
        held = []
        ready = self._sql.execute(
            "SELECT key, seconds FROM tasks WHERE state = 'ready' ORDER BY key LIMIT ?",
            (self._batch,),
        ).fetchall()
        for task, seconds in ready:
            self._sql.execute("UPDATE tasks SET state = 'running' WHERE key = ?", (task,))
            made = self._sql.execute(
                "INSERT INTO attempts (task, worker, claimed_at) VALUES (?, 'me', ?)", (task, now)
            )
            self._tell(task, "claim", now)
            assert made.lastrowid is not None
            held.append((made.lastrowid, task, seconds))
        return held

    def _tell(self, task: int, event: str, now: float) -> None:
        self._sql.execute(
            "INSERT INTO history (task, event, at) VALUES (?, ?, ?)", (task, event, now)
        )

    def _others_work(self) -> bool:
        asked = self._sql.execute("SELECT 1 FROM attempts WHERE outcome IS NULL LIMIT 1")
        return asked.fetchone() is not None


def main() -> None:
    """Be one worker, in the folder where it was started."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=1, help="tasks per transaction")
    Worker(Path.cwd(), parser.parse_args().batch).work()


if __name__ == "__main__":
    main()
