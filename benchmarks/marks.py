"""What each worker process notes by its own clock, and the gate at which all wait for each other.

It runs in the environments of the peers, too, and so needs nothing but Python.
"""

import atexit
import json
import os
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: Variables by which a worker process is told where to note, and how often to look for the word to go.
FOLDER: Final = "SLURMBAND_BENCHMARK_FOLDER"
LOOK_EVERY: Final = "SLURMBAND_BENCHMARK_LOOK_EVERY"
#: Variables that say what the workers work on: a graph, and how many workers there are.
GRAPH: Final = "SLURMBAND_BENCHMARK_GRAPH"
WORKERS: Final = "SLURMBAND_BENCHMARK_WORKERS"
#: How often each task is to fail before it completes.
FAILURES: Final = "SLURMBAND_BENCHMARK_FAILURES"


class Marks:
    """The notes of this process, written into the folder when it ends.

    Parameters
    ----------
    folder : Path
        With folders ``ready`` and ``marks``, and a file ``go``, which is empty as yet.
    also : mapping of str to object, optional
        What else is written down, as it is in the end.
    """

    def __init__(self, folder: Path, also: Mapping[str, object] | None = None) -> None:
        self._folder = folder
        self._also = also or {}
        self._name = f"{os.uname().nodename}-{os.getpid()}"
        self._began: list[float] = []
        self._ended: list[float] = []
        self._passed: float | None = None
        self._cpu_at_first: float | None = None
        self._at_gate = self._at_last = b"0 0 0"
        self._schedule = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        atexit.register(self.write)

    @classmethod
    def here(cls, also: Mapping[str, object] | None = None) -> "Marks":
        """Take the folder from the environment."""
        return cls(Path(os.environ[FOLDER]), also)

    def gate(self) -> None:
        """Say that this worker is ready, and wait for the moment at which all begin.

        That moment is written into a file that is there already: a shared file system may go on saying
        for half a minute that there is none.
        """
        (self._folder / "ready" / self._name).touch()
        while not (word := (self._folder / "go").read_text()):
            time.sleep(float(os.environ.get(LOOK_EVERY, "0.02")))
        time.sleep(max(0.0, float(word) - time.time()))
        self._passed = time.time()
        self._at_gate = os.pread(self._schedule, 100, 0)

    def do(self, seconds: float = 0.0) -> None:
        """Do a task: sleep, or nothing."""
        if self._cpu_at_first is None:
            self._cpu_at_first = time.process_time()
        self._began.append(time.time())
        if seconds:
            time.sleep(seconds)
        self._ended.append(time.time())
        self._at_last = os.pread(self._schedule, 100, 0)

    def write(self) -> None:
        """Leave the notes behind."""
        before = self._at_gate.split()
        after = self._at_last.split() if self._ended else before
        notes = {
            "passed": self._passed,
            "began": self._began,
            "ended": self._ended,
            "cpu_at_first": self._cpu_at_first,
            "on_cpu": (int(after[0]) - int(before[0])) / 1e9,
            "waited_for_cpu": (int(after[1]) - int(before[1])) / 1e9,
            "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            **self._also,
        }
        (self._folder / "marks" / f"{self._name}.json").write_text(json.dumps(notes))
