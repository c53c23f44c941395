"""A command that is a task: what it runs with, what tells it from others, what its exit status says."""

import hashlib
import json
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: Longest readable part of an id that is made from a command.
_SHOWN: Final = 40
#: Hexadecimal digits of the hash behind it: of a hundred thousand commands, no two share 48 bits.
_DIGITS: Final = 12
#: What stands for something in a command. ``${id}`` is the shell's.
_PLACEHOLDER: Final = re.compile(r"(?<!\$)\{(id|attempt)\}")
#: What means nothing to a shell, wherever it stands.
_HARMLESS: Final = re.compile(r"[A-Za-z0-9_.,:=+@%/-]*")


@dataclass(frozen=True, slots=True)
class Command:
    """A line of shell, and with what it is run.

    Parameters
    ----------
    text : str
        For ``bash -c``.
    cwd : str or None
        The directory; a relative one is meant from where the worker runs, which is also the default.
    env : mapping of str to str
        Added to the worker's environment.
    """

    text: str
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 over all of it, in hexadecimal."""
        whole = json.dumps([self.text, self.cwd, sorted(self.env.items())])
        return hashlib.sha256(whole.encode()).hexdigest()

    @property
    def name(self) -> str:
        """An id that people can read, the same wherever the command stands: ``fit.py-seed-3-1f3a…``."""
        words = (word.rpartition("/")[2] or word for word in self.text.split())
        shown = re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(words)).strip("-._") or "command"
        if len(shown) > _SHOWN:  # what tells commands apart is mostly at their end
            shown = f"{shown[:14].rstrip('-._')}..{shown[16 - _SHOWN :].lstrip('-._')}"
        return f"{shown}-{self.digest[:_DIGITS]}"

    def filled(self, task: str, attempt: int) -> str:
        """Return the text with ``{id}`` and ``{attempt}`` filled in, and other braces left alone."""
        values = {"id": task, "attempt": str(attempt)}
        return _PLACEHOLDER.sub(lambda found: values[found[1]], self.text)

    def can_hold(self, task: str) -> bool:
        """Whether an id can be filled in without meaning anything to the shell."""
        return _HARMLESS.fullmatch(task) is not None or self.filled("", 1) == self.filled("x", 1)


#: What a shell means by these.
_SAID_BY_SHELL: Final = {126: "it cannot be executed", 127: "no such command"}


def signal_of(status: int) -> int | None:
    """Return the signal that ended a command: itself (-9), or what the shell ran (128 + 9)."""
    number = -status if status < 0 else status - 128
    return number if number in set(signal.Signals) else None


def reason_of(status: int) -> str:
    """Say in words how a command ended.

    Parameters
    ----------
    status : int
        Its exit status; the negative number of the signal that killed it.

    Examples
    --------
    >>> reason_of(3), reason_of(-11), reason_of(139)
    ('exit status 3', 'killed by SIGSEGV', 'exit status 139 (SIGSEGV)')
    """
    number = signal_of(status)
    name = None if number is None else signal.Signals(number).name
    if status < 0:
        return f"killed by {name or f'signal {-status}'}"
    said = name or _SAID_BY_SHELL.get(status)
    return f"exit status {status}" + (f" ({said})" if said else "")
