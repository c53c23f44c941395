"""When a worker waits for the locks of its database, and when it holds them.

Taking a lock that is free counts as waiting for it. The lock between nodes is held, by these notes, from
when a transaction may begin until it is given back.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from slurmband.locks.host import Errand
from slurmband.locks.ladder import Ladder, StillMine

#: Variable by which a worker process is told to note that.
LOCKS: Final = "SLURMBAND_BENCHMARK_LOCKS"
#: What is noted: for either lock; and of holding, by the lock.
WAITED: Final = "waited_for_lock"
HELD_ON_NODE: Final = "held_lock_of_node"
HELD_BETWEEN_NODES: Final = "held_lock_between_nodes"

#: From when to when, in seconds since the Unix epoch.
Span = tuple[float, float]


def watch() -> dict[str, list[Span]]:
    """Note from now on what this process has to do with the locks.

    Returns
    -------
    dict of str to list of (float, float)
        What is noted: it grows.
    """
    noted: dict[str, list[Span]] = {WAITED: [], HELD_ON_NODE: [], HELD_BETWEEN_NODES: []}
    plain_turn, plain_hold = Ladder.turn, Ladder.hold

    def waited(asked: float, entered: float) -> None:
        if threading.current_thread() is threading.main_thread():  # the one that does the tasks
            noted[WAITED].append((asked, entered))

    @contextmanager
    def turn(self: Ladder, errand: Errand | None = None) -> Iterator[bool]:
        asked = time.time()
        with plain_turn(self, errand) as ours:
            entered = time.time()
            waited(asked, entered)
            yield ours
            if ours:  # else another one did it, and nothing is held
                noted[HELD_ON_NODE].append((entered, time.time()))

    @contextmanager
    def hold(self: Ladder) -> Iterator[StillMine]:
        asked = time.time()
        with plain_hold(self) as still_mine:
            entered = time.time()
            waited(asked, entered)
            yield still_mine
        noted[HELD_BETWEEN_NODES].append((entered, time.time()))

    Ladder.turn = turn  # type: ignore[method-assign]  # in this process only
    Ladder.hold = hold  # type: ignore[method-assign]  # in this process only
    return noted


def covered(spans: Iterable[Span], begin: float, end: float) -> float:
    """Return how much of a time lies in any of some spans.

    Parameters
    ----------
    spans : iterable of (float, float)
        In any order; they may overlap.
    begin, end : float
        That time.

    Returns
    -------
    float
        Seconds, at most ``end - begin``.
    """
    total, reached = 0.0, begin
    for first, last in sorted(spans):
        total += max(0.0, min(last, end) - max(first, reached))
        reached = max(reached, last)
    return total
