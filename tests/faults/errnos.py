"""One system call of a round fails, once: what the worker believes then, and what the database says."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.faults.facts import facts
from tests.faults.strace import CALLS, Call, attached, calls_in, clean_trace, inject
from tests.faults.warm import Warm

_READ: Final = ("ESTALE", "EIO", "EACCES")
_WRITE: Final = (*_READ, "ENOSPC", "EDQUOT")
#: Which errors a call can return; a close that fails has closed nothing here, which is worse than real.
ERRORS: Final = {
    **dict.fromkeys(CALLS, _WRITE),
    **dict.fromkeys(("read", "pread64", "stat", "lstat", "fstat", "newfstatat", "statx"), _READ),
    **dict.fromkeys(("access", "faccessat2", "readlink", "readlinkat", "getdents64"), _READ),
    "fcntl": ("ENOLCK", *_READ),
    "lseek": ("ESTALE", "EIO"),
}
#: Errors only of an open that makes a file.
_OF_MAKING: Final = ("ENOSPC", "EDQUOT")
#: Pauses after which a fault that came once must be over.
PAUSES: Final = 5
#: Tasks of a band; when one is used up, the next begins.
TASKS: Final = 100


@dataclass(frozen=True)
class Point:
    """One call, and the error it returns."""

    call: Call
    error: str

    def __str__(self) -> str:
        return f"{self.error} at {self.call}"


@dataclass
class Outcome:
    """What came of one point."""

    point: Point
    #: What the worker was told first: "done", "failed" or "unknown"; "ended" if it did not survive.
    told: str
    #: Whether report and claim were in the database at that moment.
    kept: bool
    #: What must not be.
    wrong: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def points(worker: Warm) -> list[Point]:
    """Let the worker do a clean round, and return every way in which one of its calls can fail."""
    with attached(worker.pid, *clean_trace()) as trace:
        worker.go()
    return [
        Point(call, error)
        for call in calls_in(trace, worker.database.parent)
        for error in ERRORS[call.name]
        if "O_CREAT" in call.line or "open" not in call.name or error not in _OF_MAKING
    ]


def sweep(worker: Warm, folder: Path, chosen: Iterable[Point]) -> Iterator[Outcome | None]:
    """Try one point after the other, in one worker for as long as it survives."""
    left = 0
    for number, point in enumerate(chosen):
        if not left or not worker.in_task:
            left = TASKS - 4
            worker.begin(folder / f"{number}.sqlite", TASKS)
        left -= 1
        yield try_point(worker, point)


def try_point(worker: Warm, point: Point, *also: Call) -> Outcome | None:
    """Let the worker do a round in which the point fails; None if the round did not come by there.

    Parameters
    ----------
    worker : Warm
    point : Point
    *also : Call
        What fails in the same round, with the same error.
    """
    held, open_before = worker.words, worker.open_files()
    with attached(worker.pid, *inject(f"error={point.error}", point.call, *also)) as trace:
        words = worker.go()
    hit = [line for line in trace.lines if "(INJECTED)" in line]
    if not hit or str(worker.database.parent) not in hit[0]:
        _finish(worker, Outcome(point, "", kept=False))
        return None
    kept = facts(worker.database).attempts[held["attempt"]][1] == "completed"
    outcome = Outcome(point, _told(words), kept)
    _check_first(worker, outcome, open_before)
    _finish(worker, outcome)
    _check_last(worker, outcome, held)
    return outcome


def _told(words: dict[str, Any]) -> str:
    if "task" in words:
        return "done"
    if "ended" in words:
        return "ended"
    return "unknown" if "unknown" in words["warnings"][-1] else "failed"


def _check_first(worker: Warm, outcome: Outcome, open_before: set[str]) -> None:
    if outcome.told == "done" and not outcome.kept:
        outcome.wrong.append("believed, and not there")
    of_journal = "journals" in outcome.point.call.line  # the next attempt's begin, after the commit
    if outcome.told == "failed" and outcome.kept and not of_journal:
        outcome.wrong.append("said to have failed, and there")
    leaked = set() if worker.ended else worker.open_files() - open_before
    if leaked and outcome.point.call.name != "close":
        outcome.wrong.append(f"left open: {leaked}")


def _finish(worker: Warm, outcome: Outcome) -> None:
    """Let the worker pause as often as it likes, up to a limit, until it is in the next task."""
    outcome.warnings += worker.words["warnings"]
    for _ in range(PAUSES):
        if worker.in_task or worker.ended:
            break
        outcome.warnings += worker.go()["warnings"]


def _check_last(worker: Warm, outcome: Outcome, held: dict[str, Any]) -> None:
    words = worker.words
    if not worker.in_task:
        outcome.wrong.append(f"not in its next task: {words} {worker.talk.errors()}")
        return
    found = facts(worker.database)
    if found.ends_of(held["task"]) != ["completed"]:
        outcome.wrong.append(f"{held['task']} ended as {found.ends_of(held['task'])}")
    open_ones = {n: task for n, (task, end) in found.attempts.items() if end is None}
    if open_ones != {words["attempt"]: words["task"]}:
        outcome.wrong.append(f"in {words['task']} ({words['attempt']}), and open are {open_ones}")
