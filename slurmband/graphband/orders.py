"""What a person asks of workers while they are in a task: to leave, soon or now."""

import logging
from typing import Final

from slurmband.domain.workers import Stop
from slurmband.errors import EnvironmentFault
from slurmband.liveness.notice import Notice
from slurmband.store import stopping
from slurmband.store.database import Store

log = logging.getLogger(__name__)

#: Who asked a worker to leave, where it was no signal.
BY_A_PERSON: Final = "slurmband stop"


class Orders:
    """Looks at a small file, and asks the database only when that has changed.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._notice = Notice(store.layout.stop)
        self._seen = self._notice.look()

    def hear(self, worker: int) -> Stop | None:
        """Return what is newly asked of a worker, by the key of its incarnation."""
        words = self._notice.look()
        if words == self._seen:
            return None
        try:
            with self._store.read() as tx:
                how = stopping.asked(tx, worker)
        except EnvironmentFault as fault:
            log.warning("cannot tell whether this worker is to leave: %s", fault)
            return None  # and look again
        self._seen = words
        return how
