"""What a name on the command line means: a task, a worker, a node, or one of SLURM's ids."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from slurmband.errors import UsageError
from slurmband.slurm.ids import JobId, parse_id
from slurmband.store import listings, queries
from slurmband.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Named:
    """What some words mean, taken together.

    Parameters
    ----------
    tasks : set of str
        Tasks that are so called.
    tried_by : set of int
        Keys of the incarnations that had an attempt at one of these tasks.
    places : set of int
        Keys of the incarnations that were named, or whose node, element or job was.
    jobs : list of JobId
        Ids of SLURM's: an element that no worker was in yet has no other name.
    """

    tasks: set[str] = field(default_factory=set)
    tried_by: set[int] = field(default_factory=set)
    places: set[int] = field(default_factory=set)
    jobs: list[JobId] = field(default_factory=list)

    @property
    def workers(self) -> set[int]:
        """Keys of all incarnations that the words lead to."""
        return self.tried_by | self.places


def find(tx: Transaction, words: Sequence[str]) -> Named | None:
    """Say what words mean; None where there are none, so that everything is meant.

    A word is a task if one is so called. Else it is the workers and the node so called, and what SLURM
    means by it: ``36_1`` is the element in all its lives, ``36_1r2`` one worker.

    Raises
    ------
    UsageError
        If a word means nothing here.
    """
    if not words:
        return None
    named = Named()
    for word in words:
        if listings.task_row(tx, word) is not None:
            named.tasks.add(word)
            named.tried_by.update(queries.workers_at(tx, word))
        elif not _add_place(tx, word, named):
            raise UsageError(
                f"nothing is called {word!r} here. Write a task's id, a worker's or a node's name, or "
                "an id of SLURM's: 36, 36_1, 36_[1-3,7], a raw id. `slurmband tasks`, `slurmband "
                "workers` and `slurmband jobs` list them."
            )
    return named


def _add_place(tx: Transaction, word: str, named: Named) -> bool:
    rows = listings.place_rows(tx)
    found = {row["key"] for row in rows if word in (row["worker"], row["node"])}
    job = parse_id(word)
    if job is not None and not job.is_life and not (found and job.suffix):
        found.update(row["key"] for row in rows if job.names(row))
        if found or any(map(job.names, listings.element_rows(tx))):
            named.jobs.append(job)
            named.places.update(found)
            return True
    named.places.update(found)
    return bool(found)
