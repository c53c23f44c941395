"""What SLURM says of the arrays of a band: how many elements are where, and why they are pending."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from slurmband.errors import SlurmMissing
from slurmband.slurm.command import Run, run

#: Array, index, state, expected or actual start, and the reason, which may hold anything.
_FORMAT: Final = "%F|%K|%T|%S|%r"
PENDING: Final = "PENDING"


@dataclass(frozen=True, slots=True)
class QueuedElement:
    """One element, as squeue lists it; `start` is by SLURM's own clock, None where it is not known."""

    state: str
    reason: str
    start: str | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """What squeue said.

    Parameters
    ----------
    arrays : mapping of int to mapping of int to QueuedElement
        Array -> index -> element, of those that are in the queue.
    silence : str or None
        Why squeue could not tell; None: it told.
    """

    arrays: Mapping[int, Mapping[int, QueuedElement]] = field(default_factory=dict)
    silence: str | None = None


def ask(arrays: Iterable[int], *, run: Run = run) -> Queue:
    """Ask squeue once for arrays; those that are over are left out.

    Parameters
    ----------
    arrays : iterable of int
    run : callable
        Starts a command.
    """
    ids = ",".join(map(str, sorted(set(arrays))))
    if not ids:
        return Queue()
    try:
        reply = run(["squeue", "-h", "-r", "-j", ids, "-o", _FORMAT])
    except SlurmMissing:
        return Queue(silence="there is no squeue on this machine")
    if reply.returncode == 0:
        return Queue(_read(reply.stdout))
    if "invalid job id" in reply.stderr.lower():  # all of them are over
        return Queue()
    return Queue(silence=" ".join(reply.stderr.split()) or "squeue failed and did not say why")


def _read(text: str) -> dict[int, dict[int, QueuedElement]]:
    found: dict[int, dict[int, QueuedElement]] = {}
    for line in text.splitlines():
        fields = [part.strip() for part in line.split("|", 4)]
        if len(fields) == 5 and fields[0].isdecimal() and fields[1].isdecimal():
            array, index, state, start, reason = fields
            known = None if start in ("N/A", "") else start
            found.setdefault(int(array), {})[int(index)] = QueuedElement(state, reason, known)
    return found


def reasons(elements: Iterable[QueuedElement]) -> Sequence[tuple[str, int]]:
    """Count the pending elements by reason, the most frequent first."""
    return Counter(e.reason for e in elements if e.state == PENDING).most_common()
