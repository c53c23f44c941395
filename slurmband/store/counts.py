"""How many tasks are where, as of one moment of a transaction: read once, and asked many things."""

import json
from collections.abc import Collection, Mapping
from functools import cached_property

from sqlalchemy import select

from slurmband.domain.labels import satisfy
from slurmband.domain.states import ACTIVE, CLAIMABLE, TaskState
from slurmband.store.database import Transaction
from slurmband.store.schema import task_counts, workflows
from slurmband.store.statements import Statement


class Counts:
    """The counts that triggers keep, as they are now; what is written later is not in them.

    Parameters
    ----------
    tx : Transaction
    """

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._rows = _TASK_COUNTS.run(tx)

    @cached_property
    def states(self) -> dict[TaskState, int]:
        """Tasks in each state; every state is there."""
        found = dict.fromkeys(TaskState, 0)
        for row in self._rows:
            found[TaskState(row.state)] += row.n
        return found

    @cached_property
    def claimable(self) -> Mapping[str, int]:
        """Tasks that could be claimed now, for each set of requirements in the band."""
        return self._in(CLAIMABLE)

    @cached_property
    def active(self) -> Mapping[str, int]:
        """Tasks that are not finished, for each set of requirements in the band."""
        return self._in(ACTIVE)

    def claimable_for(self, labels: Collection[str]) -> int:
        """Count what a worker with these labels could claim now, slots of running tasks aside."""
        return _for(labels, self.claimable)

    def active_for(self, labels: Collection[str]) -> int:
        """Count the tasks that a worker with these labels could still come to run.

        While the graph grows, one more stands for those that are to come.
        """
        return _for(labels, self.active) + self._growing

    @cached_property
    def _growing(self) -> int:
        return _GROWING.value(self._tx) or 0

    def _in(self, states: Collection[TaskState]) -> dict[str, int]:
        found: dict[str, int] = {}
        for row in self._rows:
            there = row.n if row.state in states else 0
            found[row.requirements] = found.get(row.requirements, 0) + there
        return found


def _for(labels: Collection[str], counted: Mapping[str, int]) -> int:
    return sum(n for required, n in counted.items() if satisfy(labels, json.loads(required)))


_TASK_COUNTS = Statement(select(task_counts).where(task_counts.c.n > 0))
_GROWING = Statement(select(workflows.c.growing))
