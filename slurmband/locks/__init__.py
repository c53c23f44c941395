"""The locks: flufl.lock made fit for hundreds of waiters, and the ladder that leads to it."""

from flufl.lock import Lock

__all__ = ["Lock"]
