"""Whether two tasks of one id are one task that was written twice."""

from dataclasses import fields
from typing import Any, Final

from slurmband.domain.task import Task

#: Their order, and how often a name stands in them, means nothing.
_SETS: Final = frozenset({"dependencies", "requirements"})


def difference(one: Task[Any], other: Task[Any]) -> str | None:
    """Return the first field in which two tasks differ; None if they are the same.

    Parameters
    ----------
    one, other : Task

    Returns
    -------
    str or None
        Data whose ``==`` gives no plain bool, such as arrays, is the same only if it is one object.
    """
    for field in fields(Task):
        if field.compare:
            a, b = getattr(one, field.name), getattr(other, field.name)
            if not (set(a) == set(b) if field.name in _SETS else _same(a, b)):
                return field.name
    return None


def _same(one: object, other: object) -> bool:
    if one is other:
        return True
    try:
        equal = one == other
    except Exception:  # the user's code
        return False
    return equal if isinstance(equal, bool) else False
