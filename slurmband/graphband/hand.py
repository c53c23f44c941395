"""What a worker has in hand between two rounds: claims that are not begun, and reports to be made."""

import threading
from collections import deque
from collections.abc import Collection, Sequence

from slurmband.domain.attempts import Claim, Ending, Outcome
from slurmband.graphband.rounds import Report


class Hand:
    """Filled by a round, emptied by the tasks' beginnings; two threads may look into it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._claims: deque[Claim] = deque()
        self._reports: list[Report] = []

    def __len__(self) -> int:
        """Count the claims."""
        return len(self._claims)

    @property
    def attempts(self) -> set[int]:
        """The attempts of the claims."""
        with self._turn:
            return {claim.attempt for claim in self._claims}

    @property
    def reports(self) -> Sequence[Report]:
        """What is to be reported, oldest first."""
        with self._turn:
            return tuple(self._reports)

    @property
    def urgent(self) -> bool:
        """Whether something did not end as it should, which others must know at once."""
        return any(ending.outcome is not Outcome.COMPLETED for _, ending in self.reports)

    @property
    def awaited(self) -> bool:
        """Whether other tasks depend on what is to be reported."""
        return any(claim.awaited for claim, _ in self.reports)

    def add(self, claims: Collection[Claim]) -> None:
        """Put what a round gave at the end."""
        with self._turn:
            self._claims.extend(claims)

    def take(self) -> Claim | None:
        """Take the claim that came first; None if there is none."""
        with self._turn:
            return self._claims.popleft() if self._claims else None

    def ended(self, claim: Claim, ending: Ending) -> None:
        """Note what the next round is to report."""
        with self._turn:
            self._reports.append((claim, ending))

    def told(self, number: int) -> None:
        """Forget the oldest so many reports: they were made."""
        with self._turn:
            del self._reports[:number]

    def give_up(self, ending: Ending) -> None:
        """Let the next round hand back what is not begun."""
        with self._turn:
            self._reports += [(claim, ending) for claim in self._claims]
            self._claims.clear()

    def clear(self) -> list[Claim]:
        """Drop everything; return whose reports were dropped."""
        with self._turn:
            dropped = [claim for claim, _ in self._reports]
            self._reports.clear()
            self._claims.clear()
            return dropped
