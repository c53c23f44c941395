"""What SLURM's accounting says: how each life of a job ended, also of those that its queue forgot."""

import logging
from collections.abc import Sequence
from typing import Final

from slurmband.errors import SlurmMissing
from slurmband.slurm.command import Run, run
from slurmband.slurm.words import OUT_OF_MEMORY_SIGNAL, JobState

log = logging.getLogger(__name__)

_FIELDS: Final = ("JobID", "Submit", "State", "DerivedExitCode")
_NONE: Final = "accounting storage is disabled"


class Accounting:
    """Questions to sacct; none any more once it is known that there is no accounting.

    Parameters
    ----------
    run : callable
        Starts a command.
    """

    def __init__(self, run: Run = run) -> None:
        self._run = run
        #: Whether there is no accounting here, as far as was seen.
        self.absent = False

    def lives(self, jobs: Sequence[str]) -> dict[str, list[JobState]]:
        """Ask once for elements and jobs; return the lives of those that are known, the first first.

        A requeued job is submitted anew each time, under the same id: the order tells its lives apart.
        """
        # -X: the state of the job itself; -D: of earlier lives, too; without -S: from the beginning.
        words = ["sacct", "-X", "-P", "-D", "-n", "-j", ",".join(sorted(set(jobs)))]
        try:
            reply = self._run([*words, "-o", ",".join(_FIELDS)])
        except SlurmMissing as missing:
            log.info("%s", missing)
            self.absent = True
            return {}
        if reply.returncode != 0:
            log.info("sacct: %s", reply.stderr.strip())
            self.absent = _NONE in reply.stderr.lower()
            return {}
        rows = [line.split("|") for line in reply.stdout.splitlines()]
        found: dict[str, list[JobState]] = {}
        for row in sorted(
            (row for row in rows if len(row) == len(_FIELDS)), key=lambda row: row[1]
        ):
            job, _, state, derived = row
            lives = found.setdefault(job, [])
            _, _, signal = derived.partition(":")
            lives.append(JobState(state, len(lives), signal == str(OUT_OF_MEMORY_SIGNAL)))
        return found
