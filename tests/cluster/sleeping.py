"""What another node does while ten sleepers hold the locks of ten bands, one band each.

Usage: ``python -m tests.cluster.sleeping make|take|check FOLDER``: make the bands; write a note to each,
which takes giving up the sleeper's lock; at the end, say what each has. Prints JSON: point -> notes.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from slurmband.store.database import Store
from tests.store.builders import Bench
from tests.store.sleeper import POINTS

#: Seconds after which a lock is given up.
PATIENCE = 10.0


def database(folder: Path, point: str) -> Path:
    """Return the database in which the sleeper of this point sleeps."""
    return folder / point.replace(" ", "-") / "slurmband.sqlite"


def make(folder: Path, point: str) -> list[str]:
    """Make a band."""
    database(folder, point).parent.mkdir()
    Bench(Store(database(folder, point), create=True)).write("CREATE TABLE notes (text)")
    return []


def take(folder: Path, point: str) -> list[str]:
    """Write a note, and return what was there then."""
    store = Store(database(folder, point), lock_patience=PATIENCE)
    Bench(store).write("INSERT INTO notes VALUES ('other')")
    return notes(store)


def check(folder: Path, point: str) -> list[str]:
    """Write one more note, and return the integrity and all notes."""
    store = Store(database(folder, point))
    Bench(store).write("INSERT INTO notes VALUES ('last')")
    return [str(Bench(store).one("PRAGMA integrity_check")), *notes(store)]


def notes(store: Store) -> list[str]:
    """Return all notes, in their order."""
    return [str(row[0]) for row in Bench(store).rows("SELECT text FROM notes ORDER BY rowid")]


if __name__ == "__main__":
    deed = {"make": make, "take": take, "check": check}[sys.argv[1]]
    with ThreadPoolExecutor(len(POINTS)) as threads:
        found = threads.map(lambda point: deed(Path(sys.argv[2]), point), POINTS)
        print(json.dumps(dict(zip(POINTS, found, strict=True))))
