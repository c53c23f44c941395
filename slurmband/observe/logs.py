"""Finding what tasks and workers printed: which stretches of which logs."""

from collections.abc import Mapping, Sequence
from typing import Final

from slurmband.domain.attempts import Outcome
from slurmband.domain.states import ACTIVE
from slurmband.errors import UsageError
from slurmband.liveness import parts
from slurmband.observe import names
from slurmband.observe.maps import Row, log_of, patterns_of
from slurmband.observe.names import Named
from slurmband.observe.stretches import Records, Stretch
from slurmband.store import listings
from slurmband.store.database import Store, Transaction

#: How an attempt ended that was begun for certain, whatever became of its worker's journal.
_BEGUN: Final = frozenset({Outcome.COMPLETED, Outcome.FAILED, Outcome.KILLED})


def find(
    store: Store,
    words: Sequence[str],
    *,
    attempt: int | None = None,
    known: Mapping[str, int] | None = None,
    patient: bool = False,
) -> list[Stretch]:
    """Find what was asked for, as it is now.

    Parameters
    ----------
    store : Store
    words : sequence of str
        Tasks, and other names as `slurmband.observe.names` knows them: their workers' whole logs.
    attempt : int, optional
        Number of the attempt at each task; None: the newest that was begun.
    known : mapping of str to int, optional
        Task -> number of the attempt that is meant, whatever has begun since.
    patient : bool, default False
        Of a task that has not begun and may yet, return a stretch that grows and has no begin.

    Raises
    ------
    UsageError
        If a word means nothing here, or an attempt was not begun.
    """
    with store.read() as tx:
        named = names.find(tx, words) or Named()
        patterns = patterns_of(listings.submission_rows(tx))
        records = Records(store.layout.journals, listings.place_rows(tx), patterns)
        tasks = [
            (_task_row(tx, task), listings.attempt_rows(tx, task)) for task in sorted(named.tasks)
        ]
        empty = _elements_without_worker(tx, named, records.places)
    if attempt is not None and (named.places or named.jobs):
        raise UsageError(
            f"--attempt {attempt} is of a task. Leave it out to see the logs of workers, nodes and jobs."
        )
    found: list[Stretch] = []
    for task, attempts in tasks:
        number = (known or {}).get(task["id"], attempt)
        found += _of_task(records, task, attempts, number=number, patient=patient)
    found += _of_places(records, [row for row in records.places if row["key"] in named.places])
    return found + [Stretch(None, None, log_of(row, patterns)) for row in empty]


def _task_row(tx: Transaction, task: str) -> Row:
    row = listings.task_row(tx, task)
    assert row is not None
    return row


def _elements_without_worker(tx: Transaction, named: Named, places: Sequence[Row]) -> list[Row]:
    """Return elements that were named and have no worker: their logs tell of job scripts that failed."""
    seen = {(row["array_job_id"], row["array_task_id"]) for row in places}
    return [
        row
        for row in listings.element_rows(tx)
        if (row["array_job_id"], row["array_task_id"]) not in seen
        and any(job.names(row) for job in named.jobs)
    ]


def _of_task(
    records: Records, task: Row, attempts: Sequence[Row], *, number: int | None, patient: bool
) -> list[Stretch]:
    for attempt in reversed(attempts):
        if number in (None, attempt["attempt"]):
            told = records.told(attempt)
            if told is not None or attempt["outcome"] in _BEGUN:
                return records.of_attempt(task["id"], attempt, told)
    why = _not_begun(task, [row["attempt"] for row in attempts], number)
    if patient and task["state"] in ACTIVE and not _is_over(attempts, number):
        return [Stretch(None, None, begin=None, grows=True, task=task["id"], fault=why)]
    raise UsageError(why)


def _is_over(attempts: Sequence[Row], number: int | None) -> bool:
    """Whether that attempt can never begin any more."""
    ended = [row["attempt"] for row in attempts if row["outcome"] is not None]
    return number is not None and number <= max(ended, default=0)


def _not_begun(task: Row, known: Sequence[int], number: int | None) -> str:
    name, state = task["id"], task["state"]
    waits = f"`slurmband logs --follow {name}` waits for it." if state in ACTIVE else ""
    if number is None:
        return f"task {name!r} is {state} and has not begun yet, so that it has printed nothing. {waits}"
    if number in known:
        return (
            f"attempt {number} of {name!r} was claimed and not begun, so that it has printed nothing. "
            f"`slurmband where {name}` lists the others."
        )
    listed = ", ".join(map(str, known)) or "none yet"
    return (
        f"task {name!r} has no attempt {number} (there are: {listed}; `slurmband prune` may have "
        f"forgotten older ones). {waits}"
    )


def _of_places(records: Records, rows: Sequence[Row]) -> list[Stretch]:
    """Return whole logs, each once, though several workers may have written to it."""
    found: dict[str, Stretch] = {}
    nowhere = []
    for row in rows:
        own = log_of(row, records.patterns)
        logs = [own] if own is not None else []
        logs += [log for log in parts.logs_of(records.journals, row["key"]) if log != own]
        for log in logs:
            grows = row["ended"] is None or (log in found and found[log].grows)
            found[log] = Stretch(row["worker"], row["node"], log, grows=grows)
        if not logs:
            why = f"worker {row['worker']} printed to a terminal or a pipe, and to no log."
            nowhere.append(Stretch(row["worker"], row["node"], fault=why))
    return [*found.values(), *nowhere]
