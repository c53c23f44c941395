"""On what it was measured: the machine, its software, and the commit."""

import os
import platform
import re
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.places import ROOT


def describe(folder: Path) -> dict[str, Any]:
    """Describe what figures depend on.

    Parameters
    ----------
    folder : Path
        On the file system that is measured.

    Returns
    -------
    dict
        To be written as JSON.
    """
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_GB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "file_system": _said("findmnt", "-n", "-o", "FSTYPE", "-T", str(folder)) or "unknown",
    }


def commit() -> str:
    """Return the commit of this code, with ``+`` where files differ from it."""
    found = _said("git", "-C", str(ROOT), "rev-parse", "--short=10", "HEAD")
    changed = _said("git", "-C", str(ROOT), "status", "--porcelain")
    return (found or "unknown") + ("+" if changed else "")


def _cpu() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _said(*command: str) -> str:
    """Return what a command prints; nothing where it fails, or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
