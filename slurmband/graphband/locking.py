"""The three locks of a band: the database's, the one for all tasks, and one for each task."""

import secrets
from collections.abc import Callable, Container
from typing import Any, Final
from weakref import WeakValueDictionary

from slurmband.clock import Clock
from slurmband.domain.task import Task
from slurmband.errors import UsageError
from slurmband.graphband.options import Options
from slurmband.liveness.beats import Beats
from slurmband.locks import Lock
from slurmband.locks.held import Held
from slurmband.locks.user import NoLock, UserLock
from slurmband.locks.watched import Signs
from slurmband.locks.ways import FileWay, GivenWay, LadderWay, Way
from slurmband.store import queries
from slurmband.store.database import Store
from slurmband.store.file import path_of
from slurmband.store.layout import Layout

#: Of a user's lock, in intervals of the heartbeat: for so long it holds without a beat.
LIFETIME: Final = 1.5


class BandLocks:
    """Makes the locks of one band; only the database's needs the database.

    Parameters
    ----------
    options : Options
    clock : Clock
    given : Lock or None
        The user's own lock for what all tasks share.
    store : callable
        Opens the database.
    tasks : callable
        Returns the ids of this program's graph; None as long as it has not been built.
    """

    def __init__(
        self,
        options: Options,
        clock: Clock,
        *,
        given: Lock | None,
        store: Callable[[], Store],
        tasks: Callable[[], Container[str] | None],
    ) -> None:
        self.held = Held()
        self._options = options
        self._clock = clock
        self._store = store
        self._tasks = tasks
        self._known: set[str] = set()
        self._of_tasks: WeakValueDictionary[tuple[str, float | None], UserLock] = (
            WeakValueDictionary()
        )
        if options.disabled:
            self.shared: UserLock = NoLock()
            self.database: UserLock = NoLock()
            return
        self.layout = Layout(path_of(options.db))
        lifetime = LIFETIME * options.heartbeat_interval
        self._signs = Signs(self.held.worker, self._read_beat, lifetime)
        way: Way = FileWay(self.layout.global_lock, self._signs, clock=clock)
        if given is not None:
            way = owned = GivenWay(given, lifetime)
            self.held.each_beat.append(owned.refresh)
        self.shared = UserLock(way, self.held)
        guard = LadderWay(self.layout.database, lambda timeout: store().guard(timeout))
        self.database = UserLock(guard, self.held)

    def of_task(self, task: str | Task[Any], timeout: float | None) -> UserLock:
        """Return the lock of one task.

        Raises
        ------
        UsageError
            If the band has no such task.
        """
        name = task.id if isinstance(task, Task) else task
        if not isinstance(name, str):
            raise UsageError(f"task_lock takes a task or its id, a str, and not {name!r}.")
        if self._options.disabled:
            return NoLock()
        if not self._knows(name):
            raise UsageError(
                f"no task {name!r} in {self.layout.database}: task_lock takes the id of a task of the "
                "graph (`slurmband tasks` lists them). For what several tasks share, use "
                "band.global_lock."
            )
        found = self._of_tasks.get((name, timeout))
        if found is None:
            way = FileWay(self.layout.task_lock(name), self._signs, clock=self._clock)
            found = UserLock(way, self.held, timeout=timeout)
            self._of_tasks[name, timeout] = found
        return found

    def _read_beat(self, worker: int) -> str | None:
        """Read a beat for who waits for its lock; one that cannot be read is not seen to stand still."""
        try:
            return Beats(self.layout.beats).read(worker)
        except OSError:
            return secrets.token_hex(8)

    def _knows(self, task: str) -> bool:
        """Whether the band has a task: by the graph if it is built, else by the database.

        The graph is never built for that, as it may be costly; and a band that has neither yet, as
        before its first loop, believes what it is told.
        """
        own = self._tasks()
        if task in self._known or (own is not None and task in own):
            return True
        registered = None
        if self.layout.database.exists():
            try:
                with self._store().read() as tx:
                    registered = queries.knows_task(tx, task)
            except UnicodeEncodeError:  # no such text can be in there
                registered = False
        if registered:
            self._known.add(task)
        return own is None if registered is None else registered
