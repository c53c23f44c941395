"""Replay a workflow trace: each task sleeps for its recorded runtime, times a scale.

``slurmband submit --array 100 wfformat.py TRACE.json [--scale 0.05] [--log FILE]``

Traces in WfFormat 1.5 (https://wfcommons.org/format) tell the parents of each task in
``workflow.specification.tasks`` and its runtime in ``workflow.execution.tasks``. With ``--log``, tasks
write when they began and ended, one JSON line each, so that the order can be checked afterwards
without believing any database.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slurmband import Task


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", type=Path, help="a WfFormat 1.5 file")
    parser.add_argument("--scale", type=float, default=0.05, help="seconds per recorded second")
    parser.add_argument("--log", type=Path, help="folder for one log file per process")
    return parser.parse_args()


def tasks() -> Iterator[Task[float]]:
    """Yield one task per task of the trace, with its runtime in seconds."""
    trace: dict[str, Any] = json.loads(arguments().trace.read_text())["workflow"]
    executed = trace["execution"]["tasks"]
    seconds = {task["id"]: float(task["runtimeInSeconds"]) for task in executed}
    for task in trace["specification"]["tasks"]:
        yield Task(task["id"], data=seconds[task["id"]], dependencies=set(task["parents"]))


def run(task: Task[float]) -> None:
    """Sleep as long as the task took, scaled."""
    chosen = arguments()
    note(chosen.log, task, "began")
    time.sleep((task.data or 0.0) * chosen.scale)
    note(chosen.log, task, "ended")


def note(folder: Path | None, task: Task[float], what: str) -> None:
    """Append a line to this process's own file."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    line = {"task": task.id, "attempt": task.attempt, "what": what, "at": time.time()}
    with (folder / f"{os.uname().nodename}-{os.getpid()}.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")
