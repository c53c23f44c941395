"""Graphband: iterate over a graph of tasks from any number of processes."""

import atexit
import dataclasses
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from tqdm import tqdm

from slurmband.clock import SystemClock
from slurmband.domain.attempts import Claim, Ending, Outcome, Reason
from slurmband.domain.graph import Graph, check
from slurmband.domain.task import Task
from slurmband.errors import BandStopped, GraphChanged, SlurmbandError, UsageError, WorkerLost
from slurmband.graphband.endings import ABANDONED, COMPLETED, INTERRUPTED, at_exit, failure
from slurmband.graphband.life import Life, Report, Round
from slurmband.graphband.options import FailurePolicy, Options, resolve
from slurmband.graphband.signals import Drain
from slurmband.graphband.waiting import Lookout
from slurmband.liveness.notice import Notice
from slurmband.locks import Lock
from slurmband.locks.link import LinkLock
from slurmband.slurm.environment import element_from
from slurmband.slurm.queue import SlurmQueue
from slurmband.store import queries, registration
from slurmband.store.database import Store
from slurmband.store.registration import Budgets

log = logging.getLogger(__name__)

T = TypeVar("T")
GraphSource = Iterable[Task[T]] | Callable[[], Iterable[Task[T]]]


class Graphband(Generic[T]):
    """Iterate over a graph of tasks, together with every other process that does so.

    Each task is run by the worker that claimed it, after its dependencies completed, once.

    Parameters
    ----------
    graph_fn : iterable of Task, or callable that returns one
    lock : flufl.lock.Lock, optional
        A lock for what all tasks share, as ``band.lock``; one in the band's folder by default.
    db_lock : flufl.lock.Lock, optional
        The lock of the database between nodes; one in the band's folder by default.
    db : str, default "slurmband.sqlite"
        Path or SQLAlchemy URL of the database. Here and below: None means ``SLURMBAND_DB`` and so
        on, and then the default.
    identifier : str or callable, optional
        Name of this worker: by default its array element (``36_1``), else ``host:pid``.
    labels : collection of str, optional
        What this worker offers; it takes only tasks whose requirements are among them.
    failure_policy : {"continue", "stop"}
        Whether other workers stop claiming when a task has failed.
    heartbeat_interval, heartbeat_timeout : float
        Seconds between signs of life (15), and of silence after which to suspect a worker (60).
    max_failed_retries, max_killed_retries : int
        How many further attempts after a failure (0), and after a death that is charged (3).
    disabled : bool
        Iterate plainly: no database, no locks, no other workers.
    wait : bool, default False
        Whether ``for task in band`` stays while others hold what this worker could run later.
    mode : {"local", "shared"}, optional
        How to reach the database; found from the file system by default.
    tqdm_kwargs : mapping, optional
        Passed on to the progress bar.

    Raises
    ------
    GraphError
        When the loop starts, if the graph cannot be run, or is not the one that is registered.
    UsageError
        If an option makes no sense.

    Examples
    --------
    >>> from slurmband import Graphband, Task
    >>> tasks = [Task("bake"), Task("serve", dependencies={"bake"})]
    >>> with Graphband(tasks, disabled=True) as band:
    ...     for task in band:
    ...         print(task.id)
    bake
    serve
    """

    def __init__(
        self,
        graph_fn: GraphSource[T],
        *,
        lock: Lock | None = None,
        db_lock: Lock | None = None,
        db: str | os.PathLike[str] | None = None,
        identifier: str | Callable[[], str] | None = None,
        labels: Collection[str] | None = None,
        failure_policy: FailurePolicy | None = None,
        heartbeat_interval: float | None = None,
        heartbeat_timeout: float | None = None,
        max_failed_retries: int | None = None,
        max_killed_retries: int | None = None,
        disabled: bool | None = None,
        wait: bool = False,
        mode: str | None = None,
        tqdm_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.options: Options = resolve(
            {
                "db": None if db is None else os.fspath(db),
                "mode": mode,
                "identifier": identifier,
                "labels": labels,
                "failure_policy": failure_policy,
                "heartbeat_interval": heartbeat_interval,
                "heartbeat_timeout": heartbeat_timeout,
                "max_failed_retries": max_failed_retries,
                "max_killed_retries": max_killed_retries,
                "disabled": disabled,
            }
        )
        self._source = graph_fn
        self._wait = wait
        self._lock = lock
        self._db_lock = db_lock
        self._tqdm_kwargs = dict(tqdm_kwargs or {})
        self._clock = SystemClock()
        self._graph: Graph | None = None
        self._store: Store | None = None
        self._life: Life | None = None
        self._lookout: Lookout | None = None
        self._drain = Drain(self._forward)
        self._entered = False
        self._interrupts = False
        self._closing = False
        self._held: Claim | None = None
        self._began = 0.0
        self._reports: list[Report] = []
        self._loop: Iterator[Task[T]] | None = None
        self._bar: Any = None
        self._slurm = SlurmQueue(monotonic=self._clock.monotonic)

    @classmethod
    def over(cls, items: Iterable[Any], **options: Any) -> "Graphband[Any]":
        """Make a band of plain items: ``task.data`` is the item, ``task.id`` its place.

        Parameters
        ----------
        items : iterable
        **options
            As for `Graphband`.
        """
        return cls([Task(str(place), data=item) for place, item in enumerate(items)], **options)

    # --- what a program asks of it ----------------------------------------------------------------

    def __iter__(self) -> Iterator[Task[T]]:
        """Yield tasks for as long as this worker can claim one."""
        self._finish_abandoned()
        self._closing = False
        self._loop = self._iterate()
        return self._loop

    def __len__(self) -> int:
        """Return the number of tasks in this program's graph."""
        return len(self.graph)

    def __enter__(self) -> Self:
        self._entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self._held is not None:
            interrupted = isinstance(error, KeyboardInterrupt)
            self._end_task(INTERRUPTED if interrupted else failure(error))
        self._finish_abandoned()
        self._entered = False
        self._leave()

    def run(self, function: Callable[[Task[T]], object], *, wait: bool = True) -> Round:
        """Run `function` on every task this worker can get, and record how each ended.

        An exception fails its task, with the traceback, and the loop goes on.

        Parameters
        ----------
        function : callable
            Takes the task; what it returns is ignored.
        wait : bool, default True
            Whether to stay until nothing is left that this worker could ever run.

        Returns
        -------
        Round
            How the band stood when this worker left.
        """
        if self.options.disabled:
            for one in self.graph:
                function(one)
            return Round(completed=len(self), total=len(self))
        self._finish_abandoned()
        found = Round()
        try:
            while True:
                task, found = self._next(wait=wait)
                if task is None:
                    return found
                self._end_task(self._attempt(function, task))
        finally:
            if not self._entered:
                self._leave()

    def register(self) -> int:
        """Make this program's graph the registered one, as its next revision.

        What `slurmband submit` does for a workflow file. Workers that still have the graph before it
        stop at their next claim.

        Returns
        -------
        int
            Number of the revision.
        """
        budgets = Budgets(self.options.max_failed_retries, self.options.max_killed_retries)
        with self.store.transaction() as tx:
            done = registration.register(
                tx, self.graph, budgets=budgets, new_revision=True, now=self._clock.now()
            )
        Notice(self.store.layout.notice).ring()
        return done.revision

    def close(self) -> None:
        """End the loop after the task in hand, which counts as completed."""
        self._closing = True

    def still_mine(self, task: Task[T]) -> bool:
        """Ask whether this worker still holds the task, before doing what cannot be undone."""
        if self.options.disabled:
            return True
        held, life = self._held, self._life
        if held is None or life is None or held.task != task.id or life.heartbeat.lost:
            return False
        with self.store.read() as tx:
            return queries.outcome_of(tx, held.attempt) is None

    def attempt_dir(self, task: Task[T]) -> Path:
        """Make and return a directory of this attempt's own, shared with no other attempt."""
        number = self._held.attempt if self._held is not None and self._held.task == task.id else 0
        path = self.store.layout.attempts / str(number)
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def draining(self) -> bool:
        """Whether this worker was asked to leave, by SIGTERM or SIGUSR1."""
        return bool(self._drain)

    @property
    def identifier(self) -> str:
        """Name of this worker, such as ``36_1``."""
        return self._begun().worker.name

    @property
    def labels(self) -> frozenset[str]:
        """What this worker offers."""
        return self.options.labels

    @property
    def db(self) -> str:
        """URL of the database."""
        return f"sqlite:///{self.store.layout.database}"

    @property
    def lock(self) -> Lock:
        """A lock for what all tasks share: ``with band.lock: ...``."""
        if self._lock is None:
            self._lock = LinkLock(str(self.store.layout.global_lock))
        return self._lock

    @property
    def iterator(self) -> Any:
        """The progress bar of the present loop."""
        if self._bar is None:
            raise UsageError("there is no progress bar yet: it exists once the loop has started.")
        return self._bar

    @property
    def has_more_jobs(self) -> bool:
        """Whether anything is left that this worker could come to run."""
        if self.options.disabled:
            return False
        with self.store.read() as tx:
            return queries.active_for(tx, self.labels) > 0

    @property
    def graph(self) -> Graph:
        """The program's graph, checked; built when first asked for."""
        if self._graph is None:
            self._graph = check(self._source() if callable(self._source) else self._source)
        return self._graph

    @property
    def store(self) -> Store:
        """The database; opened, and made where there is none, when first asked for."""
        if self._store is None:
            self._store = Store(
                self.options.db, mode=self.options.mode, create=True, db_lock=self._db_lock
            )
        return self._store

    def take_interrupts(self) -> None:
        """Leave after the task in hand at the first Ctrl-C, as `slurmband work` does."""
        self._interrupts = True

    # --- the loop ---------------------------------------------------------------------------------

    def _iterate(self) -> Iterator[Task[T]]:
        if self.options.disabled:
            yield from self.graph
            return
        try:
            while True:
                task, _ = self._next(wait=self._wait)
                if task is None:
                    return
                try:
                    yield task
                except GeneratorExit:
                    if self._held is not None:
                        self._end_task(ABANDONED)
                    raise
                self._end_task(COMPLETED)
                if self._closing:
                    return
        finally:
            if not self._entered:
                self._leave()

    def _next(self, *, wait: bool) -> tuple[Task[T] | None, Round]:
        """Report, and return the next task, or None when it is time to leave."""
        while True:
            life, lookout = self._begun(), self._lookout
            assert lookout is not None
            lookout.remember()
            fresh = life.heartbeat.fresh()
            want = fresh and not self._drain and not self._closing
            try:
                found = life.round(self._reports, want=want)
            except WorkerLost as lost:
                self._mourn(life, lost)
                continue
            self._reports = []
            self._tell(found)
            if found.registered is not None:
                raise GraphChanged(found.registered, self.graph.digest)
            if found.stopped_by is not None:
                raise BandStopped(found.stopped_by)
            if found.claim is not None:
                lookout.reap_if_due()
                return self._begin_task(found.claim), found
            if self._drain:
                log.info("worker=%s leaves: %s", life.worker.name, self._drain.asked_by)
                return None, found
            if self._closing or (fresh and (found.left == 0 or not wait)):
                return None, found
            if not fresh:
                log.warning("worker=%s cannot beat: it claims nothing meanwhile", life.worker.name)
            lookout.wait(self._drain.__bool__ if fresh else life.heartbeat.fresh)

    def _begin_task(self, held: Claim) -> Task[T]:
        life = self._begun()
        self._held = held
        self._began = time.monotonic()
        life.journal.begun(held.attempt)
        log.info("task=%s attempt=%d worker=%s began", held.task, held.number, life.worker.name)
        return dataclasses.replace(self.graph.tasks[held.task], attempt=held.number)

    def _attempt(self, function: Callable[[Task[T]], object], task: Task[T]) -> Ending:
        try:
            function(task)
        except KeyboardInterrupt:
            self._end_task(INTERRUPTED)
            raise
        except (Exception, SystemExit) as error:  # the loop's edge: it is an outcome
            return failure(error)
        return COMPLETED

    def _end_task(self, ending: Ending) -> None:
        """Write down how the task in hand ended; the next round reports it."""
        held, life = self._held, self._life
        assert held is not None
        assert life is not None
        self._held = None
        self._reports.append((held, ending))
        life.journal.ended(held.attempt, ending)
        log.log(
            logging.WARNING if ending.outcome is Outcome.FAILED else logging.INFO,
            "task=%s attempt=%d worker=%s %s after %.2f s%s",
            *(held.task, held.number, life.worker.name, ending.outcome),
            *(time.monotonic() - self._began, f": {ending.reason}" if ending.reason else ""),
        )

    # --- lives ------------------------------------------------------------------------------------

    def _begun(self) -> Life:
        """Return the present incarnation, beginning one where there is none."""
        if self._life is not None and self._life.pid != os.getpid():
            raise SlurmbandError(
                "this band belongs to another process. Make a Graphband of its own after a fork."
            )
        if self._life is None:
            element = element_from(os.environ)
            self._life = Life(self.store, self.graph, self.options, self._clock, element)
            self._lookout = Lookout(
                self.store,
                self._life.worker.key,
                interval=self.options.heartbeat_interval,
                timeout=self.options.heartbeat_timeout,
                ask_slurm=self._slurm.ended,
                clock=self._clock,
            )
            self._drain.listen(interrupts=self._interrupts)
            self._life.heartbeat.hear_signals()
            atexit.register(self._at_exit)
        return self._life

    def _leave(self) -> None:
        """Report what is still to be reported, and end this incarnation."""
        life, self._life = self._life, None
        if life is None or life.pid != os.getpid():
            return
        reports, self._reports = self._reports, []
        try:
            self._tell(life.leave(reports, Reason.DRAINED if self._drain else Reason.LEFT))
        finally:
            self._drain.restore()
            atexit.unregister(self._at_exit)
            if self._bar is not None:
                self._bar.close()

    def _mourn(self, life: Life, lost: WorkerLost) -> None:
        """Learn that this incarnation was judged lost; the next round begins another."""
        log.warning("%s; going on as a new incarnation", lost)
        for held, _ in self._reports:
            self._say_refused(held)
        self._reports = []
        self._life = None
        life.abandon()

    def _finish_abandoned(self) -> None:
        """Close a loop that was left without being closed, so that its task is recorded."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.close()  # type: ignore[attr-defined]  # it is a generator

    def _at_exit(self) -> None:
        if self._life is not None and self._life.pid == os.getpid():
            if self._held is not None:
                self._end_task(at_exit())
            self._finish_abandoned()
            self._leave()

    def _forward(self, number: int) -> None:
        if self._life is not None:
            self._life.heartbeat.forward(number)

    # --- what people see --------------------------------------------------------------------------

    def _tell(self, found: Round) -> None:
        for held in found.refused:
            self._say_refused(held)
        if self._bar is None and found.total:
            defaults: dict[str, Any] = {"total": found.total, "unit": "task", "disable": None}
            self._bar = tqdm(**(defaults | self._tqdm_kwargs))
        if self._bar is not None and found.total:
            self._bar.total = found.total
            self._bar.n = found.completed
            self._bar.refresh()

    def _say_refused(self, held: Claim) -> None:
        log.warning(
            "task=%s attempt=%d: the report was refused, since the claim had been revoked; "
            "the task is somebody else's now",
            *(held.task, held.number),
        )
