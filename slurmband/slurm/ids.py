"""Job ids in every form in which SLURM writes them: ``36``, ``36_1``, ``36_[1-3,7%2]``, raw ids."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slurmband.errors import UsageError
from slurmband.slurm.arrays import parse

_FORM = re.compile(
    r"(?P<job>\d+)(?:_(?:(?P<index>\d+)|\[(?P<many>[\d,:-]+)(?:%\d+)?\]))?"
    r"(?P<suffix>(?:\.\w+)?(?:r\d+)?)"
)


@dataclass(frozen=True, slots=True)
class JobId:
    """Which jobs or elements an id names.

    Parameters
    ----------
    job : int
        An array's id, or a raw id.
    indices : frozenset of int or None
        Which elements of the array; None: the whole array, or the job with that raw id.
    suffix : str
        What follows: a step (``.batch``), or the rank and restarts in a worker's name (``.3r2``).
    """

    job: int
    indices: frozenset[int] | None = None
    suffix: str = field(default="", compare=False)

    @property
    def is_life(self) -> bool:
        """Whether it is the name of a worker in a requeued element: ``36_1r2``."""
        return re.search(r"(^|\d)r\d+$", self.suffix) is not None

    def names(self, row: Mapping[str, Any]) -> bool:
        """Whether a listed row (``array_job_id``, ``array_task_id``, ``job`` or ``job_id``) is meant."""
        in_array = row.get("array_job_id") == self.job
        if self.indices is not None:
            return in_array and row.get("array_task_id") in self.indices
        return in_array or self.job == row.get("job_id", row.get("job"))


def parse_id(text: str) -> JobId | None:
    """Read an id; None if it is not written as SLURM writes ids."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        return None
    job, suffix = int(match["job"]), match["suffix"]
    if match["index"] is not None:
        return JobId(job, frozenset({int(match["index"])}), suffix)
    if match["many"] is None:
        return JobId(job, suffix=suffix)
    many = match["many"]
    try:
        # In brackets a lone number is an index, not a count: say it as a range.
        spec = parse(f"{many}-{many}" if many.isdigit() else many)
    except UsageError:
        return None
    return JobId(job, frozenset(spec.indices), suffix)
