"""The history checker: what three witnesses say of a run must fit together, and each rule says how.

The attempt's id is the fence, and so it is the name of a piece of work here. Order is taken from the
database's own sequence, from one process's own file, or from the clock of one boot of one node; two
nodes' clocks are never compared. The band is one that is never reset, invalidated or cancelled.

It is longer than other files so that all that is held against a history can be read in one place.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

from tests.cluster.records import Attempt, History, Line


class Kind(StrEnum):
    """What can be wrong."""

    LOST = "lost"  #: a worker was told of it, or it was asked for, and it is not there
    DOUBLED = "doubled"  #: counted twice, or done again although its end could be read
    DISORDER = "out of order"  #: it began before what it depends on had completed
    LATE = "late report accepted"  #: recorded for a worker whose claim had been revoked
    OPEN = "left open"  #: a claim of a worker that is over
    MISTOLD = "told wrongly"  #: a worker was told that a report was refused, which is recorded


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One thing that is wrong, with the evidence in words."""

    kind: Kind
    evidence: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.evidence}"


def check(history: History) -> list[Anomaly]:
    """Return all that is wrong with a run that is over; nothing for a right one."""
    seen = _Seen(history)
    return [anomaly for rule in RULES for anomaly in rule(seen)]


class _Seen:
    """A history, and what several rules ask of it."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.database = history.database
        self.attempts = history.database.attempts

    def lines(self, *what: str) -> Iterator[Line]:
        return (line for line in self.history.lines if line.what in what)

    def recorded(self) -> Iterator[tuple[Line, int, str]]:
        """Yield which attempts a worker was told to be recorded, and as what."""
        for line in self.lines("told"):
            for attempt, outcome in line.of["recorded"].items():
                yield line, int(attempt), outcome

    @cached_property
    def completed(self) -> dict[str, list[Attempt]]:
        """The completed attempts of each task."""
        found = defaultdict(list)
        for attempt in self.attempts.values():
            if attempt.outcome == "completed":
                found[attempt.task].append(attempt)
        return found

    @cached_property
    def ended(self) -> dict[int, Line]:
        """Where each attempt's code came to its end."""
        return {line.of["attempt"]: line for line in self.lines("ended")}

    @cached_property
    def could_be_read(self) -> dict[int, float]:
        """From when, on the clock of its boot, a worker's journal told of the end of an attempt."""
        reports = self.lines("reports")
        return {key: line.at for line in reports for key in line.of["attempts"]}

    @cached_property
    def claimed(self) -> dict[int, Line]:
        """Where each claim was told to its worker."""
        return {
            claimed["attempt"]: line
            for line in self.lines("told")
            for claimed in line.of["claimed"]
        }


Rule = Callable[[_Seen], Iterator[Anomaly]]


# --- lost ---------------------------------------------------------------------------------------


def graph_lost(seen: _Seen) -> Iterator[Anomaly]:
    """The band is over, so every task that was asked for is there and has completed."""
    graph, states = seen.history.graph, seen.database.states
    for task in graph:
        if (state := states.get(task)) != "completed":
            yield Anomaly(Kind.LOST, f"the band is over and task {task} is {state}")
    edges = {(above, below) for below, needs in graph.items() for above in needs}
    for above, below in sorted(edges - seen.database.edges):
        yield Anomaly(Kind.LOST, f"{below} depends on {above}, and the database does not know")


def claim_lost(seen: _Seen) -> Iterator[Anomaly]:
    """A claim that a worker was told of is in the database, as it was told."""
    for line in seen.lines("told"):
        for claimed in line.of["claimed"]:
            row = seen.attempts.get(claimed["attempt"])
            told = (claimed["task"], claimed["number"], line.of["worker"])
            if row is None or (row.task, row.number, row.worker) != told:
                given = f"{line.process} was given {claimed}; the database has {row}"
                yield Anomaly(Kind.LOST, given)


def journaled_lost(seen: _Seen) -> Iterator[Anomaly]:
    """An attempt in a worker's journal is in the database, as that worker's."""
    for worker, journal in seen.history.journals.items():
        for key in journal:
            row = seen.attempts.get(key)
            if row is None or row.worker != worker:
                told = f"worker {worker} journaled attempt {key}; the database has {row}"
                yield Anomaly(Kind.LOST, told)


