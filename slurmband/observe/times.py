"""Times and durations as people read them; times are UTC, in ISO 8601."""

from datetime import UTC, datetime


def iso(seconds: float | None) -> str | None:
    """Write seconds since the epoch as ``2026-01-31T08:00:00Z``; None stays None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: float) -> str:
    """Write a duration as ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 05 min``, ``1 d 03 h``."""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02} h"
