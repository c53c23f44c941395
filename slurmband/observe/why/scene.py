"""What answers are drawn from, as of one moment: the band, and what is seen of workers and arrays."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from slurmband.domain.band_facts import ArrayFacts, BandFacts, WorkerFacts
from slurmband.domain.takers import NOTHING_SEEN, Sign, Takers, takers
from slurmband.observe.times import duration
from slurmband.observe.why.arrays import ArrayReport
from slurmband.slurm.script import exports


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is known when an answer is looked for.

    Parameters
    ----------
    band : BandFacts
    signs : mapping of int to Sign
        What is seen of live workers, by key.
    arrays : tuple of ArrayReport
        Oldest first.
    waiting_in_hand : frozenset of int
        Attempts that their worker has claimed, and not begun.
    now : float
        UTC seconds since the epoch.
    """

    band: BandFacts
    signs: Mapping[int, Sign] = field(default_factory=dict)
    arrays: tuple[ArrayReport, ...] = ()
    waiting_in_hand: frozenset[int] = frozenset()
    now: float

    def sign(self, worker: int) -> Sign:
        """Return what is seen of a worker."""
        return self.signs.get(worker, NOTHING_SEEN)

    def suspects(self, worker: WorkerFacts) -> bool:
        """Whether a worker may well be dead."""
        return self.sign(worker.worker.key).suspicious(worker.timeout)

    def takers(self, requirements: frozenset[str], expected: float | None = None) -> Takers:
        """Sort the live workers by what keeps each from a task."""
        seen = [(worker, self.sign(worker.worker.key)) for worker in self.band.workers]
        return takers(seen, requirements=requirements, expected=expected, now=self.now)

    def ago(self, then: float) -> str:
        """Write how long ago something was."""
        return duration(max(0.0, self.now - then))

    @property
    def stops_at_failures(self) -> bool:
        """Whether the workers of the newest array claim nothing once a task has failed."""
        newest = self.band.arrays[-1].script if self.band.arrays else ""
        return exports(newest).get("SLURMBAND_FAILURE_POLICY") == "stop"

    def submit(self, *options: str) -> str:
        """Write a command that queues the newest array once more, with options put first."""
        newest = self.band.arrays[-1] if self.band.arrays else None
        return " ".join(["slurmband submit", *options, *(_again(newest) if newest else ["..."])])


def _again(array: ArrayFacts) -> list[str]:
    """Write what was submitted; a bare number of elements where they count from 0."""
    cluster = ["--cluster", array.cluster] if array.cluster != "slurm" else []
    first, _, last = array.array.partition("-")
    from_zero = first == "0" and last.isdecimal()
    words = list(array.command)
    is_ours = words[1:4] == ["-m", "slurmband", "work"]
    program = words[4:] if is_ours else ["--", *words]
    return [
        *cluster,
        "--array",
        str(int(last) + 1) if from_zero else array.array,
        shlex.join(program),
    ]
