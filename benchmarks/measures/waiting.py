"""What a worker that waits costs the node: processor time of it and of its guardian."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil

from benchmarks import crew
from benchmarks.figures import Figure
from benchmarks.how import How
from benchmarks.runners import slurmband
from slurmband.observe import maps
from slurmband.store.database import Store


def measure(how: How) -> list[Figure]:
    """Let one worker hold the only task, and watch the other one wait.

    Parameters
    ----------
    how : How
    """
    watched = how.pick(60.0, 1.0)
    graph = f"independent:1:{watched * 1.5 + 3}"
    with how.place() as (here, folder), ThreadPoolExecutor(1) as aside:
        crew.prepare(here, folder)
        given = slurmband.settings(graph, 2, how.environ)
        slurmband.register(here, folder, given)
        working = aside.submit(slurmband.work, here, folder, given, 2)
        while (idle := _idle_worker(folder)) is None and not working.done():
            time.sleep(0.1)
        if idle is None:
            working.result()
            raise crew.CrewBroken("no worker was seen to wait")
        before = _processor_time(idle)
        begun = time.monotonic()
        time.sleep(watched)
        after = _processor_time(idle)
        lasted = time.monotonic() - begun
        working.result()
    return [
        Figure(
            what=f"processor time of a waiting {who}",
            value=1000 * (after[who] - before[who]) / lasted,
            unit="ms/s",
            better="less",
            note=f"over {lasted:.0f} s",
        )
        for who in before
    ]


def _idle_worker(folder: Path) -> psutil.Process | None:
    """Return the worker that has no task, once the other has the one that there is."""
    if not (folder / "go").read_text():
        return None
    # On a busy machine a command of its own might take as long as the task does.
    with closing(Store(folder / "slurmband.sqlite")) as store:
        rows = maps.workers(store)
    if not any("task_0" in str(row["tasks"]) for row in rows):
        return None
    idle = (row["pid"] for row in rows if row["state"] == "alive" and not row["tasks"])
    return next((psutil.Process(pid) for pid in idle if psutil.pid_exists(pid)), None)


def _processor_time(worker: psutil.Process) -> dict[str, float]:
    """Return seconds of processor time of a worker and of its guardian."""
    return {
        "worker": _used(worker),
        "guardian": sum(map(_used, worker.children(recursive=True))),
    }


def _used(process: psutil.Process) -> float:
    """Sum up what its threads ran; the process's own times are in steps of 10 ms."""
    threads = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
