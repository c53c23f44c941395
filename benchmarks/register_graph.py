"""Registering a large graph: 100 000 tasks with 500 000 dependencies, and 1 000 onto 1 000."""

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slurmband import Graphband, Task
from slurmband.domain.graph import check
from slurmband.processes import identify
from slurmband.store import growth, membership, registration
from slurmband.store.database import Store
from slurmband.store.registration import Budgets

LATEST = 1000


def layered(tasks: int, each: int) -> Iterator[Task[Any]]:
    """Let each task depend on a few of the tasks before it."""
    chance = random.Random(1)
    for n in range(tasks):
        before = range(max(0, n - LATEST), n)
        needs = chance.sample(before, min(each, len(before)))
        yield Task(f"task_{n}", dependencies=frozenset(f"task_{m}" for m in needs))


def fan_in(width: int) -> Iterator[Task[Any]]:
    """Let each of `width` tasks depend on each of `width` others."""
    above = frozenset(f"above_{n}" for n in range(width))
    yield from (Task(name) for name in sorted(above))
    yield from (Task(f"below_{n}", dependencies=above) for n in range(width))


def whole(graph: Iterator[Task[Any]], store: Store) -> dict[str, float]:
    """Register a graph that is whole, as `slurmband submit` does."""
    begun = time.perf_counter()
    checked = check(graph)
    read = time.perf_counter()
    with store.transaction() as tx:
        registration.register(tx, checked, budgets=Budgets(), new_revision=True, now=0.0)
    return {"read and check": read - begun, "register": time.perf_counter() - read}


def in_slices(graph: Iterator[Task[Any]], store: Store, size: int) -> dict[str, float]:
    """Register the same graph as one that grows."""
    tasks = list(graph)
    longest, begun = 0.0, time.perf_counter()
    with store.transaction() as tx:
        growth.begin(tx, budgets=Budgets(), reopen=lambda: True, now=0.0)
        me = membership.join(
            tx, "me", identify(), None, frozenset(), heartbeat_timeout=60, log=None, now=0.0
        ).key
        growth.take(tx, me, now=0.0)
    for start in range(0, len(tasks), size):
        then = time.perf_counter()
        with store.transaction() as tx:
            growth.extend(tx, me, tasks[start : start + size], now=0.0)
        longest = max(longest, time.perf_counter() - then)
    return {"register": time.perf_counter() - begun, "longest slice": longest}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--each", type=int, default=5, help="dependencies of each task")
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--slice", type=int, default=1000)
    parser.add_argument("--mode", choices=["local", "shared"], default="local")
    parser.add_argument("--db", help="of an earlier worker, so that this one is the second")
    parser.add_argument(
        "--worker", choices=["whole", "growing"], help="be a worker, for its memory"
    )
    how = parser.parse_args()
    if how.worker:
        work(how)
        return
    for name in ("layered", "fan in"):
        for kind in ("whole", "growing"):
            graph = layered(how.tasks, how.each) if name == "layered" else fan_in(how.width)
            with tempfile.TemporaryDirectory() as folder:
                store = Store(Path(folder) / "band.sqlite", mode=how.mode, create=True)
                took = (
                    whole(graph, store) if kind == "whole" else in_slices(graph, store, how.slice)
                )
                store.close()
                took["MB on disk"] = (Path(folder) / "band.sqlite").stat().st_size / 1e6
            figures = {what: round(value, 2) for what, value in took.items()}
            print(json.dumps({"graph": name, "kind": kind, **figures}), flush=True)


def work(how: argparse.Namespace) -> None:
    """Do ten tasks as a worker, and say how much memory that took."""
    empty = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        band: Graphband[Any] = Graphband(
            layered(how.tasks, how.each),
            db=how.db or Path(folder) / "band.sqlite",
            mode=how.mode,
            growing=how.worker == "growing",
            tqdm_kwargs={"disable": True},
        )
        first = 0.0
        for done, _ in enumerate(band, start=1):
            first = first or time.perf_counter() - begun
            if done == 10:
                band.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{how.worker}: first task after {first:.2f} s, {peak / 1024:.0f} MB at the peak, "
        f"{empty / 1024:.0f} MB of it before the graph"
    )


if __name__ == "__main__":
    main()
