"""What is to be said of an array: how many of its elements are where, and why some are pending."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slurmband.domain.band_facts import ArrayFacts
from slurmband.domain.workers import LOCAL_CLUSTER
from slurmband.observe.words import plural
from slurmband.slurm.local_array import element_log
from slurmband.slurm.pending import PENDING, Queue, QueuedElement, reasons
from slurmband.slurm.pending_reasons import PendingReason, explain
from slurmband.slurm.script import labels

#: Said where nobody knows what SLURM means.
_UNKNOWN = PendingReason(
    "SLURM gives a reason that is not known here", "ask SLURM", "scontrol show job {job}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayReport:
    """What is to be said of one array.

    Parameters
    ----------
    line : str
        Where its elements are.
    more : list of str
        Further lines.
    advice, command : str, str or None
        What to do about it.
    pending, running : int
        Elements; of an array on this machine, processes.
    waits : bool
        Whether what is pending starts by itself.
    told : bool
        Whether it could be told at all.
    labels : frozenset of str
        What its workers offer.
    facts : dict
    """

    line: str
    more: list[str] = field(default_factory=list)
    advice: str = ""
    command: str | None = None
    pending: int = 0
    running: int = 0
    waits: bool = True
    told: bool = True
    labels: frozenset[str] = frozenset()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_there(self) -> bool:
        """Whether workers may still come of it."""
        return bool(self.pending or self.running)


def report(array: ArrayFacts, queue: Queue, processes: Mapping[str, Sequence[int]]) -> ArrayReport:
    """Say where the elements of an array are.

    Parameters
    ----------
    array : ArrayFacts
    queue : Queue
        What squeue said.
    processes : mapping of str to sequence of int
        Token of a submission -> its processes on this machine.
    """
    name = f"array {array.array_job_id}"
    facts: dict[str, Any] = {
        "array_job_id": array.array_job_id,
        "cluster": array.cluster,
        "elements": array.elements,
        "labels": sorted(labels(array.script)),
        "pending": 0,
        "running": 0,
        "reasons": {},
    }
    if array.array_job_id is None:
        return _not_queued(array, facts)
    if array.cluster == LOCAL_CLUSTER:
        return _local(array, name, processes.get(array.token, ()), facts)
    if queue.silence is not None:
        line = f"{name}: what SLURM does with it cannot be told: {queue.silence}"
        return ArrayReport(line=line, told=False, labels=labels(array.script), facts=facts)
    found = queue.arrays.get(array.array_job_id, {})
    if not found:
        over = f"{name}: SLURM has none of its {plural(array.elements, 'element')} any more"
        return ArrayReport(line=over, more=_unseen(array), labels=labels(array.script), facts=facts)
    return _queued(array, name, found, facts)


def _not_queued(array: ArrayFacts, facts: dict[str, Any]) -> ArrayReport:
    error = " ".join((array.error or "").split())
    why = f": {error}" if error else ""
    if array.status == "refused":
        return ArrayReport(line=f"array [{array.array}] was refused{why}", facts=facts)
    return ArrayReport(
        line=f"it is not known whether array [{array.array}] is queued{why}",
        advice="run the same `slurmband submit` again: it looks the array up before it queues another",
        told=False,
        facts=facts,
    )


def _local(array: ArrayFacts, name: str, pids: Sequence[int], facts: dict[str, Any]) -> ArrayReport:
    if pids:
        shown = ", ".join(map(str, pids[:4])) + (", ..." if len(pids) > 4 else "")
        line = f"{name}: runs on this machine (pid {shown})"
        return ArrayReport(
            line=line,
            running=len(pids),
            labels=labels(array.script),
            facts=facts | {"running": len(pids)},
        )
    line = f"{name}: no process of it is left on this machine"
    return ArrayReport(line=line, more=_unseen(array), labels=labels(array.script), facts=facts)


def _queued(
    array: ArrayFacts, name: str, found: Mapping[int, QueuedElement], facts: dict[str, Any]
) -> ArrayReport:
    states = Counter(element.state for element in found.values())
    pending, running = states.pop(PENDING, 0), states.get("RUNNING", 0)
    others = [f"{n} {state.lower()}" for state, n in states.most_common()]
    line = f"{name}: of {plural(array.elements or len(found), 'element')} "
    line += ", ".join([*others, *([f"{pending} pending"] if pending else [])])
    why = reasons(found.values())
    first, worst = None, None
    more = []
    for reason, n in why[:3]:
        meaning = explain(reason) or _UNKNOWN
        first = first or meaning
        worst = worst or (None if meaning.waits else meaning)
        count = f"{n} of them: " if len(why) > 1 else ""
        more.append(f"{count}{meaning.says} (SLURM: {reason})")
    starts = sorted(e.start for e in found.values() if e.state == PENDING and e.start)
    if starts:
        more.append(f"SLURM expects the first of them to start at {starts[0]}, by its own clock")
    chosen = worst or first
    return ArrayReport(
        line=line,
        more=more,
        advice=chosen.advice if chosen else "",
        command=chosen.command.format(job=array.array_job_id)
        if chosen and chosen.command
        else None,
        pending=pending,
        running=running,
        waits=worst is None,
        labels=labels(array.script),
        facts=facts | {"pending": pending, "running": running, "reasons": dict(why)},
    )


def _unseen(array: ArrayFacts) -> list[str]:
    """Tell of elements in which no worker ever joined, and where they may have said why."""
    if not array.unseen or array.array_job_id is None:
        return []
    line = f"in {array.unseen} of its {plural(array.elements, 'element')} no worker ever joined"
    if array.log and array.first_unseen is not None and "%j" not in array.log:
        line += f"; see {element_log(array.log, array.array_job_id, array.first_unseen, None)}"
    return [line]


def lines(reports: Iterable[ArrayReport]) -> list[str]:
    """Write reports as evidence: those of which workers may come, else the newest."""
    reports = list(reports)
    there = [each for each in reports if each.is_there or not each.told]
    return [text for each in (there or reports[-1:])[-4:] for text in (each.line, *each.more)]
