"""Counts and names as people read them."""

from collections.abc import Sequence


def plural(count: int, thing: str) -> str:
    """Write ``1 task``, ``2 tasks``."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def named(names: Sequence[str]) -> str:
    """Write ``'a', 'b' and 3 more``."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more
