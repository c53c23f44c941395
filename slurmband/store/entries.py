"""The tables as classes, for people who want to ask questions of their own.

They are for reading: slurmband itself changes nothing through them, and neither should you, except by
:meth:`TaskEntry.prune_status_history`.

Examples
--------
>>> from slurmband.store.entries import TaskEntry, session
>>> with session("slurmband.sqlite") as asked:  # doctest: +SKIP
...     for task in asked.query(TaskEntry).filter_by(state="failed"):
...         print(task.id, [status.event for status in task.statuses])
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import DeclarativeBase, Mapped, Session, relationship

from slurmband.domain.states import TaskState
from slurmband.domain.workers import WorkerStatus
from slurmband.errors import UsageError
from slurmband.store import schema
from slurmband.store.database import Store
from slurmband.store.pruning import KEEP_LATEST, prune_statuses


@contextmanager
def session(database: str | Path, *, write: bool = False) -> Iterator[Session]:
    """Open a session in one transaction, reached in the way that is right for where the file lies.

    Parameters
    ----------
    database : str or Path
        A path, or a SQLAlchemy URL such as ``sqlite:///slurmband.sqlite``.
    write : bool, default False
        Whether it may write; what was written is committed when the block ends well. Keep it short:
        other workers wait.
    """
    store = Store(database)
    try:
        with store.transaction() if write else store.read() as tx:
            # "rollback_only": the transaction is the store's, and neither commit() nor close() ends it.
            if not tx.connection.in_transaction():  # as far as SQLAlchemy knows
                tx.connection.begin()
            made = Session(bind=tx.connection, join_transaction_mode="rollback_only")
            with made as opened:
                yield opened
                opened.flush()
    finally:
        store.close()


class Entry(DeclarativeBase):
    """What the classes have in common: they map the tables of the schema."""

    metadata = schema.metadata


class WorkflowEntry(Entry):
    """The band itself."""

    __table__ = schema.workflows

    id: Mapped[str]
    revision: Mapped[int]
    max_failed_retries: Mapped[int]
    max_killed_retries: Mapped[int]
    max_oom_retries: Mapped[int]
    max_time_limit_retries: Mapped[int]
    workers: Mapped[list["WorkerEntry"]] = relationship(
        back_populates="workflow", order_by=schema.workers.c.key
    )
    tasks: Mapped[list["TaskEntry"]] = relationship(
        back_populates="workflow", order_by=schema.tasks.c.key
    )


class WorkerEntry(Entry):
    """One incarnation of a worker."""

    __table__ = schema.workers

    key: Mapped[int]
    name: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str | None]
    labels_json: Mapped[str] = schema.workers.c.labels  # type: ignore[assignment]  # maps a column
    host: Mapped[str]
    pid: Mapped[int]
    workflow: Mapped[WorkflowEntry] = relationship(back_populates="workers")
    task_statuses: Mapped[list["TaskStatusEntry"]] = relationship(
        back_populates="worker", order_by=schema.task_statuses.c.id
    )

    @property
    def labels(self) -> frozenset[str]:
        """What it offers."""
        return frozenset(json.loads(self.labels_json))

    @property
    def alive(self) -> bool:
        """Whether nobody has seen it end."""
        return self.status == WorkerStatus.ALIVE


class TaskEntry(Entry):
    """The present of a task."""

    __table__ = schema.tasks

    key: Mapped[int]
    id: Mapped[str]
    state: Mapped[str]
    requirements_json: Mapped[str] = schema.tasks.c.requirements  # type: ignore[assignment]  # a column
    priority: Mapped[int]
    max_parallel_workers: Mapped[int]
    unmet: Mapped[int]
    failures: Mapped[int]
    deaths: Mapped[int]
    ooms: Mapped[int]
    overruns: Mapped[int]
    walls: Mapped[int]
    fingerprint: Mapped[str | None]
    last_fingerprint: Mapped[str | None]
    workflow: Mapped[WorkflowEntry] = relationship(back_populates="tasks")
    statuses: Mapped[list["TaskStatusEntry"]] = relationship(
        back_populates="task", order_by=schema.task_statuses.c.id
    )
    dependencies: Mapped[list["TaskEntry"]] = relationship(
        secondary=schema.edges,
        primaryjoin=schema.tasks.c.key == schema.edges.c.downstream,
        secondaryjoin=schema.tasks.c.key == schema.edges.c.upstream,
        viewonly=True,
    )

    @property
    def requirements(self) -> frozenset[str]:
        """Labels that a worker must have to take it."""
        return frozenset(json.loads(self.requirements_json))

    @property
    def completed(self) -> bool:
        """Whether it is done."""
        return self.state == TaskState.COMPLETED

    @property
    def current_status(self) -> "TaskStatusEntry":
        """The newest row of its history."""
        return self.statuses[-1]

    def prune_status_history(self, session: Session, keep_latest: int = KEEP_LATEST) -> int:
        """Keep the newest rows of this task's history, and forget the rest.

        Events that refer to a forgotten row go with it. Attempts stay.

        Parameters
        ----------
        session : Session
            Opened with ``write=True``.
        keep_latest : int, default 10
            At least 1.

        Returns
        -------
        int
            How many rows went.

        Raises
        ------
        UsageError
            If `keep_latest` is below 1.
        """
        if keep_latest < 1:
            raise UsageError(f"keep_latest is {keep_latest}; it is at least 1.")
        session.flush()
        pruned, _events = prune_statuses(
            session.connection(), keep_latest=keep_latest, among=[self.key]
        )
        session.expire(self, ["statuses"])
        return pruned


class TaskStatusEntry(Entry):
    """One row of the history: a task came into a state."""

    __table__ = schema.task_statuses

    id: Mapped[int]
    status: Mapped[str]
    event: Mapped[str]
    fingerprint: Mapped[str | None]
    seconds: Mapped[float] = schema.task_statuses.c.timestamp  # type: ignore[assignment]  # a column
    task: Mapped[TaskEntry] = relationship(back_populates="statuses")
    worker: Mapped[WorkerEntry | None] = relationship(back_populates="task_statuses")

    @property
    def timestamp(self) -> datetime:
        """When, UTC."""
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=self.seconds)
