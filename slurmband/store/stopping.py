"""A person's wish that workers leave: all of the band, also those to come, or some of them."""

from collections.abc import Collection

from sqlalchemy import bindparam, select, update

from slurmband.domain.workers import Stop, WorkerStatus
from slurmband.store.database import Transaction
from slurmband.store.schema import workers, workflows
from slurmband.store.statements import Statement


def stop_all(tx: Transaction, how: Stop) -> None:
    """Ask all workers to leave, and those that will start; until `go_on`."""
    tx.connection.execute(update(workflows).values(stop=how.value))


def stop(tx: Transaction, names: Collection[str], how: Stop) -> list[str]:
    """Ask some workers to leave; return those that are still there."""
    there = (workers.c.status == WorkerStatus.ALIVE, workers.c.name == bindparam("who"))
    ask = update(workers).where(*there).values(stop=how.value)
    return [name for name in names if tx.connection.execute(ask, {"who": name}).rowcount]


def go_on(tx: Transaction) -> bool:
    """Let workers work again; return whether they had been asked to leave."""
    lifted = tx.connection.execute(
        update(workflows).where(workflows.c.stop.is_not(None)).values(stop=None)
    )
    return lifted.rowcount > 0


def asked(tx: Transaction, worker: int) -> Stop | None:
    """Return whether a worker is to leave, and how soon."""
    (row,) = _ASKED.run(tx, worker=worker) or [(None, None)]
    wishes = {wish for wish in row if wish is not None}
    return Stop.NOW if Stop.NOW in wishes else Stop.DRAIN if wishes else None


_ASKED = Statement(
    select(workers.c.stop, workflows.c.stop.label("all"))
    .join_from(workers, workflows)
    .where(workers.c.key == bindparam("worker"))
)
