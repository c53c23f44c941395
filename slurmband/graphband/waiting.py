"""Waiting for work without asking the database, and looking after the dead and the backups.

The dead are looked after also while this worker is in a task of hours: by a thread of its own, since all
others may be in such tasks, too. (Where the task holds the interpreter, somebody else takes over.)
"""

import logging
import random
import threading
from collections.abc import Callable

from slurmband.clock import Clock
from slurmband.errors import EnvironmentFault
from slurmband.liveness.beats import Beats, Watch
from slurmband.liveness.duty import Duty
from slurmband.liveness.notice import Notice, share_in
from slurmband.liveness.reaper import AskSlurm, Reaper
from slurmband.masks import masked
from slurmband.processes import fate_of
from slurmband.store.backups import back_up_if_due
from slurmband.store.database import Store

log = logging.getLogger(__name__)

#: Seconds between looks at the notice: from the first, growing, to the last; each jittered.
FIRST_LOOK = 0.02
LAST_LOOK = 1.0
#: Seconds to wait for a look that is under way when a worker leaves.
LOOKS_LAST = 5.0
#: Seconds after which a waiting worker asks the database even if the notice never changed.
ASK_ANYWAY = 30.0


class Lookout:
    """What one worker does while it has no task: look at the notice, and reap when on duty.

    Parameters
    ----------
    store : Store
    interval, timeout : float
        Heartbeat interval and timeout in seconds.
    backup_interval : float
        Seconds between copies of the database; 0: none.
    ask_slurm : callable
    clock : Clock
    at_each_look : callable, optional
        Called each time the thread beside the task looks around.
    """

    def __init__(
        self,
        store: Store,
        *,
        interval: float,
        timeout: float,
        backup_interval: float,
        ask_slurm: AskSlurm,
        clock: Clock,
        at_each_look: Callable[[], object] = lambda: None,
    ) -> None:
        layout = store.layout
        self._store = store
        self._backup_interval = backup_interval
        self._at_each_look = at_each_look
        #: Key of the worker's present incarnation, which it does not look at.
        self.me: int | None = None
        self._interval = interval
        self._clock = clock
        self._notice = Notice(layout.notice)
        self._seen = self._notice.look()
        duty = Notice(layout.duty)
        self._duty = Duty(duty, patience=2 * interval, monotonic=clock.monotonic)
        self._next_duty = clock.monotonic() + random.uniform(0, interval)
        self._at_it = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        longest_gap = max(timeout / 2, 2 * interval)
        watch = Watch(Beats(layout.beats), clock.monotonic)
        self._reaper = Reaper(
            store,
            lambda workers: watch.look([w.key for w in workers], longest_gap=longest_gap),
            ask_slurm,
            fate_of,
            clock.now,
        )

    def begin(self, me: int) -> None:
        """Look after the others from now on, for the incarnation with this key."""
        self.me = me
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._keep_looking, args=(self._over,), name="slurmband-lookout", daemon=True
        )
        with masked():
            self._thread.start()

    def end(self) -> None:
        """Leave it to others."""
        self._over.set()
        if self._thread is not None:
            # Not for ever: it may wait for a lock that our caller holds.
            self._thread.join(LOOKS_LAST)

    def _keep_looking(self, over: threading.Event) -> None:
        while not over.wait(min(self._interval / 4, LAST_LOOK)):
            try:
                self._at_each_look()
                self.reap_if_due()
            except Exception:  # the thread's edge: it is needed for as long as the worker lives
                log.exception("could not look around this time")

    def remember(self) -> None:
        """Take what the notice says now as known; call it before asking the database."""
        self._seen = self._notice.look()

    def wait(self, until: Callable[[], bool]) -> None:
        """Wait until the notice calls this worker, `until` holds, or it is time to ask anyway."""
        pause, deadline = FIRST_LOOK, self._clock.monotonic() + ASK_ANYWAY
        while not until() and self._clock.monotonic() < deadline:
            words = self._notice.look()
            if words != self._seen and random.random() < share_in(words):
                return
            self.reap_if_due()
            self._clock.sleep(random.uniform(pause / 2, pause))
            pause = min(1.5 * pause, LAST_LOOK, self._interval)

    def reap_if_due(self) -> None:
        """Do a pass of the reaper, at most once an interval, if nobody else does."""
        if not self._at_it.acquire(blocking=False):
            return
        try:
            now = self._clock.monotonic()
            if now >= self._next_duty:
                self._next_duty = now + self._interval
                self._reap()
        finally:
            self._at_it.release()

    def _reap(self) -> None:
        try:
            if not self._duty.mine():
                return
            self._reaper.run_once(me=self.me)
        except (EnvironmentFault, OSError) as fault:
            log.warning("nobody was looked after this time: %s", fault)
        self._back_up_if_due()

    def _back_up_if_due(self) -> None:
        if not self._backup_interval or self._over.is_set():
            return
        try:
            back_up_if_due(self._store, self._backup_interval, now=self._clock.now())
        except (EnvironmentFault, OSError) as fault:
            log.warning("the database was not backed up this time: %s", fault)
