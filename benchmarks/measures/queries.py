"""How long people wait for an answer about a large graph, at the command line."""

import sys
import time
from typing import Final

from benchmarks import crew
from benchmarks.figures import Figure, median
from benchmarks.how import How
from benchmarks.runners import slurmband

#: The first asks no database, and is what all others pay as well.
COMMANDS: Final = (
    "templates",
    "status",
    "tasks --state failed",
    "where task_7",
    "workers",
    "events",
)


def measure(how: How) -> list[Figure]:
    """Measure commands on graphs of a thousand tasks and more, of which ten have been done.

    Parameters
    ----------
    how : How
    """
    figures = []
    for size in how.pick((1000, 10_000, 100_000), (100,)):
        with how.place() as (here, folder):
            crew.prepare(here, folder)
            given = slurmband.settings(f"layered:{size}:5", 0, how.environ)
            slurmband.register(here, folder, given)
            ten = [sys.executable, "-m", "benchmarks.sample"]
            crew.work(here, ten, folder, given, workers=1, gated=False)
            for words in COMMANDS:
                took = []
                for _ in how.repeats():
                    begun = time.perf_counter()
                    here.run([*slurmband.COMMAND, *words.split()], folder, given)
                    took.append(time.perf_counter() - begun)
                figures.append(
                    Figure(
                        what=f"slurmband {words}, {size} tasks",
                        value=median(took),
                        unit="s",
                        of=words,
                        at=size,
                        repeats=took,
                        better="less",
                    )
                )
    return figures
