"""The options of a Graphband: given, else from ``SLURMBAND_…``, else the default; read once."""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from slurmband.domain.budgets import NAMES, Budgets
from slurmband.domain.pace import MOST
from slurmband.errors import UsageError
from slurmband.locks.generations import LEAST_PATIENCE, PATIENCE

DEFAULT_DATABASE: Final = "slurmband.sqlite"
#: Seconds between copies of a shared database.
BACKUP_INTERVAL: Final = 1800.0
FailurePolicy = Literal["continue", "stop"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a Graphband was asked for.

    Parameters
    ----------
    db : str
        Path or SQLAlchemy URL of the database.
    mode : str or None
        "local" or "shared"; None: found from the file system.
    identifier : str or None
        Name of this worker; None: its array element (``36_1``), else ``host:pid``.
    labels : frozenset of str
        What this worker offers; it takes only tasks whose requirements are among them.
    failure_policy : {"continue", "stop"}
    heartbeat_interval, heartbeat_timeout : float
        Seconds.
    release_after : float
        Seconds from a SIGTERM until what the worker still holds is released, and the worker killed;
        below the site's KillWait, which is 30 s unless changed.
    lock_patience : float
        Seconds after which the lock of a shared database is given up if its holder, of whom nobody can
        tell whether it is alive, does not change it; the database then goes on in a new generation.
    backup_interval : float or None
        Seconds between copies of the database that the workers keep; 0: none. None: half an hour in
        shared mode, none in local mode.
    max_failed_retries, max_killed_retries, max_oom_retries, max_time_limit_retries : int or None
        None: as the band has it.
    max_claims : int
        How many short tasks to take at a time at most; 1: one after the other, strictly by priority
        and in the order of the graph.
    has_more_jobs_ttl : float
        Seconds for which an answer of ``has_more_jobs`` is good; 0: ask each time.
    enable_fingerprints : bool
        Run completed tasks again whose ``Task.fingerprint`` is another than that of their completion.
    growing : bool
        The graph is not whole yet: tasks are read and registered while workers work.
    disabled : bool
        Iterate plainly: no database, no locks, no other workers.
    """

    db: str = DEFAULT_DATABASE
    mode: str | None = None
    identifier: str | None = None
    labels: frozenset[str] = frozenset()
    failure_policy: FailurePolicy = "continue"
    heartbeat_interval: float = 15.0
    heartbeat_timeout: float = 60.0
    release_after: float = 15.0
    lock_patience: float = PATIENCE
    backup_interval: float | None = None
    max_failed_retries: int | None = None
    max_killed_retries: int | None = None
    max_oom_retries: int | None = None
    max_time_limit_retries: int | None = None
    max_claims: int = MOST
    has_more_jobs_ttl: float = 5.0
    enable_fingerprints: bool = False
    growing: bool = False
    disabled: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.heartbeat_interval < self.heartbeat_timeout:
            raise UsageError(
                f"heartbeat_timeout ({self.heartbeat_timeout:g} s) must be above heartbeat_interval "
                f"({self.heartbeat_interval:g} s), and both above 0: several beats belong in a timeout."
            )
        if not self.lock_patience >= LEAST_PATIENCE:
            raise UsageError(
                f"lock_patience is {self.lock_patience:g} s: below {LEAST_PATIENCE:g} s the lock of a "
                "process that is only slow would be given up."
            )
        if self.backup_interval is not None and not self.backup_interval >= 0:
            raise UsageError(
                f"backup_interval is {self.backup_interval:g} s: write 0 for no backups."
            )
        if self.failure_policy not in ("continue", "stop"):
            raise UsageError(
                f"no failure_policy {self.failure_policy!r}: it is 'continue' or 'stop'."
            )
        if self.max_claims < 1:
            raise UsageError(f"max_claims is {self.max_claims}: write 1 for one task at a time.")
        if not self.has_more_jobs_ttl >= 0:
            raise UsageError(
                f"has_more_jobs_ttl is {self.has_more_jobs_ttl:g} s: write 0 to ask each time."
            )
        if self.growing and self.enable_fingerprints:
            raise UsageError(
                "enable_fingerprints has no meaning where growing is set: they are compared where a "
                "graph is registered whole. Leave one of them out."
            )
        for name in NAMES:
            if (getattr(self, name) or 0) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}: write 0 for no retry.")

    @property
    def budgets(self) -> Budgets:
        """How often tasks are tried again, as far as it was asked for."""
        return Budgets(**{name: getattr(self, name) for name in NAMES})

    def seconds_between_backups(self, mode: str) -> float:
        """Return for how long a copy of a database of this mode is good; 0: none is taken."""
        if self.backup_interval is not None:
            return self.backup_interval
        return BACKUP_INTERVAL if mode == "shared" else 0.0


def resolve(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Options:
    """Make options of what was given, filling in from the environment what is None.

    Parameters
    ----------
    given : mapping
        Field of `Options` -> value; None: not given.
    environ : mapping of str to str
        ``SLURMBAND_DB`` and so on: one variable per field, in capitals.

    Raises
    ------
    UsageError
        If a value cannot be read or makes no sense.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    used = []
    for name, read in _FROM_TEXT.items():
        variable = f"SLURMBAND_{name.upper()}"
        if name not in chosen and environ.get(variable):
            try:
                chosen[name] = read(environ[variable])
            except ValueError as error:
                raise UsageError(f"{variable}={environ[variable]}: {error}.") from error
            used.append(name)
    chosen["labels"] = frozenset(_names(chosen.get("labels", ())))
    identifier = chosen.get("identifier")
    chosen["identifier"] = identifier() if callable(identifier) else identifier
    try:
        return Options(**chosen)
    except UsageError as error:
        blamed = [f"SLURMBAND_{name.upper()}" for name in used if name in str(error)]
        if not blamed:
            raise
        raise UsageError(f"{error} (From the environment: {', '.join(blamed)}.)") from error


def _names(labels: Collection[str] | str) -> Collection[str]:
    return labels.replace(",", " ").split() if isinstance(labels, str) else labels


def _flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("write 1 or 0")


_FROM_TEXT: Final[Mapping[str, Callable[[str], Any]]] = {
    "db": str,
    "mode": str,
    "identifier": str,
    "labels": str,
    "failure_policy": str,
    "heartbeat_interval": float,
    "heartbeat_timeout": float,
    "release_after": float,
    "lock_patience": float,
    "backup_interval": float,
    **dict.fromkeys(NAMES, int),
    "max_claims": int,
    "has_more_jobs_ttl": float,
    "enable_fingerprints": _flag,
    "growing": _flag,
    "disabled": _flag,
}
