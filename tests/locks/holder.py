"""Processes that hold locks and meet with accidents."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

#: Seconds after which a condition that did not come true has failed.
PATIENCE = 120.0

_HOLD = """
import sys, time
from pathlib import Path
from flufl.lock import Lock
from slurmband.locks.generations import GenerationLock
from slurmband.locks.host import HostLock
from slurmband.locks.link import LinkLock
kind, path = sys.argv[1:]
if kind == "host":
    held = HostLock(Path(path), directory=Path(path).parent).hold()
    held.__enter__()
else:
    made = {"link": LinkLock, "stock": Lock, "generation": lambda stem: GenerationLock(stem, 1)}
    lock = made[kind](path)
    lock.lock()
print("held", flush=True)
time.sleep(600)
"""


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; fail when it does not for too long."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


class Holder:
    """Another process that holds a lock.

    Parameters
    ----------
    path : Path
    kind : str
        "link", "stock" (flufl's own), "generation" (then `path` is the stem), or "host".
    """

    def __init__(self, path: Path, kind: str = "link") -> None:
        command = [sys.executable, "-c", _HOLD, kind, str(path)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "held\n"

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        wait_for(lambda: Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2][1] in "Tt")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
