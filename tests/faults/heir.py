"""Whoever goes on with a band whose writer was killed: looks, reaps, and does what is left.

Usage, on another node: ``python -m tests.faults.heir``. For each line ``DATABASE TASKS`` it prints one
line of JSON, which is what `inherit` returns; for ``look DATABASE`` it reads the database, so that this
node has it in its caches.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from slurmband.liveness.reaper import Reaper
from slurmband.processes import fate_of
from slurmband.store.database import Store
from tests.faults.facts import facts
from tests.faults.writer import band_of

#: Seconds; much less than a band may be given, since nobody here is alive.
PATIENCE = 3.0


def inherit(database: Path, tasks: int, *, patience: float = 60.0) -> dict[str, Any]:
    """Go on where the dead one stopped, to the end.

    Parameters
    ----------
    database : Path
    tasks : int
        Length of the chain.
    patience : float, default 60
        Seconds after which a lock is given up whose holder cannot be proven dead from here.

    Returns
    -------
    dict
        "before" and "after": by attempt, its task and outcome, as found and as left; "lost": the reason
        for which each dead worker was judged lost; "ran": the tasks that were run; "generation": the
        file of the database in the end.
    """
    before = facts(database)
    reaper = Reaper(
        Store(database, mode="shared", lock_patience=patience),
        silences=lambda workers: {worker.key: 1e9 for worker in workers},
        ask_slurm=lambda _elements: {},
        fate_of=fate_of,
        now=time.time,
    )
    lost = [str(verdict.reason) for verdict in reaper.run_once().lost]
    ran: list[str] = []
    band_of(database, tasks).run(lambda task: ran.append(task.id))
    after = facts(database)
    return {
        "before": list(before.attempts.items()),
        "after": list(after.attempts.items()),
        "lost": lost,
        "ran": ran,
        "generation": database.resolve().name,
    }


def main() -> None:
    """Answer one line after the other."""
    for line in sys.stdin:
        first, second = line.split()
        if first == "look":
            Store(second, mode="shared").close()
            print(json.dumps({"looked": os.listdir(f"{second}.d/locks")}), flush=True)
        else:
            print(json.dumps(inherit(Path(first), int(second), patience=PATIENCE)), flush=True)


if __name__ == "__main__":
    print(json.dumps({"ready": os.getpid()}), flush=True)
    main()
