"""The worker's side of its guardian: start it, hear from it, start it again when it dies alone."""

import contextlib
import json
import logging
import os
import signal
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from slurmband.masks import masked

log = logging.getLogger(__name__)

#: What the guardian hears beside the numbers of signals: a mark, seconds, and an attempt.
_LIMIT: Final = struct.Struct("=Bdq")
_LIMIT_MARK: Final = 0xFF
_SILENT, _BEATING = bytes([0xFE]), bytes([0xFD])
_GUARDIAN: Final = Path(__file__).with_name("guardian.py")


class Heartbeat:
    """The beats of one incarnation.

    Parameters
    ----------
    beat_file : Path
        Rewritten by the guardian; must exist.
    interval, timeout : float
        Seconds between beats, and seconds of silence after which others may suspect this worker.
    release : sequence of str
        Argument list of the program that releases this incarnation's claims.
    release_after : float
        Seconds from a SIGTERM until that program is run, and this process killed.
    monotonic : callable
        Clock in seconds.
    """

    def __init__(
        self,
        beat_file: Path,
        *,
        interval: float,
        timeout: float,
        release: Sequence[str],
        release_after: float,
        monotonic: Callable[[], float],
    ) -> None:
        self.interval = interval
        self.timeout = timeout
        self._monotonic = monotonic
        self._settings = json.dumps(
            {
                "worker": os.getpid(),
                "beat": str(beat_file),
                "interval": interval,
                "release": list(release),
                "release_after": release_after,
            }
        )
        self._last = monotonic()
        self._lost = False
        self._silent = False
        #: Called at each beat that is heard, in a thread of its own.
        self.on_beat: Callable[[], object] = lambda: None
        self._closing = False
        #: Until when an attempt may take, by our own clock, and which.
        self._until: tuple[float, int] | None = None
        self._signals_in, self._signals_out = os.pipe()
        os.set_blocking(self._signals_out, False)
        self._guardian = self._start()
        self._old_wakeup: int | None = None
        self._listener = threading.Thread(target=self._listen, name="slurmband-beats", daemon=True)
        with masked():
            self._listener.start()

    @property
    def lost(self) -> bool:
        """Whether the guardian learned that this incarnation was judged lost."""
        return self._lost

    @property
    def guardian_pid(self) -> int:
        """Process id of the present guardian."""
        return self._guardian.pid

    def fresh(self) -> bool:
        """Whether the last beat is young enough that nobody can suspect this worker yet."""
        margin = min(0.1 * self.timeout, (self.timeout - self.interval) / 2)
        return self._monotonic() - self._last < self.timeout - margin

    def forward(self, number: int) -> None:
        """Let the guardian know of a signal that reached this process."""
        self._say(bytes([number]))

    def limit(self, seconds: float | None, attempt: int = 0) -> None:
        """Let the guardian end this process if an attempt takes longer than that; None: no more.

        It leaves the worker as long to stop the task itself as it leaves it after a SIGTERM.
        """
        self._until = None if seconds is None else (self._monotonic() + seconds, attempt)
        self._say_limit()

    def _say_limit(self) -> None:
        until, attempt = self._until or (float("inf"), 0)
        self._say(_LIMIT.pack(_LIMIT_MARK, until - self._monotonic(), attempt))

    def hold_back(self) -> None:
        """Let the beats stop: this worker is held up, and others are to go on without it."""
        self._silent = True
        self._say(_SILENT)

    def go_on(self) -> None:
        """Let the beats go on, if they were held back."""
        if self._silent:
            self._silent = False
            self._say(_BEATING)

    def _say(self, words: bytes) -> None:
        with contextlib.suppress(OSError):
            os.write(self._signals_out, words)

    def hear_signals(self) -> None:
        """Have the interpreter's C handler forward signals, however busy Python is.

        Where the program has a wake-up descriptor of its own, or runs the band in another thread than
        the main one, nothing is done: then Python's own handler tells the guardian, a little later.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        before = signal.set_wakeup_fd(self._signals_out, warn_on_full_buffer=False)
        if before == -1:
            self._old_wakeup = before
            _HEARING.add(self)
        else:
            signal.set_wakeup_fd(before)

    def stop(self) -> None:
        """End the guardian."""
        self._closing = True
        _HEARING.discard(self)
        if self._old_wakeup is not None and threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._old_wakeup)
        self._guardian.kill()
        self._listener.join()
        for descriptor in (self._signals_in, self._signals_out):
            os.close(descriptor)

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARDIAN), self._settings],
            stdin=self._signals_in,
            stdout=subprocess.PIPE,
        )

    def _listen(self) -> None:
        """Hear every beat; when the guardian dies alone, start another."""
        while True:
            guardian = self._guardian
            assert guardian.stdout is not None
            with guardian.stdout as words:
                while word := words.read(1):
                    self._last = self._monotonic()
                    self._lost = self._lost or word == b"l"
                    self.on_beat()
            status = guardian.wait()
            if self._closing or self._lost:
                return
            log.warning("the guardian ended alone (status %d): starting another", status)
            self._guardian = self._start()
            if self._until is not None:
                self._say_limit()
            if self._silent:
                self.hold_back()
            if self._closing:  # it was asked to end while this one began
                self._guardian.kill()


#: Who hears this process's signals. What is sent to a forked child is not meant for the worker.
_HEARING: Final["weakref.WeakSet[Heartbeat]"] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    if _HEARING:
        signal.set_wakeup_fd(-1)
        _HEARING.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
