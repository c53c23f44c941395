"""What a worker does once it has left for lack of time: see to it that its array goes on."""

import os
import subprocess
import sys
from contextlib import suppress
from typing import Final

from slurmband.slurm.environment import UNTIL_DONE

#: Seconds that this may take: SLURM kills soon.
PATIENCE: Final = 60.0


def continue_array(database: str, worker: int) -> None:
    """Run what queues the next array, if this one is to continue itself and the worker was its last.

    Parameters
    ----------
    database : str
    worker : int
        Key of the incarnation that has left.
    """
    if not os.environ.get(UNTIL_DONE):
        return
    command = [sys.executable, "-m", "slurmband.submission.continuation", database, str(worker)]
    with suppress(subprocess.TimeoutExpired, OSError):
        subprocess.run(command, check=False, stdin=subprocess.DEVNULL, timeout=PATIENCE)
