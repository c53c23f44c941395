"""The clock of this machine beside the file server's, which stamps a file that was just written."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from slurmband.doctor.findings import Finding, Level

#: Seconds beyond which a person should know, and beyond which something is wrong.
APART: Final = 2.0
FAR_APART: Final = 60.0
NAME: Final = "clock"


def compare(folder: Path, file_system: str, *, now: Callable[[], float]) -> Finding:
    """Write a file, and compare its time with this machine's.

    Parameters
    ----------
    folder : Path
        Of one's own.
    file_system : str
        Only on NFS the server stamps files.
    now : callable
        This machine's clock, in seconds since the epoch.
    """
    if not file_system.startswith("nfs"):
        return Finding(
            NAME, Level.OK, f"nothing to compare with: {file_system} uses this machine's"
        )
    file = folder / "clock"
    before = now()
    file.write_text("now\n")
    descriptor = os.open(file, os.O_RDONLY)
    try:
        stamp = os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
    return judge(stamp, before, now())


def judge(stamp: float, before: float, after: float) -> Finding:
    """Say what a file's time means that was written between two looks at this machine's clock."""
    apart = stamp - before if stamp < before else max(0.0, stamp - after)
    word = "behind" if apart > 0 else "ahead of"
    found = f"this machine is {abs(apart):.1f} s {word} the file server"
    if abs(apart) < APART:
        return Finding(NAME, Level.OK, f"within {APART:.0f} s of the file server's")
    if abs(apart) < FAR_APART:
        return Finding(NAME, Level.NOTE, f"{found}; slurmband compares no clocks")
    return Finding(
        NAME,
        Level.WARNING,
        found,
        "slurmband compares no clocks, but times in listings are wrong, and programs like make may be, "
        "too: ask for this machine's clock to be set (NTP)",
    )
