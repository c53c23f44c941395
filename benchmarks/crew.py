"""A crew of worker processes: started, gathered at a gate, let go at one moment, and waited for."""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import marks
from benchmarks.places import PATIENCE, Place


class CrewBroken(Exception):
    """A worker process failed, or the crew did not do all of its tasks."""


@dataclass(frozen=True)
class Done:
    """What a crew did.

    Parameters
    ----------
    start_up : float
        Seconds from starting the first process until all stood at the gate.
    workers : list of dict
        What each process noted, see `marks`.
    """

    start_up: float
    workers: list[dict[str, Any]]

    @property
    def first_claim(self) -> float:
        """When the first worker was free to claim a task, in seconds since the Unix epoch."""
        return float(min(notes["passed"] for notes in self.workers))

    @property
    def last_report(self) -> float:
        """When the last task ended, in seconds since the Unix epoch.

        The report of it is not waited for. On the other hand `first_claim` is before the report of the
        gate, so that there are as many rounds of report and claim in between as there are tasks.
        """
        return float(max(ended for notes in self.workers for ended in notes["ended"]))

    @property
    def tasks(self) -> int:
        """How many tasks they did."""
        return sum(len(notes["ended"]) for notes in self.workers)

    @property
    def processor_time(self) -> float:
        """Seconds that the workers' main threads ran, all together, from the gate to their last task."""
        return float(sum(notes["on_cpu"] for notes in self.workers))


def prepare(place: Place, folder: Path) -> None:
    """Make the folders that a crew needs."""
    for name in ("ready", "marks", "logs"):
        place.make(folder / name)
    place.write(folder / "go", "")


def work(
    place: Place,
    command: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    *,
    workers: int,
    gated: bool = True,
) -> Done:
    """Run a command in several processes, and return what they noted.

    Parameters
    ----------
    place : Place
    command : sequence of str
    folder : Path
        Their working directory, which was prepared.
    environ : mapping of str to str
    workers : int
        How many processes.
    gated : bool, default True
        Whether they wait for each other at a gate.

    Raises
    ------
    CrewBroken
        If one of them fails, or they take too long.
    """
    given = {marks.FOLDER: str(folder), marks.WORKERS: str(workers if gated else 0), **environ}
    begun = time.time()
    deadline = begun + PATIENCE
    processes: list[subprocess.Popen[str]] = []
    try:
        for number in range(workers):
            log = folder / "logs" / f"{number}.log"
            processes.append(place.start(number, command, folder, given, log))
        if gated:
            while len(list((folder / "ready").iterdir())) < workers:
                _check(processes, folder, deadline, may_end=False)
            ready = time.time()
            place.write(folder / "go", str(ready + place.notice))
        else:
            ready = begun
        while any(process.poll() is None for process in processes):
            _check(processes, folder, deadline, may_end=True)
        _check(processes, folder, deadline, may_end=True)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    notes = [json.loads(file.read_text()) for file in (folder / "marks").glob("*.json")]
    return Done(ready - begun, notes)


def _check(
    processes: Sequence["subprocess.Popen[str]"], folder: Path, deadline: float, *, may_end: bool
) -> None:
    """Wait a moment; look whether a process failed."""
    time.sleep(0.02)
    for number, process in enumerate(processes):
        status = process.poll()
        if status or (status == 0 and not may_end):
            log = folder / "logs" / f"{number}.log"
            text = log.read_text()[-2000:] if log.exists() else ""
            raise CrewBroken(f"worker process {number} ended with {status}: {text}")
    if time.time() > deadline:
        raise CrewBroken(f"not done after {PATIENCE:.0f} s")
