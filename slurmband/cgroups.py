"""What the kernel counts for the control group of this process.

Sources: cgroups(7), and "memory.events" in the kernel's admin-guide/cgroup-v2; the first version has
the same counter in memory.oom_control. SLURM makes a group for each step of a job.
"""

import os
from functools import cache
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_GROUPS: Final = Path("/sys/fs/cgroup")


def oom_kills(*, proc: Path = _PROC, groups: Path = _GROUPS) -> int:
    """Return how many processes of this process's group were killed for memory; 0 if nobody counts."""
    try:
        counter = _counter(os.getpid(), proc, groups)
        if counter is None:
            return 0
        with open(counter, "rb", buffering=0) as file:  # each round reads it
            words = file.read().split()
        return int(words[words.index(b"oom_kill") + 1])
    except (OSError, ValueError, IndexError):
        return 0


@cache
def _counter(_pid: int, proc: Path, groups: Path) -> Path | None:
    """Return the file with the count; a process stays in the group that it was started in."""
    mine = (proc / "self" / "cgroup").read_text()
    found = dict(line.split(":", 2)[1:] for line in mine.splitlines())
    for controllers, path in found.items():
        if "memory" in controllers.split(","):
            return groups / "memory" / path.lstrip("/") / "memory.oom_control"
    return groups / found[""].lstrip("/") / "memory.events" if "" in found else None
