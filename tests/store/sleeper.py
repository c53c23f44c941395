"""A process that falls asleep at one point of its transaction, as if its node were frozen there.

Usage: ``python -m tests.store.sleeper DATABASE PLACE POINT``: PLACE is a folder of this node alone. The
sleeper writes its pid to PLACE/asleep, and sleeps until there is PLACE/awake. It writes the note
"sleeper", once, looking for it again as a worker looks for its claim. Then PLACE/told says what it was
told first: "believed", "unknown" or "fault", and the file that it came to write to.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from slurmband.errors import CommitUnknown, DatabaseFault
from slurmband.locks import host
from slurmband.locks.generations import GenerationLock
from slurmband.store.database import Store

#: Where it can fall asleep, in the order of a transaction, and which look at the lock comes then.
POINTS: Final = (
    "locked",
    "generation known",
    "opened",
    "begun",
    "written",
    "looked",
    "committed",
    "closed",
    "looked again",
    "believed",
)
#: From here on what it is told is that its commit counts.
BELIEVED: Final = ("looked again", "believed")


class Sleeper:
    """One transaction, and the sleep in it.

    Parameters
    ----------
    database, place : Path
    point : str
        One of `POINTS`.
    """

    def __init__(self, database: Path, place: Path, point: str) -> None:
        setattr(host, "PLACES", (str(place),))  # noqa: B010  # it shares this with no other node
        self._place = place
        self._point = point
        self._looks = 0
        self._store = Store(database)
        self._watch_the_steps()

    def run(self) -> None:
        """Write the note, whatever it takes."""
        told = []
        while True:
            try:
                self._note()
                break
            except (CommitUnknown, DatabaseFault) as fault:
                told.append("unknown" if isinstance(fault, CommitUnknown) else "fault")
                if len(told) == 20:
                    raise
                time.sleep(0.1)
        unfinished = self._place / "telling"
        unfinished.write_text(f"{(told or ['believed'])[0]} {self._store.file.name}")
        unfinished.rename(self._place / "told")

    def _note(self) -> None:
        with self._store.transaction() as tx:
            self._reach("begun")
            found = tx.connection.exec_driver_sql("SELECT 1 FROM notes WHERE text = 'sleeper'")
            if found.first() is None:
                tx.connection.exec_driver_sql("INSERT INTO notes VALUES ('sleeper')")

    def _reach(self, point: str) -> None:
        if point != self._point:
            return
        self._point = ""  # once
        unfinished = self._place / "falling asleep"
        unfinished.write_text(str(os.getpid()))
        unfinished.rename(self._place / "asleep")
        while not (self._place / "awake").exists():
            time.sleep(0.02)

    def _watch_the_steps(self) -> None:
        self._before(Store, "_find_generation", "locked")
        self._before(Store, "_connect", "generation known")
        self._before(Store, "_begin", "opened")
        self._before(Store, "_disconnect", "committed")
        look = GenerationLock._look  # of `still_mine`, and of `unlock`

        def looking(lock: GenerationLock) -> bool:
            self._looks += 1
            self._reach({1: "written", 2: "closed", 3: "believed"}.get(self._looks, "-"))
            mine = look(lock)
            self._reach({1: "looked", 2: "looked again"}.get(self._looks, "-"))
            return mine

        setattr(GenerationLock, "_look", looking)  # noqa: B010  # a step to watch

    def _before(self, owner: type, name: str, point: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def wrapped(*args: Any) -> Any:
            self._reach(point)
            return real(*args)

        setattr(owner, name, wrapped)


if __name__ == "__main__":
    Sleeper(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]).run()
