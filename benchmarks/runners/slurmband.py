"""slurmband: real ``slurmband work`` processes on a graph that was registered before."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import crew, graphs, marks
from benchmarks.crew import CrewBroken, Done
from benchmarks.places import ROOT, Place
from benchmarks.runners import Run, gated

HOW = (
    "By the workers' clocks, from the first that may claim to the end of the last task. Start-up is "
    "registering the graph and starting `slurmband work` processes until each has claimed a task that "
    "waits for the others."
)
COMMAND = (sys.executable, "-m", "slurmband")
WORKFLOW = ROOT / "benchmarks" / "workflow.py"


def settings(graph: str, workers: int, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what slurmband and the workflow file find in the environment.

    Parameters
    ----------
    graph : str
        As `graphs.make` reads it.
    workers : int
        How many gates there are.
    environ : mapping of str to str, optional
        What else.
    """
    return {
        "SLURMBAND_DB": "slurmband.sqlite",
        marks.GRAPH: graph,
        marks.WORKERS: str(workers),
        **(environ or {}),
    }


def register(place: Place, folder: Path, environ: Mapping[str, str]) -> dict[str, float]:
    """Register the graph; return the seconds and bytes that it took."""
    command = [sys.executable, "-m", "benchmarks.register"]
    took: dict[str, float] = json.loads(place.run(command, folder, environ))
    return took


def work(
    place: Place, folder: Path, environ: Mapping[str, str], workers: int, *, gated: bool = True
) -> Done:
    """Run workers until nothing is left."""
    command = [*COMMAND, "work", str(WORKFLOW)]
    return crew.work(place, command, folder, environ, workers=workers, gated=gated)


def status(place: Place, folder: Path) -> dict[str, Any]:
    """Ask `slurmband status` how many tasks are where."""
    said = place.run([*COMMAND, "status", "--json"], folder, settings("", 0))
    counts: dict[str, Any] = json.loads(said)["tasks"]
    return counts


def run(
    place: Place,
    graph: str,
    workers: int,
    folder: Path,
    environ: Mapping[str, str] | None = None,
) -> Run:
    """Run a graph once.

    Parameters
    ----------
    place : Place
    graph : str
        As `graphs.make` reads it.
    workers : int
    folder : Path
        Where the band lies.
    environ : mapping of str to str, optional
        For slurmband, such as ``SLURMBAND_MODE``.

    Raises
    ------
    CrewBroken
        If not all tasks completed.
    """
    crew.prepare(place, folder)
    given = settings(graph, workers, environ)
    before = register(place, folder, given)
    done = work(place, folder, given, workers)
    counts = status(place, folder)
    if counts["completed"] != counts["total"]:
        raise CrewBroken(f"slurmband says of its tasks: {counts}")
    tasks = sum(1 for _ in graphs.make(graph))
    took = before["read"] + before["register"]
    return gated("slurmband", graph, tasks, done, before=took, how=HOW)
