"""A process's right to ask SLURM, which it shares with all workers of the band."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from slurmband.errors import EnvironmentFault
from slurmband.slurm.causes import Causes
from slurmband.slurm.command import Reply, Run, run
from slurmband.store import questions
from slurmband.store.database import Store

log = logging.getLogger(__name__)

#: Least time between calls of a command by the workers of a band, in seconds (squeue(1), PERFORMANCE).
ASK_EVERY: Final = 60.0


def counted(store: Store, now: Callable[[], float], *, run: Run = run) -> Run:
    """Return what starts SLURM's commands for a person, and counts them as those of workers are.

    Parameters
    ----------
    store : Store
    now : callable
        UTC seconds since the epoch.
    run : callable
        Starts a command.
    """

    def count_and_run(command: Sequence[str]) -> Reply:
        may_ask_for_person(store, command[0], every=0.0, now=now())
        return run(command)

    return count_and_run


def may_ask_for_person(store: Store, command: str, *, every: float, now: float) -> bool:
    """Take the right to call a command, and count the call; who may only read asks uncounted."""
    try:
        with store.transaction() as tx:
            return questions.take(tx, command, every=every, now=now)
    except EnvironmentFault as fault:
        log.info("%s is called, and not counted: %s", command, fault)
        return True


def causes_for(
    store: Store, now: Callable[[], float], *, every: float = ASK_EVERY, run: Run = run
) -> Causes:
    """Return what asks SLURM on behalf of a band.

    Parameters
    ----------
    store : Store
    now : callable
        UTC seconds since the epoch.
    every : float
        Least time between two calls of a command, of all workers together; 0 for a person who asks.
    run : callable
        Starts a command.
    """

    def may_ask(command: str) -> bool:
        try:
            with store.transaction() as tx:
                return questions.take(tx, command, every=every, now=now())
        except EnvironmentFault as fault:
            log.warning("%s is not called this time: %s", command, fault)
            return False

    return Causes(may_ask, run)
