"""What the kernel counts for the control group of this process.

Sources: cgroups(7), and "memory.events" in the kernel's admin-guide/cgroup-v2; the first version has
the same counter in memory.oom_control. SLURM makes a group for each step of a job.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_GROUPS: Final = Path("/sys/fs/cgroup")


def oom_kills(*, proc: Path = _PROC, groups: Path = _GROUPS) -> int:
    """Return how many processes of this process's group were killed for memory; 0 if nobody counts."""
    try:
        lines = [line for file in _counters(proc, groups) for line in file.read_text().splitlines()]
    except OSError:
        return 0
    words = [line.split() for line in lines]
    return sum(int(count) for name, count in words if name == "oom_kill")


def _counters(proc: Path, groups: Path) -> Iterator[Path]:
    for line in (proc / "self" / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield groups / "memory" / path.lstrip("/") / "memory.oom_control"
            return
    yield groups / path.lstrip("/") / "memory.events"  # the last line is that of the second version
