"""What a worker of a large graph needs: memory at the peak, and time to its first task."""

import sys
import time

from benchmarks import crew
from benchmarks.figures import Figure, median
from benchmarks.how import How
from benchmarks.runners import slurmband


def measure(how: How) -> list[Figure]:
    """Measure workers that get their graph from a generator: whole, and growing.

    Parameters
    ----------
    how : How
    """
    size = how.pick(100_000, 1000)
    figures = []
    for kind in ("whole", "growing"):
        peaks, firsts = [], []
        for _ in how.repeats(3):
            with how.place() as (here, folder):
                crew.prepare(here, folder)
                given = slurmband.settings(f"layered:{size}:5", 0, how.environ)
                command = [sys.executable, "-m", "benchmarks.sample"]
                if kind == "growing":
                    command.append("--growing")
                else:
                    slurmband.register(here, folder, given)
                begun = time.time()
                done = crew.work(here, command, folder, given, workers=1, gated=False)
                peaks.append(done.workers[0]["peak_rss"] / 1e6)
                firsts.append(done.workers[0]["began"][0] - begun)
        figures += [
            Figure(
                what=f"memory of a worker at the peak, {kind} graph of {size} tasks",
                value=median(peaks),
                unit="MB",
                repeats=peaks,
                better="less",
            ),
            Figure(
                what=f"time to the first task, {kind} graph of {size} tasks",
                value=median(firsts),
                unit="s",
                repeats=firsts,
                better="less",
            ),
        ]
    return figures
