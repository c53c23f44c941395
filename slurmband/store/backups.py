"""Copies of the database, taken under its lock every so often; the newest few are kept."""

import logging
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from slurmband.store.database import Store
from slurmband.store.layout import Layout

log = logging.getLogger(__name__)

#: How many copies are kept.
KEPT: Final = 3
#: Of those that are taken every so often; others in the folder are left alone.
_PATTERN: Final = "????-??-??T??????Z.sqlite"


def backups(layout: Layout) -> list[Path]:
    """Return the copies there are, oldest first."""
    return sorted(layout.backups.glob(_PATTERN))


def due(layout: Layout, interval: float) -> bool:
    """Whether the newest copy is older than `interval` seconds, by the clock that stamps the files."""
    existing = backups(layout)
    if not existing:
        return True
    probe = layout.backups / f".now.{secrets.token_hex(6)}"
    probe.touch()
    try:
        return probe.stat().st_mtime - existing[-1].stat().st_mtime >= interval
    finally:
        probe.unlink()


def back_up(store: Store, *, now: float) -> Path:
    """Take a copy, and remove those that are too many.

    Parameters
    ----------
    store : Store
    now : float
        UTC seconds since the epoch, for the copy's name.
    """
    taken = datetime.fromtimestamp(now, UTC)
    target = store.layout.backups / f"{taken:%Y-%m-%dT%H%M%SZ}.sqlite"
    store.copy(target)
    for old in backups(store.layout)[:-KEPT]:
        old.unlink(missing_ok=True)
    log.info("backed up the database to %s", target)
    return target


def back_up_if_due(store: Store, interval: float, *, now: float) -> Path | None:
    """Take a copy if it is time for one; two processes that find so at once take one each."""
    return back_up(store, now=now) if due(store.layout, interval) else None
