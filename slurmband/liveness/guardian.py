"""The guardian: a small process that beats for its worker, and hears the signals it cannot hear.

User code may hold the interpreter for hours, so neither beats nor signals can rely on the worker. The
guardian starts in milliseconds because it imports the standard library only; it is run as a
file, never imported by the worker.

It rewrites the beat file while the worker lives and is not stopped, says so on its standard output
("b", or "l" when the file is gone because the worker was judged lost), and ends with the worker. On
its standard input come the numbers of the signals that reach the worker, written there by the
interpreter's own C handler, how long the present attempt may take, and whether to beat: a worker that is
held up lets others go on without it. After a SIGTERM, to either of them, and after an attempt's time is
over, the worker has some seconds to do its part; then the guardian releases its claims and kills it.
"""

import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time

#: Seconds that a release may take before the worker is killed all the same.
RELEASE_TAKES = 20.0
#: How long an attempt may take, as `slurmband.liveness.heartbeat` writes it: a mark that is no signal's
#: number, seconds, and the attempt.
LIMIT = struct.Struct("=Bdq")
LIMIT_MARK = 0xFF
#: No signals' numbers either: the worker asks not to be beaten for, until it says so.
SILENT_MARK, BEATING_MARK = 0xFE, 0xFD


def main(argument: str) -> int:
    """Guard one worker until it ends.

    Parameters
    ----------
    argument : str
        JSON: ``worker`` (pid), ``beat`` (path), ``interval`` and ``release_after`` (seconds),
        ``release`` (argument list of the program that releases the claims).
    """
    settings = json.loads(argument)
    # The thread that starts a guardian anew takes no signals, and a process inherits that.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signals_in, signals_out = os.pipe()
    os.set_blocking(signals_out, False)
    signal.set_wakeup_fd(signals_out)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)
    try:
        worker = os.pidfd_open(settings["worker"])
    except ProcessLookupError:
        return 0
    if os.getppid() != settings["worker"]:
        return 0  # it died before we could look

    beat, next_beat, deadline = 0, time.monotonic(), None
    with contextlib.suppress(OSError):
        # Kept open, so that no CLOSE overtakes an OPEN by others of this node: see liveness/notice.py.
        os.open(settings["beat"], os.O_RDWR)
    overdue: list[str] = []
    heard = {0, signals_in}
    words = Words()
    while True:
        now = time.monotonic()
        if now >= next_beat:
            next_beat = now + settings["interval"]
            if not (words.silent or is_stopped(settings["worker"])):
                beat += 1
                try:
                    write_beat(settings["beat"], beat)
                except FileNotFoundError:
                    tell(b"l")
                    return 0
                except OSError:
                    pass  # it was no beat: nobody saw it, and the worker must not believe in it
                else:
                    tell(b"b")
        if deadline is not None and now >= deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    settings["release"] + overdue,
                    check=False,
                    stdin=subprocess.DEVNULL,
                    timeout=RELEASE_TAKES,
                )
            signal.pidfd_send_signal(worker, signal.SIGKILL)
            return 0
        if words.until <= now - settings["release_after"] and deadline is None:
            deadline, overdue = now, [str(words.attempt)]
            continue
        wake = min(next_beat, words.until + settings["release_after"])
        wake = min(wake, deadline if deadline is not None else wake)
        readable, _, _ = select.select([worker, *heard], [], [], max(0.0, wake - now))
        if worker in readable:
            return 0
        for source in heard & set(readable):
            read = os.read(source, 64)
            if not read:
                heard = heard - {source}
            numbers = words.hear(read) if source == 0 else list(read)
            if signal.SIGTERM in numbers and deadline is None:
                deadline = time.monotonic() + settings["release_after"]


class Words:
    """What the worker says, and until when its present attempt may take."""

    def __init__(self) -> None:
        self._rest = b""
        self.until = float("inf")
        self.attempt = 0
        #: Whether not to beat.
        self.silent = False

    def hear(self, read: bytes) -> list[int]:
        """Return the numbers of signals among what was read; keep what is not whole yet."""
        numbers = []
        self._rest += read
        while self._rest:
            if self._rest[0] in (SILENT_MARK, BEATING_MARK):
                self.silent = self._rest[0] == SILENT_MARK
                self._rest = self._rest[1:]
            elif self._rest[0] != LIMIT_MARK:
                numbers.append(self._rest[0])
                self._rest = self._rest[1:]
            elif len(self._rest) >= LIMIT.size:
                _, seconds, self.attempt = LIMIT.unpack_from(self._rest)
                self.until = time.monotonic() + seconds
                self._rest = self._rest[LIMIT.size :]
            else:
                break
        return numbers


def write_beat(path: str, beat: int) -> None:
    """Rewrite the beat file; FileNotFoundError: it is gone; another OSError: nobody sees this beat."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, f"{beat}\n".encode(), 0)
    finally:
        os.close(descriptor)  # on NFS this is what sends it, and says that it could not


def is_stopped(pid: int) -> bool:
    """Whether the process is stopped (SIGSTOP, a debugger, a suspended job)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] in "Tt"
    except OSError:
        return False


def tell(word: bytes) -> None:
    """Write to the worker, who may be too busy to read: never wait for it."""
    with contextlib.suppress(OSError):
        os.write(1, word)


if __name__ == "__main__":
    os.set_blocking(1, False)
    sys.exit(main(sys.argv[1]))
