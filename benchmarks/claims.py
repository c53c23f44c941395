"""Rounds per second of several processes on one database, beside a bare SQLite program."""

import argparse
import json
import multiprocessing
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from slurmband.domain.attempts import Ending, Outcome
from slurmband.domain.graph import check
from slurmband.domain.task import Task
from slurmband.processes import identify
from slurmband.store import membership, registration, transitions
from slurmband.store.database import Store
from slurmband.store.registration import Budgets

DONE = Ending(Outcome.COMPLETED)


def rounds(folder: Path, name: str, count: int, mode: str) -> None:
    """Report and claim `count` tasks, as a worker does."""
    store = Store(folder / "band.sqlite", mode=mode)
    with store.transaction() as tx:
        who = membership.join(
            tx, name, identify(), None, frozenset(), heartbeat_timeout=60, log=None, now=time.time()
        )
        held = transitions.claim(tx, who.key, (), limit=1, now=time.time())
    for _ in range(count):
        with store.transaction() as tx:
            for claim in held:
                transitions.close(tx, claim, DONE, now=time.time())
            held = transitions.claim(tx, who.key, (), limit=1, now=time.time())


def bare(folder: Path, name: str, count: int, _mode: str) -> None:
    """Write the same rows with nothing but SQLite."""
    connection = sqlite3.connect(folder / "bare.sqlite", timeout=60, isolation_level=None)
    connection.execute("PRAGMA synchronous = NORMAL")
    for number in range(count):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE tasks SET state = 'done' WHERE key = ?", (number,))
        connection.execute("INSERT INTO attempts (task, worker) VALUES (?, ?)", (number, name))
        connection.executemany("INSERT INTO history (task) VALUES (?)", [(number,), (number,)])
        connection.execute("COMMIT")


def measure(
    function: Callable[[Path, str, int, str], None], folder: Path, how: argparse.Namespace
) -> float:
    """Return rounds per second of all processes together."""
    processes = [
        multiprocessing.Process(target=function, args=(folder, f"w{n}", how.rounds, how.mode))
        for n in range(how.workers)
    ]
    begun = time.perf_counter()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return float(how.workers * how.rounds / (time.perf_counter() - begun))


def prepare(folder: Path, how: argparse.Namespace) -> None:
    """Make both databases."""
    store = Store(folder / "band.sqlite", create=True, mode=how.mode)
    graph = check(Task(f"t{n}") for n in range(how.workers * (how.rounds + 1)))
    with store.transaction() as tx:
        registration.register(tx, graph, budgets=Budgets(), new_revision=True, now=time.time())
    store.close()
    connection = sqlite3.connect(folder / "bare.sqlite")
    connection.executescript(
        "PRAGMA journal_mode = WAL; CREATE TABLE tasks (key INTEGER PRIMARY KEY, state TEXT);"
        "CREATE TABLE attempts (id INTEGER PRIMARY KEY, task INTEGER, worker TEXT);"
        "CREATE TABLE history (id INTEGER PRIMARY KEY, task INTEGER);"
    )
    tasks = [(n, "ready") for n in range(how.rounds)]
    connection.executemany("INSERT INTO tasks VALUES (?, ?)", tasks)
    connection.commit()
    connection.close()


def main() -> None:
    """Measure several times and print medians and their ratio as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--mode", choices=["local", "shared"], default="local")
    parser.add_argument("--repeat", type=int, default=5)
    how = parser.parse_args()
    ours, theirs = [], []
    for _ in range(how.repeat):
        with tempfile.TemporaryDirectory() as name:
            prepare(Path(name), how)
            ours.append(measure(rounds, Path(name), how))
            theirs.append(measure(bare, Path(name), how))
    medians = {"slurmband": statistics.median(ours), "bare": statistics.median(theirs)}
    medians["ratio"] = medians["slurmband"] / medians["bare"]
    print(json.dumps(vars(how) | {name: round(value, 3) for name, value in medians.items()}))


if __name__ == "__main__":
    main()
