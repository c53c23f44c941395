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
import json
import os
import select
import signal
import sys
import time

#: Seconds for which processes that a command left behind may go on, such as those of ``> >(tee log)``.
AFTERWARDS = 2.0


def main() -> None:
    """Run one command after the other, for as long as the worker lives."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)  # a command has the default again
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
        session = os.posix_spawnp(
            "bash",
            ["bash", "-c", command],
            os.environ | env,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setsid=True,
        )
    except OSError as error:
        tell(refused=str(error))
        return
    tell(began=session)
    ended = os.pidfd_open(session)
    while ended not in listen(session, ended, None):
        pass
    os.close(ended)
    _, status = os.waitpid(session, 0)
    tell(ended=os.waitstatus_to_exitcode(status), left=not ends_by_itself(session))


def listen(session: int, ended: int | None, seconds: float | None) -> list[int]:
    """Wait for something to happen; hand signals on. If the worker is gone, end all and leave."""
    readable, _, _ = select.select([0] if ended is None else [0, ended], [], [], seconds)
    if 0 in readable:
        numbers = os.read(0, 16)
        if not numbers:
            send(session, signal.SIGKILL)
            sys.exit()
        for number in numbers:
            send(session, number)
    return readable


def ends_by_itself(session: int) -> bool:
    """Whether nothing of a session is left soon; what is, is killed."""
    deadline = time.monotonic() + AFTERWARDS
    while send(session, 0):
        if time.monotonic() > deadline:
            send(session, signal.SIGKILL)
            return False
        listen(session, None, 0.02)
    return True


def send(session: int, number: int) -> bool:
    """Signal all processes of a session; False if there is none."""
    try:
        os.killpg(session, number)
    except (ProcessLookupError, PermissionError):  # what belongs to somebody else is beyond us
        return False
    return True


if __name__ == "__main__":
    main()
