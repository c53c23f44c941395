"""Arrays that continue themselves: the last worker that leaves for lack of time queues the next one.

That worker runs this once it has left: ``python -m slurmband.submission.continuation DATABASE WORKER``.
Several may do so at the same moment: a submission is continued once, the database sees to that.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from slurmband.clock import SystemClock
from slurmband.domain.processes import Fate, ProcessIdentity
from slurmband.domain.workers import LOCAL_CLUSTER, Worker
from slurmband.errors import RaceLost, SlurmbandError
from slurmband.liveness.inquiry import counted
from slurmband.processes import fate_of
from slurmband.slurm.queue import SlurmQueue
from slurmband.slurm.words import JobState
from slurmband.store import chains
from slurmband.store.chains import Link
from slurmband.store.database import Store
from slurmband.submission.order import Order
from slurmband.submission.submit import Submitter

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Continuation:
    """One worker's attempt to continue the array it was in.

    Parameters
    ----------
    submitter : Submitter
    queue : SlurmQueue
        Says whether elements are still pending, and whether those of other workers are over.
    fate_of : callable
        Says of a process of this machine whether it is gone.
    """

    submitter: Submitter
    queue: SlurmQueue
    fate_of: Callable[[ProcessIdentity], Fate] = fate_of

    def go_on(self, worker: int) -> str:
        """Queue the next array if this was the last worker of its own; say what was done, and why.

        Parameters
        ----------
        worker : int
            Key of an incarnation that has left.
        """
        store = self.submitter.store
        with store.read() as tx:
            link = chains.link_of(tx, worker)
        if link is None:
            return "not continued: it was not submitted so"
        if why_not := refusal(link):
            return f"not continued: {why_not}"
        if there := self._still_there(link.others):
            return f"not continued: {len(there)} of its workers are still there"
        if link.unseen and self._is_pending(link):
            return "not continued: elements of it are still pending"
        order = Order.again(link.row)
        os.chdir(
            link.row["directory"]
        )  # a task may have gone elsewhere, and sbatch starts jobs there
        try:
            queued = self.submitter.queue_order(order, follows=link)
        except RaceLost:
            return "continued by another worker"
        return f"continued as array {queued.array_job_id}, {link.length + 1} of {link.most}"

    def _is_pending(self, link: Link) -> bool:
        if link.row["cluster"] == LOCAL_CLUSTER:
            return True  # nobody can take them out of that queue
        return self.queue.has_pending(link.row["array_job_id"])

    def _still_there(self, others: Sequence[Worker]) -> list[Worker]:
        """Return those whose end is neither seen on this machine nor known to SLURM.

        The dead are not judged here, and nobody else may be left to do that: whoever works in the next
        array gives their tasks back.
        """
        there = [worker for worker in others if self.fate_of(worker.process) is not Fate.GONE]
        jobs = [worker.in_slurm.id for worker in there if worker.in_slurm]
        known = self.queue.states(jobs) if jobs else None
        return [worker for worker in there if not _is_over(worker, known or {})]


def _is_over(worker: Worker, known: Mapping[str, JobState]) -> bool:
    element = worker.in_slurm
    state = known.get(element.id) if element else None
    return element is not None and state is not None and state.ending_of(element) is not None


def refusal(link: Link) -> str | None:
    """Say why an array is not to be continued (yet); None if it is."""
    if link.stopped:
        return "`slurmband stop` was said"
    if not link.work_left:
        return "no work is left"
    if link.length >= link.most:
        return f"{link.most} submissions were all it may have (--max-submissions)"
    if not link.furthered:
        return "none of its workers completed a task or handed one back: the next would not, either"
    return None


def main(database: str, worker: int) -> None:
    """Continue a worker's array, and log what came of it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for name in [name for name in os.environ if name.startswith("SLURM_") and name != "SLURM_CONF"]:
        del os.environ[name]  # of this job: sbatch would hand them on to the next one
    store = Store(database)
    now = SystemClock().now
    queue = SlurmQueue(counted(store, now))
    submitter = Submitter(store, queue, now, time.sleep)
    try:
        log.info("this array is %s", Continuation(submitter, queue).go_on(worker))
    except (SlurmbandError, OSError) as error:
        log.warning("this array could not be continued: %s", error)
    finally:
        store.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
