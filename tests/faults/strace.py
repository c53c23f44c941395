"""Faults made by strace: which system calls a process makes, and one of them failing or killing it."""

import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.faults.warm import Start, here

#: What can fail on a file. Not mmap, and not what Python asks of terminals.
CALLS = (
    *("open", "openat", "read", "pread64", "write", "pwrite64", "close", "fsync", "fdatasync"),
    *(
        "link",
        "linkat",
        "unlink",
        "unlinkat",
        "rename",
        "renameat",
        "renameat2",
        "mkdir",
        "mkdirat",
    ),
    *("fcntl", "ftruncate", "fallocate", "stat", "lstat", "fstat", "newfstatat", "statx", "access"),
    *("faccessat2", "readlink", "readlinkat", "utimensat", "getdents64", "lseek"),
    *("symlink", "symlinkat"),
)


@dataclass(frozen=True)
class Call:
    """The `number`-th call of that name that a process makes from now on."""

    name: str
    number: int
    line: str

    def __str__(self) -> str:
        return f"{self.name} #{self.number} ({self.line[:200]})"


class Trace:
    """What strace wrote of one process, line by line."""

    def __init__(self, tracer: "subprocess.Popen[bytes]") -> None:
        assert tracer.stderr is not None
        self._tracer = tracer
        first = tracer.stderr.readline().decode()
        if " attached" not in first:
            raise OSError(first.strip() or "strace ended")
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)  # or a full pipe would stop the worker
        self._reader.start()

    def _read(self) -> None:
        assert self._tracer.stderr is not None
        self.lines.extend(line.decode(errors="replace") for line in self._tracer.stderr)

    def end(self) -> None:
        """Let the process go, and wait for the last line."""
        self._tracer.terminate()
        self._reader.join()
        self._tracer.communicate()


@cache
def why_not() -> str | None:
    """Say why faults cannot be made on this machine; None where they can."""
    if shutil.which("strace") is None:
        return "no strace here (Debian: apt-get install strace)"
    child = subprocess.Popen(["sleep", "60"])
    try:
        with attached(child.pid, "-e", "trace=none"):
            return None
    except OSError as error:
        return f"strace may not attach to a process here: {error}"
    finally:
        child.kill()
        child.wait()


@contextmanager
def attached(pid: int, *words: str, start: Start = here) -> Iterator[Trace]:
    """Trace the main thread of a process, and no other, inside the block."""
    tracer = start("strace", "-p", str(pid), "-y", "-s", "0", *words)
    try:
        trace = Trace(tracer)
    except OSError:
        tracer.kill()
        tracer.communicate()
        raise
    try:
        yield trace
    finally:
        trace.end()


def clean_trace(calls: Sequence[str] = CALLS) -> tuple[str, str]:
    """Write the arguments by which strace shows calls."""
    return ("-e", "trace=" + ",".join(f"?{name}" for name in calls))


def inject(what: str, *calls: Call) -> list[str]:
    """Write the arguments by which strace does `what` at each of some calls, and shows what it did."""
    words = list(clean_trace([call.name for call in calls]))
    for call in calls:
        words += ["-e", f"inject={call.name}:{what}:when={call.number}"]
    return words


def calls_in(trace: Trace, folder: Path) -> list[Call]:
    """Return the calls that concern what lies in `folder`, numbered among all of their name."""
    numbers: Counter[str] = Counter()
    found = []
    for line in trace.lines:
        name = re.match(r"(\w+)\(", line)
        if name is None or name[1] not in CALLS:
            continue
        numbers[name[1]] += 1
        if os.fspath(folder) in line:
            found.append(Call(name[1], numbers[name[1]], line.strip()))
    return found
