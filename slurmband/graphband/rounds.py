"""What goes into one transaction of a worker, and what comes out of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from slurmband.domain.attempts import Claim, Report
from slurmband.domain.pace import NOTHING, Wish
from slurmband.domain.workers import Stop, Worker
from slurmband.errors import GraphError
from slurmband.graphband.jobtime import Limits


@dataclass(frozen=True, slots=True)
class Request:
    """What a worker asks of the database in one transaction.

    Parameters
    ----------
    worker : Worker
    number : int
        The worker counts its rounds, and so does the database: each is done once, whoever does it.
    heard : int
        The last round of which the worker knows what it brought.
    reports : sequence of (Claim, Ending)
        What ended.
    wish : Wish
        How many tasks to claim.
    keeping : collection of int
        Attempts that the worker holds, and goes on holding.
    left : float or None
        Seconds that a task may take which it begins now; None: any, as far as is known.
    limits : Limits or None
        What it says and asks of how long its job lasts.
    ends_at : float or None
        When its job ends, in UTC seconds, for the record.
    fresh : bool
        Whether it has begun nothing yet.
    """

    worker: Worker
    number: int
    heard: int
    reports: Sequence[Report] = ()
    wish: Wish = NOTHING
    keeping: Collection[int] = ()
    left: float | None = None
    limits: Limits | None = None
    ends_at: float | None = None
    fresh: bool = False


@dataclass(slots=True)
class Round:
    """What one transaction brought.

    Parameters
    ----------
    claims : list of Claim
        The next tasks, as far as there were any.
    refused : list of Claim
        Claims whose report changed nothing, since they had been revoked.
    left : int
        Tasks that this worker could still come to run, running ones of others included; while the
        graph grows, and one for those to come.
    completed, total : int
        Of the whole band.
    stopped_by : str or None
        A task that ended badly, under the policy "stop".
    finished : bool
        Whether nobody can do anything more in this band.
    superseded : GraphError or None
        Why this worker must not claim any more: a newer graph than its own was registered.
    producing : bool
        Whether this worker is the one that makes a growing graph grow.
    stop : Stop or None
        Whether a person wants this worker to leave.
    no_time : bool
        Whether there is work that this worker could do, if only its job had more time.
    time_limit : float or None
        How long the job lasts, in seconds, where this was asked and is known.
    ask_slurm : bool
        Whether this worker is the one to ask SLURM for that.
    """

    claims: list[Claim] = field(default_factory=list)
    refused: list[Claim] = field(default_factory=list)
    left: int = 0
    completed: int = 0
    total: int = 0
    stopped_by: str | None = None
    finished: bool = False
    superseded: GraphError | None = None
    producing: bool = False
    stop: Stop | None = None
    no_time: bool = False
    time_limit: float | None = None
    ask_slurm: bool = False
