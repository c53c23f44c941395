"""A source that is read by a thread of its own, and only as far as somebody asks.

A generator may wait, for a file that a task makes, say. Were it read in the loop's own thread, the
worker could not run that task meanwhile. All of one source is read by one thread, as sources that hold
a connection to a database need it.
"""

import signal
import threading
from collections import deque
from collections.abc import Callable, Container, Iterable
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from slurmband.domain.graph import one_by_one
from slurmband.domain.task import Task
from slurmband.domain.tasks import Tasks
from slurmband.errors import TaskNotYielded

T = TypeVar("T")

#: Signals that are for the worker's own thread, which masks them while it is in the database; one that
#: another thread took would interrupt it there.
_OF_THE_WORKER: Final = {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
#: Seconds between looks whether to give up, while a task is sought.
_LOOK_UP = 0.2


class Feed(Generic[T]):
    """The tasks of a growing graph, as far as this process has read them.

    Parameters
    ----------
    source : callable
        Returns the iterable to read; called once, by the thread.
    """

    def __init__(self, source: Callable[[], Iterable[Task[T]]]) -> None:
        self._source = source
        #: Every task that was read.
        self.tasks = Tasks()
        self._unregistered: deque[Task[Any]] = deque()
        self._asked = 0
        self._sought: str | None = None
        self._over = self._closed = False
        self._error: BaseException | None = None
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def ready(self) -> bool:
        """Whether there is something to register, or an end or an error to tell."""
        return bool(self._unregistered) or self._over

    def new(
        self, known: Container[str], *, limit: int, seconds: float
    ) -> tuple[list[Task[T]], bool]:
        """Return tasks that are not `known`, in order; the same ones again until they are.

        Parameters
        ----------
        known : container of str
            Ids that are registered.
        limit : int
            At most so many.
        seconds : float
            How long to wait for that many; what comes later is there at the next call.

        Returns
        -------
        list of Task, bool
            Whether the source ended with these.

        Raises
        ------
        BaseException
            What the source raised, once all that it yielded before is known.
        """
        with self._change:
            self._forget(known)
            self._asked = limit
            self._start()
            self._change.wait_for(lambda: self._over or self._enough(known), seconds)
            self._forget(known)
            self._asked = 0 if self._unregistered else 1  # one is read also while nobody waits
            if self._error is not None and not self._unregistered:
                raise self._error
            ends = self._over and self._error is None and len(self._unregistered) <= limit
            return list(islice(self._unregistered, limit)), ends

    def find(self, name: str, give_up: Callable[[], bool]) -> Task[T] | None:
        """Read on until a task is found; None if `give_up` said so first.

        Raises
        ------
        TaskNotYielded
            If the source ended without it.
        BaseException
            What the source raised.
        """
        with self._change:
            self._sought = name
            self._start()
            while name not in self.tasks and not self._over and not give_up():
                self._change.wait(_LOOK_UP)
            self._sought = None
            found = self.tasks.get(name)
            if found is None and self._over:
                raise self._error or TaskNotYielded(name)
            return found

    def close(self) -> None:
        """Let the thread end, and the generator with it."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    # --- inside -----------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._read, name="slurmband-feed", daemon=True)
            self._thread.start()
        self._change.notify_all()

    def _enough(self, known: Container[str]) -> bool:
        """Whether as many as were asked for are there, not counting what is known."""
        if len(self._unregistered) < self._asked:
            return False
        self._forget(known)
        self._change.notify_all()
        return len(self._unregistered) >= self._asked

    def _forget(self, known: Container[str]) -> None:
        self._unregistered = deque(task for task in self._unregistered if task.id not in known)

    def _wanted(self) -> bool:
        sought = self._sought is not None and self._sought not in self.tasks
        return self._closed or sought or len(self._unregistered) < self._asked

    def _read(self) -> None:
        """Read the source, a task whenever one is wanted; this is the thread."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_WORKER)
        try:
            for task in one_by_one(self._source(), self.tasks):
                with self._change:
                    self._unregistered.append(task)
                    if not self._wanted() or task.id == self._sought:
                        self._change.notify_all()
                    self._change.wait_for(self._wanted)
                    if self._closed:
                        return
        except BaseException as error:  # the user's code; it is told where the tasks are wanted
            self._error = error
        with self._change:
            self._over = True
            self._change.notify_all()
