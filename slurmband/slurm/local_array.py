"""An array on this machine: starts its elements as SLURM would, at most N at a time.

Run as ``python -m slurmband.slurm.local_array JSON``, detached from whoever submitted. Each element gets
SLURM's variables, so that everything in it behaves as on a cluster; SIGTERM or SIGINT to this
process is what scancel is there: a SIGTERM to every element, and after `KILL_WAIT` a SIGKILL. The same
happens to an element at the end of its time, where it has a limit.
"""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Final

from slurmband.clock import SystemClock
from slurmband.domain.workers import LOCAL_CLUSTER
from slurmband.slurm.environment import WORKERS_PER_ELEMENT

#: Seconds between SIGTERM and SIGKILL, as SLURM's KillWait has it by default.
KILL_WAIT: Final = 30.0


class Controller:
    """The processes of one array.

    Parameters
    ----------
    array : mapping
        The fields of `slurmband.slurm.executors.LocalArray`.
    """

    def __init__(self, array: Mapping[str, Any]) -> None:
        self._array = array
        self._pending = sorted((int(index), raw) for index, raw in array["elements"].items())
        self._running: dict[int, list[subprocess.Popen[bytes]]] = {}
        self._kill_at: float | None = None
        #: Index -> the signal that it gets next, and when.
        self._ends: dict[int, tuple[signal.Signals, float]] = {}

    def run(self) -> None:
        """Start elements and wait until all are over."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._cancel)
        while self._pending or self._running:
            limit = self._array["throttle"] or len(self._array["elements"])
            while self._pending and len(self._running) < limit:
                index, raw = self._pending.pop(0)
                self._running[index] = self._start(index, raw)
            if self._kill_at is not None and time.monotonic() > self._kill_at:
                self._signal(signal.SIGKILL)
            self._end_what_is_over()
            time.sleep(0.05)
            self._running = {
                index: processes
                for index, processes in self._running.items()
                if any(process.poll() is None for process in processes)
            }

    def _end_what_is_over(self) -> None:
        for index, processes in self._running.items():
            number, when = self._ends.get(index, (signal.SIGTERM, math.inf))
            if time.monotonic() >= when:
                for process in processes:
                    process.send_signal(number)
                self._ends[index] = (signal.SIGKILL, time.monotonic() + KILL_WAIT)

    def _start(self, index: int, raw: int) -> list["subprocess.Popen[bytes]"]:
        ranks, limit = self._array["workers_per_element"], self._array["time_limit"]
        if limit is not None:
            self._ends[index] = (signal.SIGTERM, time.monotonic() + limit)
        log = Path(element_log(self._array["log"], self._array["array_job_id"], index, raw))
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            return [
                subprocess.Popen(
                    ["bash", self._array["script"]],
                    cwd=self._array["directory"],
                    env=self._environ(index, raw, rank, ranks),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
                for rank in range(ranks)
            ]

    def _environ(self, index: int, raw: int, rank: int, ranks: int) -> dict[str, str]:
        outside = {name: v for name, v in os.environ.items() if not name.startswith("SLURM_")}
        indices = [int(i) for i in self._array["elements"]]
        inside = {
            "SLURM_CLUSTER_NAME": LOCAL_CLUSTER,
            "SLURM_JOB_ID": raw,
            "SLURM_ARRAY_JOB_ID": self._array["array_job_id"],
            "SLURM_ARRAY_TASK_ID": index,
            "SLURM_ARRAY_TASK_COUNT": len(indices),
            "SLURM_ARRAY_TASK_MIN": min(indices),
            "SLURM_ARRAY_TASK_MAX": max(indices),
            "SLURM_SUBMIT_DIR": self._array["directory"],
        }
        if self._array["time_limit"] is not None:
            inside["SLURM_JOB_END_TIME"] = math.floor(
                SystemClock().now() + self._array["time_limit"]
            )
        if ranks > 1:
            inside |= {"SLURM_PROCID": rank, "SLURM_STEP_ID": 0, "SLURM_NTASKS": ranks}
            inside[WORKERS_PER_ELEMENT] = ranks
        return outside | {name: str(value) for name, value in inside.items()}

    def _cancel(self, _number: int, _frame: FrameType | None) -> None:
        self._pending.clear()
        self._kill_at = self._kill_at or time.monotonic() + KILL_WAIT
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        for processes in self._running.values():
            for process in processes:
                process.send_signal(number)


def element_log(pattern: str, array: int, index: int, raw: int | None) -> str:
    """Resolve sbatch's file name pattern (``%A %a %j``) for one element."""
    job = "%j" if raw is None else str(raw)
    return pattern.replace("%A", str(array)).replace("%a", str(index)).replace("%j", job)


if __name__ == "__main__":
    Controller(json.loads(sys.argv[1])).run()
