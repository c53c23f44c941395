"""The life of a task, as one table.

Two rules keep this file honest. Every edge that a task can travel is a row of :data:`TRANSITIONS`;
code that wants another edge adds the row first. And nothing here knows *who* caused an event: a
worker, the reaper and a person at the command line all speak the same :class:`Event` words.

``docs/reference/states.md`` is made from the table.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class TaskState(StrEnum):
    """Where a task is now; the value is what the database stores."""

    WAITING = "waiting"  #: at least one dependency has not completed
    READY = "ready"  #: any worker with the right labels may claim it
    RUNNING = "running"  #: at least one open attempt holds a claim
    COMPLETED = "completed"  #: done: an attempt completed
    INVALIDATED = "invalidated"  #: completed once, with another fingerprint; claimable
    FAILED = "failed"  #: failed, and its retry budget is spent
    KILLED = "killed"  #: died with its worker, and that budget is spent
    BLOCKED = "blocked"  #: something upstream ended without completing
    CANCELLED = "cancelled"  #: no longer wanted


class Event(StrEnum):
    """What can happen to a task."""

    FREE = "free"  #: the last dependency completed
    CLAIM = "claim"  #: a worker took it
    COMPLETE = "complete"  #: the last open attempt ended, and one completed
    INVALIDATE = "invalidate"  #: what completed is of another fingerprint than is wanted now
    RETRY = "retry"  #: an attempt failed or was killed, with budget left
    RELEASE = "release"  #: an attempt was handed back unharmed, or lost uncharged
    FAIL = "fail"  #: an attempt failed, with no budget left
    KILL = "kill"  #: an attempt died with its worker, with no budget left
    BLOCK = "block"  #: something upstream ended without completing
    UNBLOCK = "unblock"  #: what was upstream is to be tried again
    HOLD = "hold"  #: it has to wait, anew or for more, for what it depends on
    RESET = "reset"  #: an ended task is tried again: a person wants it, or SLURM cleared it
    CANCEL = "cancel"  #: a person gives it up
    DROP = "drop"  #: a newer revision of the graph has no such task
    RESTORE = "restore"  #: a newer revision of the graph has it again


CLAIMABLE: Final = frozenset({TaskState.READY, TaskState.INVALIDATED})
#: Ended, and not well: what waits for one of these is blocked.
ENDED_BADLY: Final = frozenset({TaskState.FAILED, TaskState.KILLED, TaskState.CANCELLED})
#: May still run without anybody's help.
ACTIVE: Final = frozenset(
    {TaskState.WAITING, TaskState.READY, TaskState.RUNNING, TaskState.INVALIDATED}
)


def wanted(counts: Mapping[TaskState, int]) -> int:
    """Add up the tasks of a band that are still wanted: all but the cancelled ones."""
    return sum(n for state, n in counts.items() if state is not TaskState.CANCELLED)


_S, _E = TaskState, Event
TRANSITIONS: Final[Mapping[tuple[TaskState, Event], TaskState]] = MappingProxyType(
    {
        (_S.WAITING, _E.FREE): _S.READY,
        (_S.WAITING, _E.BLOCK): _S.BLOCKED,
        (_S.WAITING, _E.CANCEL): _S.CANCELLED,
        (_S.WAITING, _E.DROP): _S.CANCELLED,
        (_S.READY, _E.CLAIM): _S.RUNNING,
        (_S.READY, _E.HOLD): _S.WAITING,
        (_S.READY, _E.CANCEL): _S.CANCELLED,
        (_S.READY, _E.DROP): _S.CANCELLED,
        (_S.RUNNING, _E.CLAIM): _S.RUNNING,
        (_S.RUNNING, _E.COMPLETE): _S.COMPLETED,
        (_S.RUNNING, _E.RETRY): _S.READY,
        (_S.RUNNING, _E.RELEASE): _S.READY,
        (_S.RUNNING, _E.FAIL): _S.FAILED,
        (_S.RUNNING, _E.KILL): _S.KILLED,
        (_S.RUNNING, _E.CANCEL): _S.CANCELLED,
        (_S.COMPLETED, _E.INVALIDATE): _S.INVALIDATED,
        (_S.INVALIDATED, _E.CLAIM): _S.RUNNING,
        (_S.INVALIDATED, _E.HOLD): _S.WAITING,
        (_S.INVALIDATED, _E.CANCEL): _S.CANCELLED,
        (_S.INVALIDATED, _E.DROP): _S.CANCELLED,
        (_S.BLOCKED, _E.UNBLOCK): _S.WAITING,
        (_S.BLOCKED, _E.CANCEL): _S.CANCELLED,
        (_S.BLOCKED, _E.DROP): _S.CANCELLED,
        (_S.FAILED, _E.RESET): _S.READY,
        (_S.FAILED, _E.HOLD): _S.WAITING,
        (_S.FAILED, _E.CANCEL): _S.CANCELLED,
        (_S.FAILED, _E.DROP): _S.CANCELLED,
        (_S.KILLED, _E.RESET): _S.READY,
        (_S.KILLED, _E.HOLD): _S.WAITING,
        (_S.KILLED, _E.CANCEL): _S.CANCELLED,
        (_S.KILLED, _E.DROP): _S.CANCELLED,
        (_S.CANCELLED, _E.RESET): _S.READY,
        (_S.CANCELLED, _E.HOLD): _S.WAITING,
        (_S.CANCELLED, _E.RESTORE): _S.WAITING,
    }
)
