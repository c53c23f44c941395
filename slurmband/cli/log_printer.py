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
        """Print these from now on; of those known before, go on with what is known of them now."""
        for stretch in stretches:
            key = (stretch.task, stretch.attempt, stretch.log or stretch.worker)
            self._tails.setdefault(key, Tail(stretch)).stretch = stretch

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to print yet."""
        return not self._tails

    @property
    def grows(self) -> bool:
        """Whether more may come."""
        return any(tail.stretch.grows for tail in self._tails.values())

    @property
    def is_complete(self) -> bool:
        """Whether all that is known to be there was printed."""
        return not self._faults and not any(tail.missing for tail in self._tails.values())

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
