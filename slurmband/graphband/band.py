"""Graphband: iterate over a graph of tasks from any number of processes.

It is longer than other files since it is the face of the package: most of it says what users may ask.
What it does is in the loops: `Loop`, `GrowingLoop` and `PlainLoop`.
"""

import os
import tempfile
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

from slurmband.clock import SystemClock
from slurmband.domain.attempts import Claim
from slurmband.domain.budgets import Budgets
from slurmband.domain.graph import Graph, check
from slurmband.domain.labels import satisfy
from slurmband.domain.states import wanted
from slurmband.domain.task import Task
from slurmband.domain.tasks import Tasks
from slurmband.errors import HandedBack, UsageError
from slurmband.graphband.endings import ABANDONED, COMPLETED, failure
from slurmband.graphband.growth import GrowingLoop
from slurmband.graphband.locking import BandLocks
from slurmband.graphband.loop import Loop
from slurmband.graphband.opening import open_patiently
from slurmband.graphband.options import FailurePolicy, Options, resolve
from slurmband.graphband.plain import PlainLoop, in_order
from slurmband.graphband.rounds import Round
from slurmband.graphband.sources import GraphSource, is_used_up, tasks_of
from slurmband.graphband.title import ProcessTitle
from slurmband.liveness.incarnation import name_of
from slurmband.liveness.notice import telling
from slurmband.locks import Lock
from slurmband.locks.user import UserLock
from slurmband.processes import identify
from slurmband.slurm.environment import element_from
from slurmband.store import growth, queries, registration
from slurmband.store.counts import Counts
from slurmband.store.database import Store

if TYPE_CHECKING:
    from slurmband.graphband.items import Laufband

T = TypeVar("T")


