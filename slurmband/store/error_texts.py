"""What went wrong in attempts, in full: of many that fail alike the text is kept once.

A task that fails with a traceback of a page fails so at each try, and so do its siblings.
"""

import hashlib
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from slurmband.store.database import Transaction
from slurmband.store.schema import attempts, error_texts
from slurmband.store.statements import Statement

#: What went wrong in an attempt, whichever version of slurmband wrote it; NULL: nothing.
OF_ATTEMPT: Final[ColumnElement[str | None]] = func.coalesce(
    select(error_texts.c.text)
    .where(error_texts.c.id == attempts.c.error_text)
    .correlate(attempts)
    .scalar_subquery(),
    attempts.c.error,
)


def id_of(text: str | None) -> int | None:
    """Return under what a text is kept: 63 bits of its SHA-256."""
    if text is None:
        return None
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def keep(tx: Transaction, texts: Collection[str | None]) -> None:
    """Keep those that are not kept yet."""
    for text in set(texts):
        if text is not None:
            _KEEP.run(tx, key=id_of(text), told=text)


def forget_unused(connection: Connection) -> None:
    """Drop the texts of which no attempt is left."""
    used: Any = select(attempts.c.error_text).where(attempts.c.error_text.is_not(None))
    connection.execute(delete(error_texts).where(error_texts.c.id.not_in(used)))


_KEEP = Statement(
    insert(error_texts).values(id=bindparam("key"), text=bindparam("told")).on_conflict_do_nothing()
)
