"""What it takes from the start of ``slurmband work`` to its first claim."""

import resource
import sys
import time
from typing import Final

from benchmarks import crew
from benchmarks.figures import Figure, median
from benchmarks.how import How
from benchmarks.places import Here
from benchmarks.runners import slurmband

#: What every worker needs: its processor time is no matter of ours.
IMPORT: Final = "import sqlalchemy, time; print(time.process_time())"


def measure(how: How) -> list[Figure]:
    """Measure processor time above that of importing SQLAlchemy, and the time that passes.

    Parameters
    ----------
    how : How
    """
    floors, firsts, waits, wholes = [], [], [], []
    for _ in how.repeats():
        with how.place() as (here, folder):
            crew.prepare(here, folder)
            given = slurmband.settings("independent:1", 0, how.environ)
            slurmband.register(here, folder, given)
            floors.append(_floor(here))
            begun, used = time.time(), _used_by_children()
            notes = slurmband.work(here, folder, given, 1, gated=False).workers[0]
            wholes.append(_used_by_children() - used)
            firsts.append(float(notes["cpu_at_first"]))
            waits.append(notes["began"][0] - begun)
    above = [first - floor for first, floor in zip(firsts, floors, strict=True)]
    note = f"importing SQLAlchemy takes {median(floors):.2f} s"
    return [
        Figure(
            what="processor time to the first claim, above importing SQLAlchemy",
            value=median(above),
            unit="s",
            repeats=above,
            better="less",
            ratio=median(firsts) / median(floors),
            ratio_to="importing SQLAlchemy, which both do",
            note=note,
        ),
        Figure(
            what="time from the start to the first claim",
            value=median(waits),
            unit="s",
            repeats=waits,
            better="less",
        ),
        Figure(
            what="processor time of a worker with one task, its guardian included",
            value=median(wholes),
            unit="s",
            repeats=wholes,
            better="less",
        ),
    ]


def _floor(here: Here) -> float:
    return float(here.run([sys.executable, "-c", IMPORT], here.folder, {}))


def _used_by_children() -> float:
    """Return seconds of processor time of the children that have ended, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