def worker_lost(seen: _Seen) -> Iterator[Anomaly]:
    """A worker's key belongs to the process that was told so, in the database too."""
    processes = {line.process: line for line in seen.lines("process")}
    for name, key in sorted({(x.process, x.of["worker"]) for x in seen.lines("told", "lost")}):
        of, row = processes[name], seen.database.workers.get(key)
        if row is None or (row.boot, row.pid) != (of.boot, of.of["pid"]):
            yield Anomaly(Kind.LOST, f"{name} joined as worker {key}; the database has {row}")


def report_lost(seen: _Seen) -> Iterator[Anomaly]:
    """A report that a worker was told to be recorded is in the database."""
    for line, key, outcome in seen.recorded():
        row = seen.attempts.get(key)
        if row is None or row.outcome not in (outcome, "killed", "released"):
            told = f"{line.process} was told that attempt {key} is recorded as {outcome}"
            yield Anomaly(Kind.LOST, f"{told}; the database has {row}")


def work_lost(seen: _Seen) -> Iterator[Anomaly]:
    """Of every completion, the worker's own file and its journal tell that the work ended."""
    for rows in seen.completed.values():
        for row in rows:
            journal = seen.history.journals.get(row.worker, {})
            if row.id not in seen.ended:
                yield Anomaly(Kind.LOST, f"{row} completed, and no worker's file has its end")
            if journal.get(row.id) != "completed":
                yield Anomaly(Kind.LOST, f"{row} completed, and no journal has its end")


# --- doubled ------------------------------------------------------------------------------------


def completed_twice(seen: _Seen) -> Iterator[Anomaly]:
    """At most one attempt per slot of a task completes."""
    for task, rows in seen.completed.items():
        slots = [row.slot for row in rows]
        for slot in sorted({slot for slot in slots if slots.count(slot) > 1}):
            twice = [row.id for row in rows if row.slot == slot]
            yield Anomaly(Kind.DOUBLED, f"attempts {twice} of {task} completed in slot {slot}")


def acknowledged_twice(seen: _Seen) -> Iterator[Anomaly]:
    """Workers are told of one completion per slot of a task, whatever the database says now."""
    told = defaultdict(list)
    for _, key, outcome in seen.recorded():
        row, line = seen.attempts.get(key), seen.ended.get(key)
        if outcome == "completed" and line is not None:
            told[line.of["task"], row.slot if row else 0].append(key)
    for (task, slot), keys in told.items():
        if len(keys) > 1:
            twice = f"{task}, slot {slot}: workers were told of completions by attempts {keys}"
            yield Anomaly(Kind.DOUBLED, twice)


def begun_twice(seen: _Seen) -> Iterator[Anomaly]:
    """An attempt is begun once, by one process."""
    began = defaultdict(list)
    for line in seen.lines("began"):
        began[line.of["attempt"]].append(line.process)
    for key, processes in began.items():
        if len(processes) > 1:
            yield Anomaly(Kind.DOUBLED, f"attempt {key} was begun by {processes}")


def closed_twice(seen: _Seen) -> Iterator[Anomaly]:
    """An attempt ends once."""
    ends = defaultdict(list)
    for step in seen.database.steps:
        if step.attempt is not None and step.event not in ("claim", "register"):
            ends[step.attempt].append(step.event)
    for key, events in ends.items():
        if len(events) > 1:
            yield Anomaly(Kind.DOUBLED, f"attempt {key} ended by {events}")


def done_again(seen: _Seen) -> Iterator[Anomaly]:
    """Work whose end could be read in a journal when its claim was revoked counts as completed.

    It could be read if the worker was proven dead: what it wrote, it wrote before. Or if it was found
    silent, and the end was on the disk before the silence can have lasted: that is from the last beat
    before the claim, on the clock of the worker's own boot.
    """
    for worker, journal in seen.history.journals.items():
        for key, outcome in journal.items():
            row = seen.attempts.get(key)
            if outcome != "completed" or row is None or row.outcome not in ("killed", "released"):
                continue
            if row.reason == "killed" or (row.reason == "silent" and _in_time(seen, row)):
                told = (
                    f"worker {worker} journaled the end of {row}, and it was revoked all the same"
                )
                yield Anomaly(Kind.DOUBLED, told)


