"""Times as SLURM writes them, and how long the elements of an array may run."""

import logging
from collections.abc import Mapping
from typing import Final

from slurmband.errors import SlurmMissing, UsageError
from slurmband.slurm.command import Run, run

log = logging.getLogger(__name__)

_NO_LIMIT: Final = ("", "UNLIMITED", "INFINITE", "NOT_SET", "INVALID", "-1")
#: Seconds in what stands in each place: of ``D-H:M:S``, and of ``H:M:S``, ``M:S`` or ``M``.
_AFTER_DAYS: Final = (3600, 60, 1)
_BY_PARTS: Final = {1: (60,), 2: (60, 1), 3: (3600, 60, 1)}


def seconds(text: str) -> float | None:
    """Read a time limit; None: there is none (UNLIMITED, or 0), or it is not set.

    Parameters
    ----------
    text : str
        As sbatch(1), option ``--time``, has it: ``M``, ``M:S``, ``H:M:S``, ``D-H``, ``D-H:M``,
        ``D-H:M:S``.

    Raises
    ------
    UsageError
        If it is no time.
    """
    if text.strip().upper() in _NO_LIMIT:
        return None
    days, dash, rest = text.strip().rpartition("-")
    parts = rest.split(":")
    places = _AFTER_DAYS[: len(parts)] if dash else _BY_PARTS.get(len(parts), ())
    numbers = (days, *parts) if dash else parts
    if len(parts) > len(places) or not all(map(str.isdecimal, numbers)):
        raise UsageError(f"cannot read the time {text!r}: write minutes, H:M:S, or D-H:M:S.")
    in_parts = sum(int(part) * place for part, place in zip(parts, places, strict=True))
    return float(86_400 * int(days or 0) + in_parts) or None


def end_of_job(environ: Mapping[str, str]) -> float | None:
    """Return when this process's job ends, in UTC seconds since the epoch, where SLURM says so.

    ``SLURM_JOB_END_TIME`` is set since SLURM 23.02.
    """
    try:
        return float(environ["SLURM_JOB_END_TIME"])
    except (KeyError, ValueError):
        return None


def time_limit_of(array: int, *, run: Run = run) -> float | None:
    """Ask SLURM once how long each element of an array may run, in seconds; None: it does not say."""
    try:
        reply = run(["squeue", "-h", "-t", "all", "-j", str(array), "-o", "%l"])
        limits = {line.strip() for line in reply.stdout.splitlines()} - {""}
        found = [seconds(limit) for limit in limits]
    except (SlurmMissing, UsageError) as error:
        log.info("how long the elements of %d may run is not known: %s", array, error)
        return None
    known = [limit for limit in found if limit is not None]
    return min(known) if known and len(known) == len(found) else None
