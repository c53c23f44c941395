"""The stretch of a log in which one attempt's output stands, and who else wrote there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slurmband.liveness import parts
from slurmband.liveness.parts import Part, Told
from slurmband.observe.maps import Row, log_of


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a log that was asked for.

    Parameters
    ----------
    worker, node : str or None
        Who wrote it, and where; None where no worker was in that element yet.
    log : str or None
        None where it went to no file that is known.
    begin : int or None
        Bytes before it; None where that is not known.
    end : int or None
        Bytes up to its end; None: to the end of the file.
    grows : bool
        Whether more may come.
    task : str or None
        None for a worker's whole log.
    attempt : int or None
        Number of the attempt.
    stream : str
        ``out`` or ``err``; ``out`` where both go to one file.
    note : str or None
        What a reader is to know of it.
    fault : str or None
        Why it cannot be shown.
    id, key : int or None
        Of the attempt and of its incarnation, in the database.
    """

    worker: str | None
    node: str | None
    log: str | None = None
    begin: int | None = 0
    end: int | None = None
    grows: bool = False
    task: str | None = None
    attempt: int | None = None
    stream: str = "out"
    note: str | None = None
    fault: str | None = None
    id: int | None = None
    key: int | None = None

    @property
    def what(self) -> str:
        """What it is, for people."""
        if self.task is not None:
            return f"attempt {self.attempt} of {self.task!r}"
        return f"worker {self.worker}" if self.worker else "an element that no worker was in yet"

    def row(self) -> dict[str, Any]:
        """Return it as a listing shows it."""
        fields = ("task", "attempt", "worker", "node", "stream", "log", "begin", "end")
        return {name: getattr(self, name) for name in fields} | {"note": self.fault or self.note}


@dataclass(frozen=True, slots=True)
class Records:
    """What is known of all workers: rows of the database, and their journals.

    Parameters
    ----------
    journals : Path
        The folder.
    places : sequence of dict
        As `slurmband.store.listings.place_rows` gives them.
    patterns : mapping of int to str or None
        Array job id -> pattern of its elements' logs.
    """

    journals: Path
    places: Sequence[Row]
    patterns: Mapping[int, str | None]

    def told(self, attempt: Row) -> Told | None:
        """Return what its worker's journal says of an attempt; None: nothing."""
        return parts.read(self.journals, attempt["key"]).get(attempt["id"])

    def of_attempt(self, task: str, attempt: Row, told: Told | None) -> list[Stretch]:
        """Return what an attempt wrote: a stretch of each file that its output went to.

        Parameters
        ----------
        task : str
        attempt : dict
            One of `slurmband.store.listings.attempt_rows`.
        told : Told or None
        """
        worker = attempt["worker"]
        base = Stretch(
            worker,
            attempt["node"],
            task=task,
            attempt=attempt["attempt"],
            id=attempt["id"],
            key=attempt["key"],
        )
        if told is None or not told.parts:
            fault = f"worker {worker} wrote to a pipe (as under srun) or a terminal"
            if told is None:
                fault = f"the journal of worker {worker} does not tell of it (any more)"
            log = log_of(attempt, self.patterns)
            return [replace(base, log=log, begin=None, fault=_not_known(base, fault))]
        return [self._of_part(base, attempt, part, told) for part in told.parts]

    def _of_part(self, base: Stretch, attempt: Row, part: Part, told: Told) -> Stretch:
        grows = not told.ended and attempt["outcome"] is None
        later, beside, after = [], [], []
        for other, begins in self._others_in(part.log, attempt):
            if other["key"] > attempt["key"]:
                later += [begin for begin in begins if begin >= part.begin]
            if attempt["ended"] is not None and other["started"] >= attempt["ended"]:
                after += begins
            elif other["ended"] is None or other["ended"] > attempt["started"]:
                beside.append(other["worker"])
        found = replace(
            base, log=part.log, stream=part.stream, begin=part.begin, end=part.end, grows=grows
        )
        if part.end is None and not grows:  # it goes as far as to where another worker went on
            found = replace(found, end=min(later, default=None))
        if after and min(after) < (part.end or part.begin):
            return replace(
                found, fault=_not_known(base, f"{part.log} was overwritten by a later worker")
            )
        if beside:
            who = ", ".join(beside[:4]) + (" and others" if len(beside) > 4 else "")
            found = replace(
                found, note=f"{who} wrote to the same log meanwhile: lines may be theirs"
            )
        return found

    def _others_in(self, log: str, attempt: Row) -> Iterator[tuple[Row, list[int]]]:
        """Yield the other incarnations that wrote to a log, each with where its attempts began in it."""
        element = ("array_job_id", "array_task_id", "job")
        for other in self.places:
            near = attempt["job"] is not None and all(other[f] == attempt[f] for f in element)
            if other["key"] != attempt["key"] and (near or other["log"] == log):
                told = parts.read(self.journals, other["key"]).values()
                begins = [part.begin for of in told for part in of.parts if part.log == log]
                if begins or other["log"] == log:
                    yield other, begins


def _not_known(stretch: Stretch, why: str) -> str:
    return (
        f"what {stretch.what} printed cannot be told apart: {why}. "
        f"`slurmband logs {stretch.worker}` prints all that is left of its worker's log."
    )


def renewed(stretch: Stretch, journals: Path) -> Stretch:
    """Return a stretch with its end, if its attempt's end has been written down meanwhile."""
    if not stretch.grows or stretch.key is None or stretch.id is None:
        return stretch
    told = parts.read(journals, stretch.key).get(stretch.id)
    if told is None or not told.ended:
        return stretch
    ends = [part.end for part in told.parts if part.log == stretch.log]
    return replace(stretch, grows=False, end=ends[0] if ends else None)
