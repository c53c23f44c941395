"""What a worker has in hand between two rounds: claims that are not begun, and reports to be made."""

import threading
from collections import deque
from collections.abc import Collection, Sequence

from slurmband.domain.attempts import Claim, Ending, Outcome, Report


class Hand:
    """Filled by a round, emptied by the tasks' beginnings; two threads may look into it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._claims: deque[Claim] = deque()
        self._reports: list[Report] = []
        #: Whether something to be reported did not end as it should, which others must know at once.
        self.urgent = False
        #: Whether other tasks depend on what is to be reported.
        self.awaited = False

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
            self._note((claim, ending))

    def give_up(self, ending: Ending) -> None:
        """Let the next round hand back what is not begun."""
        with self._turn:
            while self._claims:
                self._note((self._claims.popleft(), ending))

    def told(self, reports: Collection[Report]) -> None:
        """Forget these very reports: they were made. They may be those of an incarnation before."""
        made = set(map(id, reports))
        with self._turn:
            left = [report for report in self._reports if id(report) not in made]
            self._forget()
            for report in left:
                self._note(report)

    def clear(self) -> list[Claim]:
        """Drop everything; return whose reports were dropped."""
        with self._turn:
            dropped = [claim for claim, _ in self._reports]
            self._claims.clear()
            self._forget()
            return dropped

    def _note(self, report: Report) -> None:
        claim, ending = report
        self._reports.append(report)
        self.urgent = self.urgent or ending.outcome is not Outcome.COMPLETED
        self.awaited = self.awaited or claim.awaited

    def _forget(self) -> None:
        self._reports.clear()
        self.urgent = self.awaited = False
