"""What a worker has SQLite do: every statement is written down, and a bare program can repeat them.

The bare program does nothing else, so its time is what SQLite, and Python's driver for it, take of the
worker's.
"""

import argparse
import json
import re
import shutil
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import Engine, event

from benchmarks import graphs
from slurmband import Graphband, Task
from slurmband.store.engines import make_engine
from slurmband.store.modes import Mode

DATABASE: Final = "slurmband.sqlite"
#: A copy from before the first claim.
BEFORE: Final = "before.sqlite"
STATEMENTS: Final = "statements.json"
_KIND: Final = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM) (?P<table>\w+)|(?P<word>\w+)")

#: A text and its parameters; several rows of them where it is executed for each.
Recorded = tuple[str, Sequence[Any], bool]

_recorded: list[Recorded] = []


class RecordingCursor(sqlite3.Cursor):
    """Writes down what it executes."""

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        """Execute a statement."""
        _recorded.append((sql, list(parameters), False))
        super().execute(sql, parameters)
        return self

    def executemany(self, sql: str, rows: Iterable[Any], /) -> Self:
        """Execute a statement for each row."""
        all_rows = [list(row) for row in rows]
        _recorded.append((sql, all_rows, True))
        super().executemany(sql, all_rows)
        return self


class RecordingConnection(sqlite3.Connection):
    """Writes down what it executes, by cursors of the kind above."""

    def cursor(self, factory: Any = RecordingCursor) -> Any:
        """Make a cursor."""
        return super().cursor(factory)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Execute a statement."""
        cursor: sqlite3.Cursor = self.cursor().execute(sql, parameters)
        return cursor

    def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
        """Execute a statement for each row."""
        cursor: sqlite3.Cursor = self.cursor().executemany(sql, rows)
        return cursor


def record(graph: str, folder: Path) -> float:
    """Do a graph as the only worker; return the seconds from the first claim to the last report.

    Parameters
    ----------
    graph : str
        As `graphs.make` reads it.
    folder : Path
        Gets the database as it was `BEFORE`, and the `STATEMENTS`.
    """

    @event.listens_for(Engine, "do_connect")
    def _record(_dialect: Any, _record: Any, _words: Any, options: dict[str, Any]) -> None:
        options["factory"] = RecordingConnection

    tasks: list[Task[None]] = [
        Task(n.id, dependencies=frozenset(n.dependencies)) for n in graphs.make(graph)
    ]
    with Graphband(tasks, db=str(folder / DATABASE), mode="local") as band:
        _ = band.identifier  # it joins
        with sqlite3.connect(folder / DATABASE) as here, sqlite3.connect(folder / BEFORE) as copy:
            here.backup(copy)
        _recorded.clear()
        begun = time.perf_counter()
        band.run(lambda _task: None)
        took = time.perf_counter() - begun
        (folder / STATEMENTS).write_text(json.dumps(_recorded))
    return took


def replay(folder: Path) -> tuple[float, dict[str, float]]:
    """Give SQLite the recorded statements again; return the seconds of all, and of each kind.

    A kind is the table that is written, or else the statement's first word.

    Raises
    ------
    RuntimeError
        If the tasks are not completed after it.
    """
    statements: list[Recorded] = json.loads((folder / STATEMENTS).read_text())
    file = folder / "replayed.sqlite"
    for old in folder.glob(f"{file.name}*"):
        old.unlink()
    shutil.copy(folder / BEFORE, file)
    opened = make_engine(file, Mode.LOCAL, busy_timeout=0.0).raw_connection()
    connection: Any = opened.driver_connection
    took: defaultdict[str, float] = defaultdict(float)
    begun = last = time.perf_counter()
    for sql, parameters, for_each in statements:
        if for_each:
            connection.executemany(sql, parameters)
        else:
            connection.execute(sql, parameters).fetchall()
        now = time.perf_counter()
        took[_kind_of(sql)] += now - last
        last = now
    (left,) = connection.execute("SELECT count(*) FROM tasks WHERE state <> 'completed'").fetchone()
    opened.close()
    if left:
        raise RuntimeError(f"{left} tasks are not completed by what was recorded in {folder}")
    return last - begun, took


def _kind_of(sql: str) -> str:
    found = _KIND.match(sql.lstrip())
    assert found is not None
    return found["table"] or found["word"].upper()


def main() -> None:
    """Record a graph in the folder where it was started, and say how many seconds it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graph", help="as layered:1000:5")
    print(record(parser.parse_args().graph, Path.cwd()))


if __name__ == "__main__":
    main()
