"""An answer to "why": one cause, in a line; what shows it; and what to do."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Cause(StrEnum):
    """Why something is as it is; the value is what ``--json`` shows, and stays."""

    COMPLETED = "completed"  #: the task, or all of the band, has completed
    CANCELLED = "cancelled"  #: a person gave the task up
    NOT_IN_GRAPH = "not in graph"  #: the present graph does not have the task
    FAILED = "failed"  #: the task failed, and its budget is spent; or tasks of the band did
    KILLED = "killed"  #: the task died with its workers, and a budget is spent
    BLOCKED = "blocked"  #: something upstream of the task ended without completing
    WAITING = "waiting"  #: something upstream of the task has not completed yet
    RUNNING = "running"  #: a worker is in the task
    NOT_BEGUN = "not begun"  #: a worker took the task in advance
    SILENT = "silent"  #: nothing was heard for long of the workers that matter
    STOPPED = "stopped"  #: the workers were asked to leave
    POLICY = "policy"  #: a task ended badly, and failure_policy="stop"
    NO_WORKER = "no worker"  #: no worker is alive
    REQUIREMENTS = "requirements"  #: no live worker has the labels that are required
    NO_TIME = "no time"  #: no live worker has enough time left
    BUSY = "busy"  #: the workers that could take it are all busy
    SOON = "soon"  #: a worker is free for it
    MOVING = "moving"  #: tasks run, and complete
    LONG_TASK = "long task"  #: workers wait for few tasks that run
    PRODUCER = "producer"  #: a growing graph waits for more of its tasks
    EMPTY = "empty"  #: no task is registered
    PENDING = "pending"  #: SLURM has not started the element, or the array
    STARTING = "starting"  #: SLURM started the element, and no worker has joined yet
    IDLE = "idle"  #: the worker is alive, and holds nothing
    OVER = "over"  #: the element, or the worker, is no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One cause, and what speaks for it.

    Parameters
    ----------
    cause : Cause
    headline : str
        A sentence.
    evidence : list of str
        Lines for people.
    advice : str
        What to do; "" where there is nothing to be done.
    command : str or None
        To be pasted.
    facts : dict
        The same for programs; what is in it depends on the cause.
    """

    cause: Cause
    headline: str
    evidence: list[str] = field(default_factory=list)
    advice: str = ""
    command: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "cause": str(self.cause),
            "headline": self.headline,
            "evidence": self.evidence,
            "advice": self.advice or None,
            "command": self.command,
            "facts": self.facts,
        }
