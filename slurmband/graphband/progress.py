"""The progress bar of a worker's loop."""

from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

from slurmband.graphband.rounds import Round
from slurmband.masks import masked


class Progress:
    """A bar that shows how far the whole band is; made when that is first known.

    Parameters
    ----------
    tqdm_kwargs : mapping
    """

    def __init__(self, tqdm_kwargs: Mapping[str, Any]) -> None:
        self._tqdm_kwargs = tqdm_kwargs
        self.bar: Any = None

    def show(self, found: Round) -> None:
        """Show what a round found."""
        if not found.total:
            return
        if self.bar is None:
            defaults: dict[str, Any] = {"total": found.total, "unit": "task", "disable": None}
            with masked():  # tqdm may start a thread
                self.bar = tqdm(**(defaults | dict(self._tqdm_kwargs)))
        self.bar.total = found.total
        self.bar.n = found.completed
        self.bar.refresh()

    def close(self) -> None:
        """Close it, as far as there is one."""
        if self.bar is not None:
            self.bar.close()
