"""What is measured, one file each, by the name under which it is asked for."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from benchmarks.figures import Figure
from benchmarks.how import How
from benchmarks.measures import (
    growth,
    memory,
    nfs,
    queries,
    recorded,
    registering,
    seconds,
    shapes,
    slow_files,
    start_up,
    statements,
    tasks,
    throughput,
    waiting,
    workers,
)

MEASURES: Final[Mapping[str, Callable[[How], list[Figure]]]] = MappingProxyType(
    {
        "throughput": throughput.measure,
        "shapes": shapes.measure,
        "recorded": recorded.measure,
        "tasks": tasks.measure,
        "workers": workers.measure,
        "seconds": seconds.measure,
        "nfs": nfs.measure,
        "slow_files": slow_files.measure,
        "registering": registering.measure,
        "waiting": waiting.measure,
        "start_up": start_up.measure,
        "memory": memory.measure,
        "growth": growth.measure,
        "queries": queries.measure,
        "statements": statements.measure,
    }
)