class Graphband(Generic[T]):
    """Iterate over a graph of tasks, together with every other process that does so.

    Each task is run by the worker that claimed it, after its dependencies completed, once.

    Parameters
    ----------
    graph_fn : iterable of Task, networkx.DiGraph, or callable that returns one
        A callable is called again for each further loop over the band.
    lock : flufl.lock.Lock, optional
        The lock for what all tasks share, as ``band.global_lock``; one in the band's folder by default.
    db_lock : flufl.lock.Lock, optional
        The lock of the database between nodes, in shared mode; one in the band's folder by default.
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
    lock_patience : float
        Seconds after which the lock of a shared database is given up if its holder, of whom nobody can
        tell whether it is alive, does not change it (60).
    backup_interval : float
        Seconds between copies of the database (1800 in shared mode); 0: none.
    max_failed_retries, max_killed_retries, max_oom_retries, max_time_limit_retries : int
        How many further attempts after a failure (0), after a death that is charged (2), after running
        out of memory (1), and after taking too long (1).
    max_claims : int
        How many short tasks to take at a time at most (128); 1: one after the other, strictly by
        priority and in the order of the graph.
    has_more_jobs_ttl : float
        Seconds for which an answer of ``has_more_jobs`` is good (5); 0: ask the database each time.
    enable_fingerprints : bool
        Run completed tasks again whose ``Task.fingerprint`` is another than that of their completion.
    growing : bool
        Read the graph as the work goes on, not whole before it. Each task comes after those it depends
        on, and in every process the same tasks come. The band is finished when one of them came to
        the end of its graph; running the program again later looks whether there is more.
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
        lock_patience: float | None = None,
        backup_interval: float | None = None,
        max_failed_retries: int | None = None,
        max_killed_retries: int | None = None,
        max_oom_retries: int | None = None,
        max_time_limit_retries: int | None = None,
        max_claims: int | None = None,
        has_more_jobs_ttl: float | None = None,
        enable_fingerprints: bool | None = None,
        growing: bool | None = None,
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
                "lock_patience": lock_patience,
                "backup_interval": backup_interval,
                "max_failed_retries": max_failed_retries,
                "max_killed_retries": max_killed_retries,
                "max_oom_retries": max_oom_retries,
                "max_time_limit_retries": max_time_limit_retries,
                "max_claims": max_claims,
                "has_more_jobs_ttl": has_more_jobs_ttl,
                "enable_fingerprints": enable_fingerprints,
                "growing": growing,
                "disabled": disabled,
            }
        )
        self._source = graph_fn
        self._wait = wait
        self._lock = lock
        self._db_lock = db_lock
        self._tqdm_kwargs = dict(tqdm_kwargs or {})
        self._clock = SystemClock()
        self._made_locks: BandLocks | None = None
        self._graph: Graph | None = None
        self._looped = False
        #: What a growing graph was read of, where there are no other workers.
        self._seen = Tasks()
        self._in_hand: Task[T] | None = None
        self._store: Store | None = None
        self._made_loop: Loop[T] | PlainLoop[T] | None = None
        self._iteration: Generator[Task[T], None, None] | None = None
        self._entered = False
        self._interrupts = False
        self._titled = False
        #: The last answer of `has_more_jobs`, and when it was asked for, by our own clock.
        self._more_jobs: tuple[bool, float] | None = None

    @classmethod
    def over(
        cls, items: "Iterable[T] | Callable[[], Iterable[T]]", **options: Any
    ) -> "Laufband[T]":
        """Make a band of plain items, whose loop yields the items themselves: a `Laufband`.

        Parameters
        ----------
        items : iterable, or callable that returns one
        **options
            As for `Graphband`.
        """
        from slurmband.graphband.items import Laufband

        return Laufband(items, **options)

    # --- what a program asks of it ----------------------------------------------------------------

    def __iter__(self) -> Iterator[Task[T]]:
        """Yield tasks for as long as this worker can claim one."""
        self._finish_abandoned()
        if self._made_loop is not None:
            self._made_loop.closing = False
        self._iteration = self._iterate()
        return self._iteration

    def __len__(self) -> int:
        """Return the number of tasks in this program's graph; of a growing one, as far as known."""
        if not self.options.growing:
            return len(self.graph)
        if self.options.disabled:
            return len(self._seen)
        with self.store.read() as tx:
            return wanted(Counts(tx).states)

    def __enter__(self) -> Self:
        self._entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is not None and self._held is not None and not self._loop.of_parent:
            self._loop.end_task(failure(error))
        self._finish_abandoned()
        self._entered = False
        if self._made_loop is not None:
            self._made_loop.leave()
        return isinstance(error, HandedBack)

    def run(self, function: Callable[[Any], object], *, wait: bool = True) -> Round:
        """Run `function` on every task this worker can get, and record how each ended.

        An exception fails its task, with the traceback, and the loop goes on.

        Parameters
        ----------
        function : callable
            Takes the task (of a `Laufband`: the item); what it returns is ignored.
        wait : bool, default True
            Whether to stay until nothing is left that this worker could ever run.

        Returns
        -------
        Round
            How the band stood when this worker left.
        """

        def do(task: Task[T]) -> None:
            self._in_hand = task
            try:
                function(self._handed_out(task))
            finally:
                self._in_hand = None

        self._finish_abandoned()
        loop = self._begin_loop()
        try:
            while True:
                task, found = loop.next(wait=wait)
                if task is None:
                    return found
                loop.attempt(do, task)
        finally:
            self._end_loop(loop)

    def register(self) -> int:
        """Make this program's graph the registered one, as its next revision.

        What `slurmband submit` does for a workflow file. Workers that still have the graph before it
        stop at their next claim. A growing graph is opened again, if its end was recorded.

        Returns
        -------
        int
            Number of the revision.
        """
        budgets = self.options.budgets
        if self.options.growing:
            return self._reopen(budgets)
        with telling(self.store) as tx:
            done = registration.register(
                tx,
                self.graph,
                budgets=budgets,
                new_revision=True,
                compare=self.options.enable_fingerprints,
                now=self._clock.now(),
            )
        return done.revision

    def close(self) -> None:
        """End the loop after the task in hand, which counts as completed."""
        if self._made_loop is not None:
            self._made_loop.closing = True

    def still_mine(self, task: Task[T]) -> bool:
        """Ask whether this worker still holds the task, before doing what cannot be undone."""
        if self.options.disabled:
            return True
        held = self._held
        if held is None or held.task != task.id or self._loop.begun().heartbeat.lost:
            return False
        with self.store.read() as tx:
            return queries.outcome_of(tx, held.attempt) is None

    def attempt_dir(self, task: Task[T]) -> Path:
        """Make and return a directory of this attempt's own, shared with no other attempt."""
        if self.options.disabled:
            return Path(tempfile.mkdtemp(prefix="slurmband-"))
        held = self._held
        if held is None or held.task != task.id:
            raise UsageError(f"task {task.id!r} is not in hand: a directory belongs to an attempt.")
        path = self.store.layout.attempts / str(held.attempt)
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def task(self) -> Task[T]:
        """The task in hand; of a `Laufband`, the one behind the item.

        Raises
        ------
        UsageError
            If none is.
        """
        if self._in_hand is None:
            raise UsageError("no task is in hand: ask for band.task inside the loop.")
        return self._in_hand

    @property
    def draining(self) -> bool:
        """Whether this worker was asked to leave: by SIGTERM, SIGUSR1, or `slurmband stop`."""
        return self._made_loop is not None and bool(self._made_loop.drain)

    def hand_back(self) -> NoReturn:
        """End the task in hand unfinished, charged to nobody: another worker is to go on with it.

        For a task that sees `draining`, and has saved what it has done, in `run` or in a loop inside
        ``with``. It does not return.

        Raises
        ------
        UsageError
            If nobody asked this worker to leave: it would be given the same task again, and again.
        """
        if not self.draining:
            raise UsageError(
                f"task {self.task.id!r} cannot be handed back: nobody asked this worker to leave. Ask "
                "band.draining first."
            )
        raise HandedBack

    @property
    def identifier(self) -> str:
        """Name of this worker, such as ``36_1``."""
        if self.options.disabled:
            return name_of(self.options.identifier, element_from(os.environ), identify())
        return self.options.identifier or self._loop.name

    @property
    def labels(self) -> frozenset[str]:
        """What this worker offers."""
        return self.options.labels

    @property
    def db(self) -> str:
        """URL of the database."""
        return f"sqlite:///{self.store.layout.database}"

    @property
    def global_lock(self) -> UserLock:
        """The lock for what all tasks share: ``with band.global_lock: ...``."""
        return self._locks.shared

    @property
    def lock(self) -> UserLock:
        """The old name of `global_lock`."""
        return self.global_lock

    @property
    def db_lock(self) -> UserLock:
        """The lock of the database, to copy the file: nobody else writes while you hold it.

        What this thread asks of the band inside goes on under it.
        """
        return self._locks.database

    def task_lock(self, task: str | Task[T], *, timeout: float | None = None) -> UserLock:
        """Return the lock of one task; those of two tasks never wait for each other.

        Parameters
        ----------
        task : str or Task
            A task of the graph, or its id.
        timeout : float, optional
            Seconds to wait when it is taken; None: for ever.

        Raises
        ------
        UsageError
            If the band has no such task, as far as can be told without building the graph.
        """
        return self._locks.of_task(task, timeout)

    @property
    def iterator(self) -> Any:
        """The progress bar of the present loop."""
        if self._made_loop is None or self._made_loop.bar is None:
            raise UsageError("there is no progress bar yet: it exists once the loop has started.")
        return self._made_loop.bar

    @property
    def has_more_jobs(self) -> bool:
        """Whether anything is left that this worker could come to run.

        An answer is good for ``has_more_jobs_ttl`` seconds, or until a loop starts or ends. Nothing is,
        once it was asked to leave, or left because nothing fits into the time that its job has left.
        """
        if self.options.disabled or (
            isinstance(self._made_loop, Loop) and self._made_loop.leaving.is_for_good
        ):
            return False
        now = self._clock.monotonic()
        if self._more_jobs is None or now - self._more_jobs[1] >= self.options.has_more_jobs_ttl:
            self._more_jobs = (self._ask_for_more(), now)
        return self._more_jobs[0]

    @property
    def graph(self) -> Graph:
        """The program's graph, checked; built when first asked for.

        Raises
        ------
        UsageError
            If it is a growing one, which is never whole.
        """
        if self.options.growing:
            raise UsageError(
                "a growing graph is never whole: ask the band for its len(), or the loop."
            )
        if self._graph is None:
            self._graph = check(tasks_of(self._source))
        return self._graph

    @property
    def store(self) -> Store:
        """The database; opened, and made where there is none, when first asked for."""
        if self._store is None:
            self._store = open_patiently(
                lambda: Store(
                    self.options.db,
                    mode=self.options.mode,
                    create=True,
                    db_lock=self._db_lock,
                    lock_patience=self.options.lock_patience,
                ),
                self._clock,
            )
        return self._store

    def take_interrupts(self) -> None:
        """Leave after the task in hand at the first Ctrl-C, as `slurmband work` does."""
        self._interrupts = True

    def on_signal(self, function: Callable[[int], object]) -> None:
        """Have `function` called with the number of each signal that asks this worker to leave."""
        if not self.options.disabled:
            self._loop.drain.on_signal = function

    def show_title(self) -> None:
        """Let ``ps`` and ``top`` show what this worker does, as `slurmband work` does.

        The process is called ``sb:bake`` in a task. With setproctitle (``pip install
        'slurmband[title]'``) its command line reads ``slurmband 36_1: task bake, attempt 2``.
        """
        self._titled = True

    # --- inside -----------------------------------------------------------------------------------

    def _iterate(self) -> Generator[Task[T], None, None]:
        loop = self._begin_loop()
        try:
            while True:
                task, _ = loop.next(wait=self._wait)
                if task is None:
                    return
                try:
                    handed_out = self._hand_out(task)
                    loop.set_alarm()
                    yield handed_out
                except GeneratorExit:
                    if loop.held is not None and not loop.of_parent:
                        loop.end_task(ABANDONED)
                    raise
                self._in_hand = None
                loop.end_task(COMPLETED)
                if loop.closing:
                    return
        finally:
            self._in_hand = None
            self._end_loop(loop)

    def _ask_for_more(self) -> bool:
        with self.store.read() as tx:
            if registration.current(tx) is not None:
                return Counts(tx).active_for(self.labels) > 0
        # Nobody has begun: ``while band.has_more_jobs: for task in band: ...`` must.
        return self.options.growing or any(
            satisfy(self.labels, task.requirements) for task in self.graph
        )

    def _begin_loop(self) -> Loop[T] | PlainLoop[T]:
        """Forget what the last loop knew; a source that can be asked again is."""
        self._more_jobs = None
        again, self._looped = self._looped and callable(self._source), True
        if again and not self.options.growing:
            self._graph = None
        if self.options.disabled:
            self._made_loop = self._plain_loop(again=again)
        elif isinstance(self._made_loop, GrowingLoop):
            self._made_loop.reread()
        elif again and isinstance(self._made_loop, Loop):
            self._made_loop.take(self.graph)
        return self._made_loop or self._loop

    def _end_loop(self, loop: Loop[T] | PlainLoop[T]) -> None:
        self._more_jobs = None
        if not self._entered:
            loop.leave()

    def _plain_loop(self, *, again: bool) -> PlainLoop[T]:
        if not self.options.growing:
            return PlainLoop(self.graph, len(self.graph), tqdm_kwargs=self._tqdm_kwargs)
        self._seen = Tasks() if again else self._seen
        tasks = in_order(tasks_of(self._source), self._seen)
        return PlainLoop(tasks, None, tqdm_kwargs=self._tqdm_kwargs)

    def _reopen(self, budgets: Budgets) -> int:
        with telling(self.store) as tx:
            opened = growth.begin(tx, budgets=budgets, reopen=lambda: True, now=self._clock.now())
        return opened.number

    def _hand_out(self, task: Task[T]) -> Any:
        self._in_hand = task
        return self._handed_out(task)

    def _handed_out(self, task: Task[T]) -> Any:
        """Return what the user's code gets to see of a task."""
        return task

    @property
    def _loop(self) -> Loop[T]:
        """The worker loop; made when first asked for."""
        if isinstance(self._made_loop, Loop):
            return self._made_loop
        how: dict[str, Any] = {
            "locks": self._locks.held,
            "tqdm_kwargs": self._tqdm_kwargs,
            "interrupts": self._interrupts,
        }
        if self.options.growing:
            loop: Loop[T] = GrowingLoop(
                self.store,
                lambda: tasks_of(self._source),
                self.options,
                self._clock,
                once=is_used_up(self._source),
                **how,
            )
        else:
            loop = Loop(self.store, self.graph, self.options, self._clock, **how)
        if self._titled:
            loop.title = ProcessTitle()
        self._made_loop = loop
        return loop

    @property
    def _locks(self) -> BandLocks:
        """What makes the locks; made when first asked for."""
        if self._made_locks is None:
            self._made_locks = BandLocks(
                self.options,
                self._clock,
                given=self._lock,
                store=lambda: self.store,
                tasks=lambda: None if self._graph is None else self._graph.tasks,
            )
        return self._made_locks

    @property
    def _held(self) -> Claim | None:
        return None if self._made_loop is None else self._made_loop.held

    def _finish_abandoned(self) -> None:
        """Close an iteration that was left without being closed, so that its task is recorded."""
        iteration, self._iteration = self._iteration, None
        if iteration is not None:
            iteration.close()
