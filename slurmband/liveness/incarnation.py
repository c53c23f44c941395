"""The start of an incarnation: it registers, and ends the ones it takes the place of."""

from collections.abc import Callable
from dataclasses import dataclass

from slurmband.domain.attempts import Reason
from slurmband.domain.processes import Fate, ProcessIdentity
from slurmband.domain.workers import Element, Worker
from slurmband.liveness import journal
from slurmband.liveness.beats import Beats
from slurmband.store import membership, queries
from slurmband.store.database import Transaction
from slurmband.store.layout import Layout


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who wants to join.

    Parameters
    ----------
    process : ProcessIdentity
    element : Element or None
    labels : frozenset of str
    identifier : str or None
        The name the user chose; None: the element's id, or ``host:pid``.
    heartbeat_timeout : float
        Seconds of silence after which others may suspect it.
    log : str or None
        The file that its standard output goes to.
    """

    process: ProcessIdentity
    element: Element | None
    labels: frozenset[str]
    identifier: str | None
    heartbeat_timeout: float
    log: str | None

    @property
    def name(self) -> str:
        """What it would like to be called."""
        return name_of(self.identifier, self.element, self.process)


def name_of(identifier: str | None, element: Element | None, process: ProcessIdentity) -> str:
    """Name a worker: as its user says, else by its array element, else by its process."""
    if identifier:
        return identifier
    return element.worker_name if element else f"{process.host}:{process.pid}"


def join(
    tx: Transaction,
    layout: Layout,
    who: Applicant,
    *,
    fate_of: Callable[[ProcessIdentity], Fate],
    now: float,
) -> Worker:
    """Register an incarnation, and end those before it.

    An earlier life of the same element is over by definition once SLURM has started a later one: its
    claims are revoked at once and charged to nobody. A namesake is ended if its process is provably
    gone. A second process in one element gets its pid added to its name.

    Raises
    ------
    WorkerAlive
        If the user's `identifier` is that of a worker that may be alive.
    """
    if who.element is not None:
        for before in queries.predecessors(tx, who.element):
            _succeed(tx, layout, before, Reason.REQUEUED, now)
    name = who.name
    namesake = queries.live_namesake(tx, name)
    if namesake is not None and fate_of(namesake.process) is Fate.GONE:
        _succeed(tx, layout, namesake, Reason.PROCESS_GONE, now)
    elif namesake is not None and not who.identifier:
        name = f"{name}:{who.process.pid}"
    worker = membership.join(
        tx,
        name,
        who.process,
        who.element,
        who.labels,
        heartbeat_timeout=who.heartbeat_timeout,
        log=who.log,
        now=now,
    )
    Beats(layout.beats).start(worker.key)
    return worker


def alone(tx: Transaction, *, fate_of: Callable[[ProcessIdentity], Fate]) -> bool:
    """Whether no other worker is there, but for those whose process is provably gone."""
    there = (worker for worker, _timeout in queries.live_workers(tx))
    return all(fate_of(worker.process) is Fate.GONE for worker in there)


def _succeed(tx: Transaction, layout: Layout, before: Worker, reason: Reason, now: float) -> None:
    membership.lose(
        tx,
        before,
        reason,
        unmoved=lambda: True,  # no beat of an earlier life could change this
        journal=journal.read(layout.journals, before.key),
        now=now,
    )
    Beats(layout.beats).end(before.key)
