"""A warm worker for each line of input: it does one round per word, and is there to be killed.

Usage: ``python -m tests.faults.writer``. A line ``DATABASE TASKS`` begins a worker of its own, by a
fork, so that nothing is left to import. Its tasks form a chain: each round reports one and claims the
next. It prints one JSON line and waits for one line of input inside each task (``{"task": …, "attempt":
…}``) and wherever it would have slept (``{"pause": seconds}``); each line also has its pid, and what was
logged since the last one. When it has ended, ``{"ended": status}`` is printed, and the next can begin.
"""

import json
import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import slurmband.store.queries  # noqa: F401  # warm: nothing is imported in a round
from slurmband import Graphband, Task
from slurmband.clock import SystemClock

T = TypeVar("T")

#: Seconds; no beat and no pass of the reaper disturbs the count of system calls.
NEVER = 1e6


class Warnings(logging.Handler):
    """Keeps what is logged until it is told."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


WARNINGS = Warnings()


def say(**words: Any) -> bytes:
    """Print a line, and wait for the next word; nothing is read ahead."""
    logged, WARNINGS.lines = WARNINGS.lines, []
    line = (json.dumps(words | {"pid": os.getpid(), "warnings": logged}) + "\n").encode()
    _surely(lambda: os.write(1, line))
    return _surely(lambda: os.read(0, 4096))


def _surely(do: Callable[[], T]) -> T:
    """Do it again where it failed: a fault that was meant for a file has hit the conversation."""
    try:
        return do()
    except OSError:
        return do()


def say_or_end(**words: Any) -> None:
    """Print a line, and go on at the next word; end at the end of input, or at an empty word."""
    if not say(**words).strip():
        os._exit(0)


class ToldClock(SystemClock):
    """A clock that sleeps until somebody says so, and has moved far at each look."""

    def __init__(self) -> None:
        self._looks = 0

    def monotonic(self) -> float:
        self._looks += 1  # so far that each round publishes a snapshot, and each line is synced
        return 10.0 * self._looks

    def sleep(self, seconds: float) -> None:
        say_or_end(pause=seconds)


def chain(length: int) -> list[Task[Any]]:
    """Return tasks of which each needs the one before."""
    names = [f"t{number:04}" for number in range(length)]
    above: list[set[str]] = [set(), *({name} for name in names)]
    return [Task(name, dependencies=needs) for name, needs in zip(names, above, strict=False)]


def band_of(database: Path | str, length: int, **options: Any) -> Graphband[Any]:
    """Make a band over a chain, in shared mode."""
    return Graphband(
        chain(length),
        db=database,
        mode="shared",
        heartbeat_interval=NEVER,
        heartbeat_timeout=3 * NEVER,
        tqdm_kwargs={"disable": True},
        **options,
    )


def work(database: str, length: int) -> None:
    """Be a worker; print the traceback of what ends it."""
    band = band_of(database, length)
    band._clock = ToldClock()
    try:
        band.run(lambda task: say_or_end(task=task.id, attempt=_attempt(band)))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _attempt(band: Graphband[Any]) -> int:
    assert band._held is not None
    return band._held.attempt


def main() -> None:
    """Begin one worker after the other."""
    logging.getLogger("slurmband").addHandler(WARNINGS)
    status = None
    while line := say(ended=status).decode().strip():
        database, _, length = line.rpartition(" ")
        child = os.fork()
        if child == 0:
            work(database, int(length))
        status = os.waitpid(child, 0)[1]


if __name__ == "__main__":
    main()
