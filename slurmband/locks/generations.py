"""The lock of a database: one for each generation, so that a break harms nobody who is still alive.

A holder that is provably dead loses the lock as any `LinkLock` does. Of any other holder nobody knows
whether it will write again: it may be frozen, or on a node that is cut off. Its lock is therefore never
removed. A waiter that has seen the lock unchanged for its patience announces the next generation, by
making a file that can be made once, and goes on at the lock of that one; so do all others. Whoever
holds the lock of a generation that has a successor holds nothing: every look of `still_mine` asks.

Who holds the lock for long keeps changing it, so that its waiters see it live.
"""

import logging
import os
import re
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final

from flufl.lock import NotLockedError

from slurmband.clock import Clock
from slurmband.locks.link import NOTES, LinkLock, claim_in, exists, unlink
from slurmband.locks.vigil import Vigil
from slurmband.masks import masked

log = logging.getLogger(__name__)

#: Seconds without a change after which a lock is given up, and the least that makes sense.
PATIENCE: Final = 60.0
LEAST_PATIENCE: Final = 10.0
#: Seconds between two changes by its holder.
TICK_EVERY: Final = 2.0


class GenerationLock(LinkLock):
    """The lock of the newest generation.

    Parameters
    ----------
    stem : str
        Path of the lock files but for the generation: ``…/locks/db``.
    generation : int
        One that there is, or was; at the first taking the newest is found from it.
    patience : float, default 60
        Seconds for which a waiter must see the lock unchanged before it announces the next generation.
    clock : Clock, optional
    """

    def __init__(
        self, stem: str, generation: int, *, patience: float = PATIENCE, clock: Clock | None = None
    ) -> None:
        self._stem = stem
        self._patience = patience
        #: Which generation this lock is of; it only grows.
        self.generation = generation
        super().__init__(self._path(generation), clock=clock)
        self._vigil = Vigil(self._clock.monotonic)
        #: The claim file of the present taking.
        self.held: str | None = None
        _start_ticking(self)

    def lock(self, timeout: float | timedelta | None = None) -> None:
        """Take the lock of the newest generation."""
        self._vigil = Vigil(self._clock.monotonic)
        super().lock(timeout)
        self.held = self._claimfile

    def unlock(self, *, unconditionally: bool = False) -> None:
        """Give the lock back; NotLockedError if it is not ours (any more)."""
        self.held = None
        mine = self._look()
        if mine or self._is_in_lock():  # in a generation that is over: ours all the same
            unlink(self._lockfile)
        unlink(self._claimfile)
        if not (mine or unconditionally):
            raise NotLockedError(f"{self._lockfile} is not ours any more")

    def _look(self) -> bool:
        """Look freshly whether this object holds the lock, and whether its generation is the newest."""
        return super()._look() and not self._has_successor()

    def break_if_lost(self) -> bool:
        """Get the holder out of the way, or go on to the next generation; True: worth a try at once."""
        if self._follow() or super().break_if_lost():
            return True
        if not self._vigil.over(self._record, self._patience):
            return False
        self.give_up(
            f"{claim_in(self._record())} held its lock unchanged for {self._patience:g} s, and nobody "
            "can tell whether it is alive"
        )
        return self._follow()

    def _link(self) -> bool:
        while super()._link():
            if not self._follow():
                return True
        return False

    def _has_successor(self) -> bool:
        # Fresh, since each of our callers has just changed the folder, or tried to.
        return exists(marker(self._stem, self.generation + 1))

    def _follow(self) -> bool:
        """Go on to the newest generation; False if this one is it."""
        if not self._has_successor():
            return False
        if self._read() == self._claimfile:
            unlink(self._lockfile)
        unlink(self._claimfile)
        while self._has_successor():
            self.generation += 1
        self._lockfile = self._path(self.generation)
        self._set_claimfile()
        self._write()
        self._vigil = Vigil(self._clock.monotonic)
        return True

    def give_up(self, why: str) -> None:
        """End this generation; who holds its lock, this object or another, holds nothing any more."""
        announce(self._stem, self.generation + 1, f"generation {self.generation} ended: {why}")

    def _write(self) -> None:
        with open(self._claimfile, "w") as claim:
            claim.write(f"{self._claimfile}{NOTES}{threading.get_native_id()}\n")

    def tick(self, claim: str) -> None:
        """Change the lock of one taking: by its claim file, which is nobody else's."""
        with suppress(OSError):  # it was given back meanwhile, or the file server is away
            descriptor = os.open(claim, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(descriptor, b"tick\n")
            finally:
                os.close(descriptor)

    def _path(self, generation: int) -> str:
        return lock_file(self._stem, generation)


@contextmanager
def making(stem: str, *, patience: float) -> Iterator[None]:
    """Hold a lock around what is made once; whoever loses it meanwhile must see what others made."""
    lock = GenerationLock(stem, 1, patience=patience)
    lock.lock()
    try:
        yield
    finally:
        lock.unlock(unconditionally=True)


def lock_file(stem: str, generation: int) -> str:
    """Return the path of a generation's lock."""
    return f"{stem}.{generation}.lock"


def is_generation_lock(name: str) -> bool:
    """Whether a file of this name is the lock of a generation, which its next taker tidies."""
    return re.fullmatch(r"[a-z]+\.\d+\.lock", name) is not None


def marker(stem: str, generation: int) -> str:
    """Return the path of the file by which a generation was announced."""
    return f"{stem}.{generation}"


def announce(stem: str, generation: int, why: str) -> None:
    """End the generation before this one; of many that announce it the first does, once."""
    with suppress(FileExistsError), open(marker(stem, generation), "x") as file:
        log.warning("a new generation of the database: %s", why)
        file.write(f"{why}\n")


def _start_ticking(lock: GenerationLock) -> None:
    """Have a thread of its own change the lock while it is held for long."""
    thread = threading.Thread(
        target=_tick, args=(weakref.ref(lock),), name="slurmband-lock", daemon=True
    )
    with masked():
        thread.start()


def _tick(reference: "weakref.ref[GenerationLock]") -> None:
    before = None
    while True:
        time.sleep(TICK_EVERY)
        lock = reference()
        if lock is None:
            return
        taking = lock.held  # once: it may be given back meanwhile
        if taking is not None and taking == before:
            lock.tick(taking)
        before = taking
        del lock
