"""What an attempt can be charged for, and how often a task may be: its budgets.

A failure is charged to the task. So is the death of its worker, unless that was nobody's fault:
preemption, a node that failed, a person. Each cause has a budget of its own, the band's or the task's.
Whatever the causes, a task that took too many workers with it is *poisoned*, and given to no more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

#: A task that took so many workers with it is given to no more; more, if its budget for deaths allows.
POISON: Final = 3


class Charge(StrEnum):
    """What an attempt is charged for."""

    FAILED = "failed"  #: the user's code raised, or left the loop
    KILLED = "killed"  #: died with its worker
    OUT_OF_MEMORY = "out of memory"  #: took more memory than the job had
    TIME_LIMIT = "time limit"  #: ran for longer than it may, or than a whole job lasts


#: Where a task counts what it was charged for.
COUNTERS: Final[Mapping[Charge, str]] = MappingProxyType(
    {
        Charge.FAILED: "failures",
        Charge.KILLED: "deaths",
        Charge.OUT_OF_MEMORY: "ooms",
        Charge.TIME_LIMIT: "overruns",
    }
)
#: How often a task may be tried again; as options, as fields of a task, and in the tables.
BUDGETS: Final[Mapping[Charge, str]] = MappingProxyType(
    {
        Charge.FAILED: "max_failed_retries",
        Charge.KILLED: "max_killed_retries",
        Charge.OUT_OF_MEMORY: "max_oom_retries",
        Charge.TIME_LIMIT: "max_time_limit_retries",
    }
)
#: Fields of a task that say what it is to require after it was charged for that.
RULES: Final[Mapping[Charge, str]] = MappingProxyType(
    {Charge.OUT_OF_MEMORY: "on_oom", Charge.TIME_LIMIT: "on_time_limit"}
)
NAMES: Final = tuple(BUDGETS.values())


@dataclass(frozen=True, slots=True)
class Budgets:
    """How often tasks are tried again; None leaves what the database has.

    Parameters
    ----------
    max_failed_retries, max_killed_retries, max_oom_retries, max_time_limit_retries : int or None
        Further attempts after the first, for each cause.
    """

    max_failed_retries: int | None = None
    max_killed_retries: int | None = None
    max_oom_retries: int | None = None
    max_time_limit_retries: int | None = None

    @property
    def given(self) -> dict[str, int]:
        """Those that are not None, by name."""
        named = {name: getattr(self, name) for name in NAMES}
        return {name: value for name, value in named.items() if value is not None}


#: Where nothing else was asked for: a failure is the task's own and final, while workers on a cluster
#: die for many reasons that are not the task's.
DEFAULTS: Final = Budgets(
    max_failed_retries=0,
    max_killed_retries=POISON - 1,
    max_oom_retries=1,
    max_time_limit_retries=1,
)
