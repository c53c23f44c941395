"""Array specifications as sbatch reads them, and how one that is too large is split.

Syntax: sbatch(1), option ``--array``: ``0-31``, ``1,3,5``, ``1-7:2``, each with ``%N`` for at most N
elements at a time. Here a bare ``100`` means ``0-99``: a hundred elements.
"""

import math
import re
from dataclasses import dataclass

from slurmband.errors import UsageError

_PART = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """Which elements an array has.

    Parameters
    ----------
    indices : tuple of int
        In rising order, each once.
    throttle : int or None
        How many elements may run at a time; None: no limit.
    """

    indices: tuple[int, ...]
    throttle: int | None = None

    def __str__(self) -> str:
        """Write it as sbatch takes it."""
        return compress(self.indices) + (f"%{self.throttle}" if self.throttle else "")

    def __len__(self) -> int:
        return len(self.indices)


def parse(text: str) -> ArraySpec:
    """Read an array specification.

    Raises
    ------
    UsageError
        If it is none.
    """
    body, percent, limit = text.strip().partition("%")
    if percent and not (limit.isdecimal() and int(limit) > 0):
        raise UsageError(f"--array {text}: after % comes how many may run at a time, such as %10.")
    if re.fullmatch(r"\d+", body):
        if int(body) == 0:
            raise UsageError("--array 0 would queue no element. Write --array 1 for one worker.")
        return ArraySpec(tuple(range(int(body))), int(limit) if limit else None)
    return ArraySpec(tuple(sorted(_indices(body, text))), int(limit) if limit else None)


def _indices(body: str, text: str) -> set[int]:
    found: set[int] = set()
    for part in body.split(","):
        match = _PART.fullmatch(part)
        first, last, step = (
            (int(g) if g else None for g in match.groups()) if match else (None,) * 3
        )
        if first is None or (last is not None and last < first) or step == 0:
            raise UsageError(
                f"--array {text}: cannot read {part!r}. "
                "Write a number of workers (100), or SLURM's forms: 0-31, 1,3,5, 1-7:2, each with %N."
            )
        found.update(range(first, (first if last is None else last) + 1, step or 1))
    return found


def compress(indices: tuple[int, ...]) -> str:
    """Write indices as SLURM does: runs as ``first-last``."""
    parts: list[str] = []
    start = previous = indices[0]
    for index in (*indices[1:], None):
        if index is not None and index == previous + 1:
            previous = index
            continue
        parts.append(str(start) if start == previous else f"{start}-{previous}")
        if index is not None:
            start = previous = index
    return ",".join(parts)


def split(spec: ArraySpec, *, max_array_size: int | None) -> list[ArraySpec]:
    """Split an array that the site would refuse into several with indices from 0.

    Parameters
    ----------
    spec : ArraySpec
    max_array_size : int or None
        ``MaxArraySize`` of slurm.conf: one more than the largest index allowed. None: not known. 0:
        no arrays.

    Returns
    -------
    list of ArraySpec
        `spec` itself if it fits. A throttle is shared out, rounded up.

    Raises
    ------
    UsageError
        If the site allows no arrays.
    """
    if max_array_size == 0:
        raise UsageError("this site allows no job arrays (MaxArraySize=0 in its slurm.conf).")
    if max_array_size is None or spec.indices[-1] < max_array_size:
        return [spec]
    parts = math.ceil(len(spec) / max_array_size)
    throttle = math.ceil(spec.throttle / parts) if spec.throttle else None
    sizes = [len(spec) // parts + (part < len(spec) % parts) for part in range(parts)]
    return [ArraySpec(tuple(range(size)), throttle) for size in sizes]