def _in_time(seen: _Seen, row: Attempt) -> bool:
    claimed, worker = seen.claimed.get(row.id), seen.database.workers.get(row.worker)
    readable = seen.could_be_read.get(row.id)
    if claimed is None or worker is None or readable is None:
        return False
    return bool(readable < claimed.of["beat"] + worker.timeout)


# --- order --------------------------------------------------------------------------------------


def claimed_early(seen: _Seen) -> Iterator[Anomaly]:
    """By the database's sequence, a task is claimed after all it depends on completed."""
    done = set()
    for step in seen.database.steps:
        if step.event == "complete":
            done.add(step.task)
        elif step.event == "claim":
            for above in sorted(seen.history.graph.get(step.task, frozenset()) - done):
                told = f"attempt {step.attempt} of {step.task} was claimed before {above} completed"
                yield Anomaly(Kind.DISORDER, told)


def begun_early(seen: _Seen) -> Iterator[Anomaly]:
    """By the clock of one boot of one node, a task begins after all it depends on there ended."""
    for line in seen.lines("began"):
        for above in sorted(seen.history.graph.get(line.of["task"], frozenset())):
            for row in seen.completed.get(above, []):
                end = seen.ended.get(row.id)
                if end is not None and end.boot == line.boot and end.at > line.at:
                    told = f"{line.process} began {line.of['task']} before {above} ended"
                    yield Anomaly(Kind.DISORDER, f"{told} in {end.process}")


def begun_unclaimed(seen: _Seen) -> Iterator[Anomaly]:
    """In one process's file, a claim comes before its beginning, and that before its end."""
    before: dict[tuple[str, str], set[int]] = defaultdict(set)
    for line in seen.history.lines:
        if line.what == "told":
            before["began", line.process].update(c["attempt"] for c in line.of["claimed"])
        elif line.what in ("began", "ended"):
            if line.of["attempt"] not in before[line.what, line.process]:
                yield Anomaly(Kind.DISORDER, f"{line.process}: {line.what} too early: {line.of}")
            before["ended", line.process].add(line.of["attempt"])


# --- reports and claims -------------------------------------------------------------------------


def late_report(seen: _Seen) -> Iterator[Anomaly]:
    """What a worker was told to be recorded was neither revoked, nor recorded after it was lost."""
    completions = {s.attempt: s.sequence for s in seen.database.steps if s.event == "complete"}
    for line, key, outcome in seen.recorded():
        row, worker = seen.attempts.get(key), seen.database.workers.get(line.of["worker"])
        if row is not None and row.outcome != outcome and row.outcome in ("killed", "released"):
            told = f"{line.process} was told that attempt {key} is recorded as {outcome}"
            yield Anomaly(Kind.LATE, f"{told}; the database has {row}")
        elif worker and worker.lost_at is not None and completions.get(key, 0) > worker.lost_at:
            told = f"attempt {key} was recorded for worker {worker.key} after it was lost"
            yield Anomaly(Kind.LATE, told)


def mistold(seen: _Seen) -> Iterator[Anomaly]:
    """What a round refused is not recorded as completed."""
    for line in seen.lines("told"):
        for key in line.of["refused"]:
            row = seen.attempts.get(key)
            if row is not None and row.outcome == "completed":
                told = f"{line.process} was told that attempt {key} is refused, and it completed"
                yield Anomaly(Kind.MISTOLD, told)


def left_open(seen: _Seen) -> Iterator[Anomaly]:
    """The run is over, and so are its workers: nobody holds a claim."""
    for row in seen.attempts.values():
        if row.outcome is None:
            told = f"{row} is open; its worker: {seen.database.workers.get(row.worker)}"
            yield Anomaly(Kind.OPEN, told)


#: All of them, in the order of what they are about.
RULES: Final[tuple[Rule, ...]] = (
    *(graph_lost, claim_lost, journaled_lost, worker_lost, report_lost, work_lost),
    *(completed_twice, acknowledged_twice, begun_twice, closed_twice, done_again),
    *(claimed_early, begun_early, begun_unclaimed, late_report, mistold, left_open),
)
