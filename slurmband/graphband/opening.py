"""Opening the database with patience: a file server that is away for a minute costs no worker."""

import logging
from collections.abc import Callable
from typing import Final

from slurmband.clock import Clock
from slurmband.errors import CommitUnknown, DatabaseFault
from slurmband.store.database import Store

log = logging.getLogger(__name__)

#: How often to try again, and seconds before each time.
TRIES: Final = 12
PAUSE: Final = 10.0


def open_patiently(make: Callable[[], Store], clock: Clock) -> Store:
    """Open the database; try again for two minutes where it cannot be read or written now.

    Raises
    ------
    DatabaseFault
        If it still cannot.
    """
    for _ in range(TRIES):
        try:
            return make()
        except (CommitUnknown, DatabaseFault) as fault:
            log.warning("trying again in %.0f s: %s", PAUSE, fault)
            clock.sleep(PAUSE)
    return make()
