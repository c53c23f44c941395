"""Printing stretches of logs as they grow, each under a header where there are several."""

import sys
from collections.abc import Iterable
from pathlib import Path

from slurmband.errors import LogFault
from slurmband.observe.stretches import Stretch, renewed
from slurmband.observe.tail import Tail


class Printer:
    """Prints what is new in some stretches at each call.

    Parameters
    ----------
    journals : Path
        The folder of the journals, which tell when an attempt ended.
    lines : int or None
        Print only so many last lines of what is there at first; None: all.
    """

    def __init__(self, journals: Path, *, lines: int | None) -> None:
        self._journals = journals
        self._lines = lines
        self._tails: dict[object, Tail] = {}
        self._begun: set[object] = set()
        self._faults: dict[object, LogFault] = {}
        self._last: object = None

    def take(self, stretches: Iterable[Stretch]) -> None:
        """Print these from now on; with those known before, go on with what is known of them now."""
        tails: dict[object, Tail] = {}
        for stretch in stretches:
            key = (stretch.task, stretch.attempt, stretch.log or stretch.worker)
            tails[key] = self._tails.get(key) or Tail(stretch)
            tails[key].stretch = stretch
        self._tails = tails

    @property
    def attempts(self) -> dict[str, int]:
        """Task -> number of the attempt whose output is printed."""
        found = (tail.stretch for tail in self._tails.values())
        return {of.task: of.attempt for of in found if of.task and of.attempt is not None}

    @property
    def waits(self) -> bool:
        """Whether something is not begun."""
        return any(t.stretch.grows and t.stretch.begin is None for t in self._tails.values())

    @property
    def grows(self) -> bool:
        """Whether more may come."""
        return any(tail.stretch.grows for tail in self._tails.values())

    @property
    def has_whole_logs(self) -> bool:
        """Whether there are logs of workers, of which nobody says where they end."""
        return any(tail.stretch.task is None for tail in self._tails.values())

    @property
    def is_complete(self) -> bool:
        """Whether all was printed that is known to be there, or may come to be seen here."""
        return not any(
            tail.stretch.fault is None and (key in self._faults or tail.missing)
            for key, tail in self._tails.items()
        )

    def print(self) -> None:
        """Print what is new."""
        self._faults.clear()
        for key, tail in self._tails.items():
            try:
                tail.look()
                tail.stretch = renewed(tail.stretch, self._journals)
                self._print(key, tail)
            except LogFault as fault:
                self._faults[key] = fault

    def _print(self, key: object, tail: Tail) -> None:
        if key not in self._begun:
            self._begin(key, tail)
        for block in tail.read():
            self._head(key, tail)
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()

    def _begin(self, key: object, tail: Tail) -> None:
        if self._lines is not None:
            tail.skip_to_last(self._lines)
        if tail.stretch.note is not None:
            sys.stderr.write(f"note: {tail.stretch.note}\n")
        self._head(key, tail)
        self._begun.add(key)

    def _head(self, key: object, tail: Tail) -> None:
        """Say whose lines follow, where the last ones were another's."""
        if len(self._tails) > 1 and key != self._last:
            space = "" if self._last is None else "\n"
            words = f"{space}==> {tail.stretch.what}: {tail.stretch.log} <==\n"
            sys.stdout.buffer.write(words.encode(errors="surrogateescape"))
        self._last = key

    def conclude(self) -> None:
        """Say what could not be printed.

        Raises
        ------
        LogFault
            If that was a whole stretch.
        """
        for key, tail in self._tails.items():
            if key not in self._faults and tail.missing:
                sys.stderr.write(
                    f"note: the last {tail.missing} bytes of {tail.stretch.what} are not in "
                    f"{tail.stretch.log}: it was cut off since, or node {tail.stretch.node} has not "
                    "written them out yet.\n"
                )
        faults = list(self._faults.values())
        for fault in faults[:-1]:
            sys.stderr.write(f"note: {fault}\n")
        for fault in faults[-1:]:
            raise fault
