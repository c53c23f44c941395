"""A writer is killed at one system call of a round, and somebody else goes on: what must hold then."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from slurmband.domain.attempts import Outcome
from slurmband.liveness import journal
from tests.faults.strace import Call, attached, calls_in, clean_trace, inject
from tests.faults.warm import Start, Warm, here

#: What changes a file or a folder, or makes a change last.
CHANGES: Final = (
    *("write", "pwrite64", "fsync", "fdatasync", "link", "linkat", "unlink", "unlinkat", "rename"),
    *("renameat", "renameat2", "ftruncate", "utimensat"),
)
#: Tasks of a band: one before the round, the two of the round, and one more.
TASKS: Final = 4

Attempts = list[tuple[int, tuple[str, str | None]]]
#: Takes a database and its number of tasks, does as `tests.faults.heir.inherit`.
Heir = Callable[[Path, int], dict[str, Any]]


@dataclass(frozen=True)
class Crash:
    """A call at which to kill, and whether the worker believes by then that the round is recorded."""

    call: Call
    believed: bool

    def __str__(self) -> str:
        return f"killed at {self.call}"


def crashes(worker: Warm, start: Start = here) -> list[Crash]:
    """Let the worker do a clean round, and return the calls of it at which to kill another one."""
    with attached(worker.pid, *clean_trace(), start=start) as trace:
        worker.go()
    calls = calls_in(trace, worker.database.parent)
    given_back = max(i for i, call in enumerate(calls) if call.name == "unlink")
    return [
        Crash(call, believed=i > given_back)
        for i, call in enumerate(calls)
        if call.name in CHANGES or "O_CREAT" in call.line
    ]


def kill_at(worker: Warm, crash: Crash, start: Start = here) -> dict[str, Any]:
    """Kill the worker in its next round; return what it said last before that."""
    held = worker.words
    with attached(worker.pid, *inject("signal=SIGKILL", crash.call), start=start):
        worker.go()
    assert worker.ended, f"it was not {crash}"
    return held


def wrong_after(crash: Crash, held: dict[str, Any], database: Path, heir: Heir) -> list[str]:
    """Let the heir go on, and return what must not be."""
    ended = journal.read(database.with_name(f"{database.name}.d") / "journals", worker=1)
    found = heir(database, TASKS)
    before: Attempts = found["before"]
    ends = {number: end for number, (_task, end) in before}
    kept = ends[held["attempt"]] == Outcome.COMPLETED
    open_ones = [number for number, end in ends.items() if end is None]
    again = held["task"] in found["ran"]
    completed = Counter(task for _, (task, end) in found["after"] if end == Outcome.COMPLETED)
    checks = {
        "believed, and not there": crash.believed and not kept,
        "what was acknowledged before is gone": any(
            end != Outcome.COMPLETED for number, end in ends.items() if number < held["attempt"]
        ),
        "report and claim, not both or neither": open_ones != [held["attempt"] + kept],
        "recorded, and done again": kept and again,
        "ended by the journal, and done again": ended.get(held["attempt"]) is not None and again,
        "not ended, and not done again": not kept and not ended.get(held["attempt"]) and not again,
        "the dead one is not lost": len(found["lost"]) != 1,
        "not each completed once": len(completed) != TASKS or set(completed.values()) != {1},
    }
    return [f"{what}: {found}" for what, holds in checks.items() if holds]
