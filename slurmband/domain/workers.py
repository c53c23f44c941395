"""Who a worker is: one incarnation of one process, and the element of the array it lives in."""

from dataclasses import dataclass
from enum import StrEnum

from slurmband.domain.processes import ProcessIdentity

#: Name of the cluster that ``--cluster local`` makes on this machine; SLURM is never asked about it.
LOCAL_CLUSTER = "local"


class WorkerStatus(StrEnum):
    """Where a worker is; the value is what the database stores."""

    ALIVE = "alive"  #: registered, and nobody has seen it end
    LEFT = "left"  #: ended its loop and said so
    LOST = "lost"  #: judged so, with a reason


class Stop(StrEnum):
    """How soon a person wants a worker to leave; the value is what the database stores."""

    DRAIN = "drain"  #: after the task in hand
    NOW = "now"  #: handing back the task in hand


@dataclass(frozen=True, slots=True)
class Element:
    """What SLURM says about the place a worker runs in.

    Parameters
    ----------
    cluster : str
        ``SLURM_CLUSTER_NAME``; "" where the site sets none.
    array_job_id, array_task_id : int or None
        The two halves of ``36_1``; None for a job that is no array.
    job_id : int
        The raw id, unique per element.
    restarts : int
        How often the element was requeued.
    step, rank : int or None
        Set where ``srun`` started several workers in an element.
    submission : str or None
        Token of the `slurmband submit` that queued it.
    node : str or None
        The node's name, as SLURM has it.
    """

    cluster: str
    array_job_id: int | None
    array_task_id: int | None
    job_id: int
    restarts: int = 0
    step: int | None = None
    rank: int | None = None
    submission: str | None = None
    node: str | None = None

    @property
    def id(self) -> str:
        """The id as SLURM prints it: ``36_1``, or ``36`` for a job that is no array."""
        if self.array_job_id is None or self.array_task_id is None:
            return str(self.job_id)
        return f"{self.array_job_id}_{self.array_task_id}"

    @property
    def worker_name(self) -> str:
        """The id of the worker in it: ``36_1``, ``36_1.3`` for rank 3, ``36_1r2`` after two requeues."""
        rank = "" if self.rank is None else f".{self.rank}"
        return f"{self.id}{rank}" + (f"r{self.restarts}" if self.restarts else "")


@dataclass(frozen=True, slots=True)
class Worker:
    """One incarnation, as registered.

    Parameters
    ----------
    key : int
        Row number, never reused; it names the beat and journal files.
    name : str
        What people see, such as ``36_1``.
    process : ProcessIdentity
    element : Element or None
        None outside SLURM.
    labels : frozenset of str
    """

    key: int
    name: str
    process: ProcessIdentity
    element: Element | None
    labels: frozenset[str] = frozenset()

    @property
    def in_slurm(self) -> Element | None:
        """The element that SLURM can be asked about; None if there is none."""
        here = self.element is not None and self.element.cluster != LOCAL_CLUSTER
        return self.element if here else None
