"""What is left that no worker can do, and which submissions that needs."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from slurmband.domain.labels import demands, satisfy
from slurmband.domain.workers import LOCAL_CLUSTER
from slurmband.errors import UsageError
from slurmband.slurm.arrays import parse
from slurmband.slurm.command import Run
from slurmband.slurm.environment import TEMPLATE, WORKERS_PER_ELEMENT
from slurmband.slurm.pending import PENDING, ask
from slurmband.slurm.script import exports
from slurmband.slurm.script import labels as offered_by
from slurmband.store import listings, queries
from slurmband.store.database import Store

#: Options of an earlier submission that the next one has of its own.
_OWN = ("--array=", "--comment=")
#: sbatch takes only one of them.
_MEMORY = ("--mem=", "--mem-per-cpu=", "--mem-per-gpu=")


@dataclass(frozen=True, slots=True)
class Need:
    """Tasks that require the same, and the submission that would do them.

    Parameters
    ----------
    requirements : list of str
    tasks : int
        How many of them are left.
    words : list of str
        What comes after ``slurmband submit``.
    directory : str
        Where that is to be said.
    queued : list of int
        Arrays that offer it and are pending: nothing is to be submitted.
    """

    requirements: list[str]
    tasks: int
    words: list[str]
    directory: str
    queued: list[int]


def needed(store: Store, *, run: Run) -> list[Need]:
    """Say which submissions would do what is left and no live worker can do; SLURM is asked once.

    Parameters
    ----------
    store : Store
    run : callable
        Starts a command of SLURM's.

    Raises
    ------
    UsageError
        If nothing was submitted yet that could be submitted again.
    """
    with store.read() as tx:
        left = queries.left_for_nobody(tx)
        rows = [row for row in listings.submission_rows(tx) if row["status"] == "queued"]
    if not left:
        return []
    if not rows:
        raise UsageError("no array of this band was submitted: start one by `slurmband submit`.")
    last, offered = rows[-1], _pending(rows, run)
    return [
        Need(
            *(list(required), tasks, _words(last, required, tasks), last["directory"]),
            queued=[array for array, labels in offered.items() if satisfy(labels, required)],
        )
        for required, tasks in left.items()
    ]


def _pending(rows: Sequence[dict[str, Any]], run: Run) -> dict[int, frozenset[str]]:
    """Return what those arrays offer of which elements are pending, as far as SLURM says so."""
    of_slurm = {row["array_job_id"]: row for row in rows if row["cluster"] != LOCAL_CLUSTER}
    return {
        array: offered_by(of_slurm[array]["script"])
        for array, elements in ask(of_slurm, run=run).arrays.items()
        if any(element.state == PENDING for element in elements.values())
    }


def _words(row: dict[str, Any], requirements: Collection[str], tasks: int) -> list[str]:
    """Write a submission like an earlier one, for workers that offer what is required."""
    sizes = demands(requirements)
    options = [word for word in json.loads(row["options"] or "[]") if not word.startswith(_OWN)]
    labels = [label for label in requirements if ">=" not in label]
    for name, value in sizes.items():
        if name == "mem":
            options = [w for w in options if not w.startswith(_MEMORY)]
            options.append(f"--mem={-(-value // 1024**2):.0f}M")
        elif name == "time":
            options = [w for w in options if not w.startswith(("--time=", "-t"))]
            options.append(f"--time={-(-value // 60):.0f}")
        else:
            labels.append(f"{name}={value:.0f}")
    elements = min(tasks, len(parse(row["array"])))
    own = [*("--array", str(elements)), *(["--labels", ",".join(labels)] if labels else [])]
    local = ["--cluster", row["cluster"]] if row["cluster"] == LOCAL_CLUSTER else []
    return [*own, *local, *_of_ours(row), *options, *_program(row["command"])]


def _of_ours(row: dict[str, Any]) -> list[str]:
    """Write those of our options that an earlier submission was made with and its script tells of."""
    said = exports(row["script"])
    words = []
    if said.get(TEMPLATE, "cpu") != "cpu":
        words += ["--template", said[TEMPLATE]]
    if said.get(WORKERS_PER_ELEMENT, "1") != "1":
        words += ["--workers-per-element", said[WORKERS_PER_ELEMENT]]
    if said.get("SLURMBAND_GROWING") == "1":
        words.append("--growing")
    if row["max_submissions"] is not None:
        words += ["--until-done", "--max-submissions", str(row["max_submissions"])]
    return words


def _program(command: Sequence[str]) -> list[str]:
    """Return what was submitted: a workflow file with its arguments, or a command after ``--``."""
    if list(command[1:4]) == ["-m", "slurmband", "work"]:
        return list(command[4:])
    return ["--", *command]
