"""How the database grows with attempts, and what pruning leaves of it."""

import contextlib
import sqlite3
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks import crew, marks
from benchmarks.crew import Done
from benchmarks.figures import Figure
from benchmarks.how import How
from benchmarks.runners import slurmband

#: Each task completes after so many failures.
FAILURES: Final = 3
CURVE: Final = "size of the database"
#: History rows of each task that are left: its last claim, and how that ended.
KEEP: Final = 3
#: Points of the curve that are kept.
POINTS: Final = 20


def measure(how: How) -> list[Figure]:
    """Run tasks that fail three times each, with the size of the file read meanwhile; then prune.

    Parameters
    ----------
    how : How
    """
    size, workers = how.pick(10_000, 20), how.pick(4, 2)
    given = slurmband.settings(f"independent:{size}", workers, how.environ) | {
        marks.FAILURES: str(FAILURES),
        "SLURMBAND_MAX_FAILED_RETRIES": str(FAILURES),
    }
    # who looks into a database in shared mode would be in the way
    watched = how.mode != "shared"
    with how.place() as (here, folder), ThreadPoolExecutor(1) as aside:
        crew.prepare(here, folder)
        slurmband.register(here, folder, given)
        file = folder / "slurmband.sqlite"
        registered = _size(file)
        working = aside.submit(slurmband.work, here, folder, given, workers)
        points = _watch(file, working) if watched else []
        working.result()
        counts = slurmband.status(here, folder)
        if counts["completed"] != counts["total"]:
            raise crew.CrewBroken(f"not all tasks completed: {counts}")
        done = _size(file)
        here.run([*slurmband.COMMAND, "prune", "--keep-latest", str(KEEP)], folder, given)
        pruned = _size(file)
    every = max(1, len(points) // POINTS)
    curve = [
        Figure(what=f"{CURVE} after {tried} attempts", value=then / 1e6, unit="MB", at=tried)
        for tried, then in points[::every]
    ]
    largest = [
        Figure(
            what="at its largest, with its log", value=max(y for _, y in points) / 1e6, unit="MB"
        )
        for _ in points[:1]
    ]
    what = f"{size} tasks with {FAILURES} retries each"
    return [
        Figure(what=f"registered: {size} tasks", value=registered / 1e6, unit="MB", better="less"),
        *curve,
        *largest,
        Figure(what=f"done: {what}", value=done / 1e6, unit="MB", better="less"),
        Figure(
            what=f"pruned (--keep-latest {KEEP}): {what}",
            value=pruned / 1e6,
            unit="MB",
            better="less",
            ratio=pruned / done,
            ratio_to="before pruning",
        ),
    ]


def _watch(file: Path, working: "Future[Done]") -> list[tuple[int, int]]:
    """Read numbers of attempts, and bytes, until the work is done."""
    points: list[tuple[int, int]] = []
    while not working.done():
        time.sleep(0.2)
        with contextlib.suppress(sqlite3.OperationalError):
            attempts = _attempts(file)
            if not points or attempts > points[-1][0]:
                points.append((attempts, _size(file)))
    return points


def _attempts(file: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        found = connection.execute("SELECT max(id) FROM attempts").fetchone()
    return int(found[0] or 0)


def _size(file: Path) -> int:
    """Return the bytes of a database and of its log."""
    file = file.resolve()
    beside = file.with_name(f"{file.name}-wal")
    return file.stat().st_size + (beside.stat().st_size if beside.exists() else 0)
