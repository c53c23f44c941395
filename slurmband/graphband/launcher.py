"""The launcher: a small process that starts a worker's commands, and ends them when the worker dies.

Each command is a session of its own, so that all its processes can be ended together, and no terminal
or signal for the worker reaches them. A worker that is killed cannot end its command; the launcher sees
its end of the connection close, and kills the whole session: the task will be somebody else's, and
must not be worked on twice.

On its standard input, a socket, come a JSON line for each command, and then, while that runs, single
bytes: numbers of signals for it. Back go JSON lines: ``began`` (its session), then ``ended`` (exit
status, or the negative number of a signal) and ``left`` (whether it left processes behind, which were
killed); or ``refused`` (why it could not be started). It starts in milliseconds because it imports the
standard library only; it is run as a file, never imported.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time

#: Seconds for which processes that a command left behind may go on, such as those of ``> >(tee log)``.
AFTERWARDS = 2.0
#: Of prctl(2): what a command's processes leave behind becomes a child of this process.
PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Run one command after the other, for as long as the worker lives."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)  # a command has the default again
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    while line := read_line():
        run(**json.loads(line))


def read_line() -> bytes:
    """Read what to run; nothing when the worker is gone."""
    line = b""
    while not line.endswith(b"\n"):
        more = os.read(0, 1 << 16)
        if not more:
            return b""
        line += more
    return line[line.index(b"{") :]  # before it: signals for a command that had just ended


def tell(**words: object) -> None:
    """Write to the worker; it may be gone, which the next read shows."""
    with contextlib.suppress(BrokenPipeError):
        os.write(0, json.dumps(words).encode() + b"\n")


def run(command: str, cwd: str, env: dict[str, str]) -> None:
    """Run one command to its end."""
    try:
        os.chdir(cwd)
        leader = os.posix_spawnp(
            "bash",
            ["bash", "-c", command],
            os.environ | env,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setsid=True,
        )
    except OSError as error:
        tell(refused=str(error))
        return
    tell(began=leader)
    session = Session(leader)
    status = session.wait()
    tell(ended=status, left=not session.ends_by_itself())


class Session:
    """All processes of one command.

    Parameters
    ----------
    leader : int
        The shell, which gives the session its number.
    """

    def __init__(self, leader: int) -> None:
        self._leader = leader
        self._asked_to_end = False

    def wait(self) -> int:
        """Return how the shell ended; hand signals on meanwhile."""
        ended = os.pidfd_open(self._leader)
        while ended not in self._listen([0, ended], None):
            pass
        os.close(ended)
        _, status = os.waitpid(self._leader, 0)
        return os.waitstatus_to_exitcode(status)

    def ends_by_itself(self) -> bool:
        """Whether nothing is left soon; what is, is killed.

        What was asked to end has the time that the worker gives it: the shell is the first to go.
        """
        deadline = time.monotonic() + AFTERWARDS
        while self._is_there():
            if time.monotonic() > deadline and not self._asked_to_end:
                self._send(signal.SIGKILL)
                return False
            self._listen([0], 0.02)
        return True

    def _listen(self, sources: list[int], seconds: float | None) -> list[int]:
        """Wait for something to happen; hand signals on. If the worker is gone, end all and leave."""
        readable, _, _ = select.select(sources, [], [], seconds)
        if 0 in readable:
            numbers = os.read(0, 16)
            if not numbers:
                self._send(signal.SIGKILL)
                sys.exit()
            for number in numbers:
                self._send(number)
            self._asked_to_end = True
        return readable

    def _is_there(self) -> bool:
        """Whether a process is left; one that has ended is there until somebody asks how."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        return self._send(0)

    def _send(self, number: int) -> bool:
        """Signal all processes; False if there is none."""
        try:
            os.killpg(self._leader, number)
        except (ProcessLookupError, PermissionError):  # somebody else's are beyond us
            return False
        return True


if __name__ == "__main__":
    main()
