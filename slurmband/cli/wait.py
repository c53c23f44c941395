"""``slurmband wait``: wait for the band, with a progress bar."""

import sys
from collections.abc import Iterator

import typer

from slurmband.cli.common import DEFAULT_DB, Db, open_store, plural
from slurmband.clock import SystemClock
from slurmband.domain.states import TaskState
from slurmband.errors import TasksFailed
from slurmband.slurm.queue import SlurmQueue
from slurmband.store import queries
from slurmband.submission.submit import Queued
from slurmband.submission.wait import Progress, follow


def wait(db: Db = DEFAULT_DB) -> None:
    """Wait until every task has ended; exit with 69 if one did not complete.

    Ends early, with 69, when all arrays are gone from SLURM's queue while tasks are left.
    """
    store = open_store(db)
    with store.read() as tx:
        arrays = queries.queued_arrays(tx)
    from slurmband.slurm.arrays import ArraySpec

    queue = SlurmQueue()
    found = [Queued(array, ArraySpec((0,))) for array in arrays]
    watch(follow(store, found, queue=queue, clock=SystemClock()))


def watch(progress: Iterator[Progress]) -> None:
    """Show progress until it ends.

    Raises
    ------
    TasksFailed
        If a task did not complete.
    """
    from tqdm import tqdm

    last, said = None, -1
    with tqdm(unit="task", disable=None, file=sys.stderr) as bar:
        for last in progress:
            bar.total, bar.n = last.total, last.completed
            bar.set_postfix_str(_note(last))
            tenths = 10 * last.completed // max(last.total, 1)
            if bar.disable and tenths > said:  # no terminal: a line now and then
                said = tenths
                sys.stderr.write(f"{last.completed} of {last.total} tasks, {_note(last)}\n")
    assert last is not None
    if not last.registered:
        raise TasksFailed(
            "the array is over, and its workers registered no task. Their logs say why: "
            "`slurmband jobs` lists them."
        )
    if last.completed == last.total and not last.growing:
        sys.stderr.write(f"all {last.total} tasks completed.\n")
        return
    counts = ", ".join(f"{n} {state}" for state, n in last.counts.items() if n)
    ended = last.counts[TaskState.FAILED] + last.counts[TaskState.KILLED]
    advice = (
        "`slurmband tasks --state failed` says why." if ended else "Run `slurmband submit` again."
    )
    gone = "the array is over; " if last.deserted else ""
    gone += "the graph was still growing; " if last.growing else ""
    raise TasksFailed(f"{gone}of {last.total} tasks: {counts}. {advice}")


def _note(progress: Progress) -> str:
    failed = progress.counts[TaskState.FAILED] + progress.counts[TaskState.KILLED]
    return plural(progress.workers, "worker") + (f", {failed} failed" if failed else "")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(wait)
