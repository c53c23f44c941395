"""How long tasks of a kind take, as learned from those that completed."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

#: What is foreseen is so many standard deviations above the mean.
DEVIATIONS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Durations:
    """What is known of how long tasks of one kind took.

    Parameters
    ----------
    n : int
        How many.
    mean : float
        Seconds.
    spread : float
        Sum of the squared distances from the mean.
    """

    n: int = 0
    mean: float = 0.0
    spread: float = 0.0

    @property
    def foreseen(self) -> float:
        """Seconds that another one will hardly exceed; after a single one, twice as long as that."""
        if self.n < 2:
            return 2 * self.mean
        return self.mean + DEVIATIONS * math.sqrt(self.spread / (self.n - 1))

    def with_more(self, seconds: Iterable[float]) -> Self:
        """Learn of more tasks; Welford's algorithm (Technometrics 4, 1962)."""
        n, mean, spread = self.n, self.mean, self.spread
        for took in seconds:
            n += 1
            before = took - mean
            mean += before / n
            spread += before * (took - mean)
        return type(self)(n, mean, spread)
