"""What ``ps`` and ``top`` show of a worker: its name, and the task that it is in."""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

#: This process's short name; at most 15 bytes of what is written there are kept, proc(5).
COMM: Final = "/proc/self/comm"
#: Tells setproctitle to leave the process's environment as it is in /proc, where others may read it.
_KEEP_ENVIRONMENT: Final = "SPT_NOENV"


class Title:
    """Shows nothing: the process is not ours to rename."""

    def in_task(self, worker: str, task: str, attempt: int) -> None:
        """Show that the worker is in a task."""

    def doing(self, worker: str, what: str) -> None:
        """Show what else it does: ``waiting``, ``leaving``."""

    def restore(self) -> None:
        """Show what was shown at first."""


class ProcessTitle(Title):
    """Shows it as the process's short name; and as its command line, where setproctitle is installed.

    The short name is ``sb:bake`` in a task and ``sb waiting`` outside; the command line reads
    ``slurmband 36_1: task bake, attempt 2``, as far as the original one was long.
    """

    def __init__(self) -> None:
        self._first_name = b""
        with suppress(OSError), open(COMM, "rb") as file:
            self._first_name = file.read().rstrip(b"\n")
        self._set_line, self._first_line = _command_line()  # setproctitle changes the name as well
        self._descriptor: int | None = None

    def in_task(self, worker: str, task: str, attempt: int) -> None:
        """Show that the worker is in a task."""
        name = task if task.isprintable() else "".join(c if c.isprintable() else "?" for c in task)
        self._show(f"slurmband {worker}: task {name}, attempt {attempt}", f"sb:{name}".encode())

    def doing(self, worker: str, what: str) -> None:
        """Show what else it does."""
        self._show(f"slurmband {worker}: {what}", f"sb {what}".encode())

    def restore(self) -> None:
        """Show what was shown at first."""
        if self._descriptor is not None:
            self._show(self._first_line, self._first_name)
            os.close(self._descriptor)
            self._descriptor = None

    def _show(self, line: str, name: bytes) -> None:
        self._set_line(line)
        with suppress(OSError):  # where it cannot be written, it stays as it is
            if self._descriptor is None:
                self._descriptor = os.open(COMM, os.O_WRONLY | os.O_CLOEXEC)
            os.write(self._descriptor, name)


def _command_line() -> tuple[Callable[[str], object], str]:
    """Return what sets the command line, and the present one; nothing where it cannot be set."""
    try:
        import setproctitle
    except ImportError:
        return (lambda _line: None), ""
    asked = os.environ.get(_KEEP_ENVIRONMENT)
    os.environ[_KEEP_ENVIRONMENT] = "1"
    try:
        return setproctitle.setproctitle, setproctitle.getproctitle()
    finally:
        if asked is None:
            del os.environ[_KEEP_ENVIRONMENT]
