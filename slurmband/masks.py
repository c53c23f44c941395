"""Signals held back: from this thread for a while, and from threads it starts meanwhile for ever."""

import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager


@contextmanager
def masked(signals: Collection[int] | None = None) -> Iterator[None]:
    """Let no signal reach this thread inside the block; a thread started there never takes any.

    A signal goes to any thread that does not mask it, and Python then runs its handler in the main
    thread, whatever that masks. So every thread of ours is started in such a block.

    Parameters
    ----------
    signals : collection of int, optional
        Only these; None: all.
    """
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, signal.valid_signals() if signals is None else signals
    )
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
