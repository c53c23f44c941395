"""A worker's side of its launcher: run a command, and end it in time when the worker is to leave."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

_LAUNCHER: Final = Path(__file__).with_name("launcher.py")
#: Seconds that a command has to end when a person will not wait.
AT_ONCE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Exit:
    """How a command ended.

    Parameters
    ----------
    status : int or None
        Its exit status, or the negative number of the signal that killed it; None: nobody knows.
    refused : str, optional
        Why it did not begin, or was ended by no wish of anybody's.
    left : bool
        Whether it left processes behind, which were killed.
    took : float
        Seconds from its start to that.
    """

    status: int | None
    refused: str = ""
    left: bool = False
    took: float = 0.0


class Shell:
    """Runs commands, one at a time; made and used in the thread that hears signals.

    Parameters
    ----------
    grace : float
        Seconds that a command has from SIGTERM to SIGKILL.
    monotonic : callable
        Clock in seconds.
    """

    def __init__(self, *, grace: float, monotonic: Callable[[], float]) -> None:
        self._grace = grace
        self._monotonic = monotonic
        self._signals_in, self._signals_out = os.pipe()
        for descriptor in (self._signals_in, self._signals_out):
            os.set_blocking(descriptor, False)
        self._launcher: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._unread = b""
        self._session: int | None = None
        self._kill_at: float | None = None
        self._heard: frozenset[int] = frozenset()

    def hear(self, number: int) -> None:
        """Take a signal that reached the worker; called by its handler, at any line of `run`."""
        with contextlib.suppress(OSError):
            os.write(self._signals_out, bytes([number]))

    def run(self, command: str, *, cwd: Path, env: Mapping[str, str]) -> Exit:
        """Run a command to its end, or end it if SIGTERM asks the worker to leave.

        Parameters
        ----------
        command : str
        cwd : Path
        env : mapping of str to str
            Added to the environment.
        """
        began = self._monotonic()
        self._ask({"command": command, "cwd": str(cwd), "env": dict(env)})
        try:
            return replace(self._wait(), took=self._monotonic() - began)
        except BaseException:  # such as Ctrl-C: nothing may run on
            self._end(AT_ONCE)
            raise
        finally:
            self._session = self._kill_at = None

    def close(self) -> None:
        """End the launcher."""
        self._hang_up()
        for descriptor in (self._signals_in, self._signals_out):
            os.close(descriptor)

    def heard(self, seconds: float) -> frozenset[int]:
        """Return the signals that have reached the worker; if there is none, wait so long for one."""
        if select.select([self._signals_in], [], [], 0.0 if self._heard else seconds)[0]:
            self._heard |= set(os.read(self._signals_in, 64))
        return self._heard

    def _ask(self, request: Mapping[str, object]) -> None:
        """Hand a command to the launcher; to another one, if that was killed meanwhile."""
        words = json.dumps(request).encode() + b"\n"
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.sendall(words)
                return
            self._hang_up()
        ours, its = socket.socketpair()
        with its:
            self._launcher = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCHER)],
                stdin=its.fileno(),
                start_new_session=True,
            )
        self._line = ours
        ours.sendall(words)

    def _wait(self) -> Exit:
        """Return how the command ended; hand on what the worker is asked meanwhile."""
        line, signals = self._line, self._signals_in
        assert line is not None
        while True:
            seconds = None
            if self._kill_at is not None:
                seconds = max(0.0, self._kill_at - self._monotonic())
            readable, _, _ = select.select([line.fileno(), signals], [], [], seconds)
            if line.fileno() in readable:
                found = self._hear_launcher(line)
                if found is not None:
                    return found
            elif signals in readable:
                if signal.SIGTERM in self.heard(0.0) and self._kill_at is None:
                    self._send(signal.SIGTERM)
                    self._kill_at = self._monotonic() + self._grace
            elif self._kill_at is not None:
                self._send(signal.SIGKILL)
                self._kill_at = self._monotonic() + self._grace

    def _hear_launcher(self, line: socket.socket) -> Exit | None:
        """Read what the launcher says; the end of the command, if it says that."""
        try:
            more = line.recv(1 << 12)
        except ConnectionError:  # it had not read all when it was killed
            more = b""
        if not more:
            return self._without_launcher()
        *words, self._unread = (self._unread + more).split(b"\n")
        for word in words:
            said: dict[str, Any] = json.loads(word)
            if "began" in said:
                self._session = said["began"]
            elif "refused" in said:
                return Exit(None, f"it could not be started: {said['refused']}")
            else:
                return Exit(said["ended"], left=said["left"])
        return None

    def _without_launcher(self) -> Exit:
        """End what a launcher ran that was killed alone."""
        if self._session is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._session, signal.SIGKILL)
        self._hang_up()
        return Exit(None, "the process that starts commands (launcher.py) was killed")

    def _end(self, seconds: float) -> None:
        """End the command in so many seconds."""
        self._send(signal.SIGTERM)
        self._kill_at = self._monotonic() + seconds
        self._wait()

    def _send(self, number: int) -> None:
        if self._line is not None:
            with contextlib.suppress(OSError):  # the launcher is gone: the next look says so
                self._line.sendall(bytes([number]))

    def _hang_up(self) -> None:
        """Close the connection, which ends the launcher and whatever it runs."""
        self._unread = b""
        if self._line is not None and self._launcher is not None:
            self._line.close()
            self._launcher.wait()
        self._line = self._launcher = None
