"""A task: one node of the user's graph, as the user writes it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Task(Generic[T]):
    """One node of the graph.

    Parameters
    ----------
    id : str
        Unique name of the task.
    data : Any, optional
        Whatever the program wants to have at hand when it runs the task. Never stored.
    dependencies : collection of str, optional
        Ids of the tasks that must have completed before this one starts.
    requirements : collection of str, optional
        Labels that a worker must have to take this task, such as ``{"gpu"}``.
    info : mapping, optional
        Anything else worth carrying along. Never stored.
    max_parallel_workers : int, default 1
        How many workers may be in this task at a time.
    priority : int, default 0
        Among tasks that are ready, higher goes first; ties go in the order of the graph.
    fingerprint : str, optional
        Stands for all that the result depends on: a hash of inputs, code or parameters. Where
        fingerprints are compared, a completed task with another one is run again.
    kind : str, optional
        Tasks of a kind take about as long: how long is learned, so that a worker begins only what it
        can finish in the time its job has left. By default all tasks are of one kind.
    time_limit : float, optional
        Seconds after which an attempt is stopped.
    max_failed_retries, max_killed_retries, max_oom_retries, max_time_limit_retries : int, optional
        Budgets of this task's own, for each cause; by default as the band has them.
    on_oom, on_time_limit : str, optional
        What the task requires of the next worker after it ran out of memory (``"mem:+50%"``) or out of
        time (``"time:x2"``): more than the last one had.
    attempt : int, optional
        Number of the try that is running, counted from 1; set by slurmband on the task it hands out.
    """

    id: str
    data: T | None = field(default=None, hash=False)
    dependencies: Collection[str] = field(default=frozenset(), hash=False)
    requirements: Collection[str] = field(default=frozenset(), hash=False)
    info: Mapping[str, Any] = field(default_factory=dict, hash=False)
    max_parallel_workers: int = 1
    priority: int = 0
    fingerprint: str | None = None
    max_failed_retries: int | None = None
    max_killed_retries: int | None = None
    max_oom_retries: int | None = None
    max_time_limit_retries: int | None = None
    kind: str = ""
    time_limit: float | None = None
    on_oom: str | None = None
    on_time_limit: str | None = None
    attempt: int | None = field(default=None, compare=False)
