"""A figure: what was measured, beside what it is to be compared with."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the results.

    Parameters
    ----------
    what : str
    value : float, optional
        Median of the repeats; None: not measured, and `note` says why.
    unit : str
    of : str, default "slurmband"
        Which program it is of; one line in a plot.
    at : float, optional
        Where it lies on the other axis of a plot: a number of tasks, of workers, of attempts.
    repeats : sequence of float
        What each repeat gave.
    better : {"less", "more", ""}
    target : float, optional
        What it is to be, at most or at least.
    ratio : float, optional
        `value` over what `ratio_to` names.
    ratio_to : str
    note : str
    """

    what: str
    value: float | None
    unit: str
    of: str = "slurmband"
    at: float | None = None
    repeats: Sequence[float] = ()
    better: Literal["less", "more", ""] = ""
    target: float | None = None
    ratio: float | None = None
    ratio_to: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None or self.value is None or not self.better:
            return None
        return self.value <= self.target if self.better == "less" else self.value >= self.target


def skipped(what: str, why: str, *, of: str = "slurmband") -> Figure:
    """Make the figure of what was not measured."""
    return Figure(what=what, value=None, unit="", of=of, note=f"skipped: {why}")


def median(values: Sequence[float]) -> float:
    """Return the median; of an even number, the mean of the two in the middle."""
    return float(statistics.median(values))
