"""The only reader of ``/proc``: who this process is, and whether another one still lives."""

import os
import socket
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Final

from slurmband.domain.processes import Fate, ProcessIdentity

PROC: Final = Path("/proc")


def identify(pid: int | None = None, *, proc: Path = PROC) -> ProcessIdentity:
    """Name a process of this machine (this one by default)."""
    if pid is None and proc == PROC:
        return _identify_once(os.getpid())
    return _identify(os.getpid() if pid is None else pid, proc)


@lru_cache(maxsize=1)
def _identify_once(pid: int) -> ProcessIdentity:
    return _identify(pid, PROC)


def _identify(pid: int, proc: Path) -> ProcessIdentity:
    state_and_start = _stat(pid, proc)
    return ProcessIdentity(
        host=socket.gethostname(),
        boot_id=_boot_id(proc),
        pid_namespace=_pid_namespace(proc),
        pid=pid,
        start_ticks=state_and_start[1] if state_and_start else 0,
    )


def fate_of(other: ProcessIdentity, *, proc: Path = PROC) -> Fate:
    """Say whether a process lives, or is provably gone.

    The proof is narrow on purpose: same boot, same pid namespace, and no process with that pid and
    start time. Anything unreadable (hidepid, EPERM) is `Fate.UNKNOWN`.
    """
    boot_id, namespace = _boot_id(proc), _pid_namespace(proc)
    if not boot_id or not namespace or not other.start_ticks:
        return Fate.UNKNOWN
    if (boot_id, namespace) != (other.boot_id, other.pid_namespace):
        return Fate.UNKNOWN
    try:
        found = _stat(other.pid, proc)
    except OSError:
        return Fate.UNKNOWN
    if found is None:
        return Fate.GONE if _sees_other_processes(other.pid, proc) else Fate.UNKNOWN
    state, start_ticks = found
    if start_ticks != other.start_ticks:
        return Fate.GONE
    if state in "ZX":
        return Fate.UNKNOWN if _has_living_threads(other.pid, proc) else Fate.GONE
    return Fate.STOPPED if state in "Tt" else Fate.ALIVE


def age_of_this_process() -> float:
    """Return the seconds since this process was started; an exec does not begin it anew."""
    uptime = float((PROC / "uptime").read_text().split()[0])
    return max(0.0, uptime - identify().start_ticks / os.sysconf("SC_CLK_TCK"))


def _stat(pid: int, proc: Path) -> tuple[str, int] | None:
    """Return state letter and start time, or None where there is no such entry."""
    try:
        # The name is any 15 bytes: it may be cut within a letter.
        text = (proc / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name in parentheses may hold spaces
    return fields[0], int(fields[19])


def _has_living_threads(pid: int, proc: Path) -> bool:
    """Whether a process whose main thread ended has another one, as one that waits for a file server."""
    try:
        tasks = [task for task in os.listdir(proc / str(pid) / "task") if task != str(pid)]
        found = [_stat(int(task), proc / str(pid) / "task") for task in tasks]
    except OSError:
        return False
    return any(stat is not None and stat[0] not in "ZX" for stat in found)


def _sees_other_processes(pid: int, proc: Path) -> bool:
    """Rule out hidepid, under which a living process of another user has no entry."""
    if proc != PROC:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _boot_id(proc: Path) -> str:
    try:
        return (proc / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _pid_namespace(proc: Path) -> str:
    try:
        return os.readlink(proc / "self/ns/pid")
    except OSError:
        return ""


def with_word(words: Collection[str], *, proc: Path = PROC) -> dict[str, list[int]]:
    """Return, for each word, the processes of this machine that have it in their command line.

    What may not be read (hidepid, another user's) is left out.
    """
    found: dict[str, list[int]] = {word: [] for word in words}
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdecimal()) if words else ():
        try:
            line = (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        for word in words:
            if word in line:
                found[word].append(pid)
    return found
