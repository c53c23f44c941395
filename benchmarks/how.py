"""How to measure: how much, how often, where, and beside whom."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from benchmarks import peers
from benchmarks.crew import CrewBroken
from benchmarks.places import Here, Place
from benchmarks.runners import Run, bare, hyperqueue, jug, laufband, parsl, slurmband

T = TypeVar("T")
#: Runs a graph, as ``layered:1000:5``, with so many workers in a folder.
Contender = Callable[[Place, str, int, Path], Run]

#: In Python, like slurmband.
PYTHON_PEERS: Final = ("laufband", "jug", "parsl")
PEERS: Final = (*PYTHON_PEERS, "hyperqueue")


@dataclass(frozen=True)
class How:
    """What all measures are told.

    Parameters
    ----------
    folder : Path
        Where bands lie while they are measured: the file system that is measured.
    quick : bool
        Whether to see that everything runs, and not to measure.
    repeat : int
    mode : str, optional
        ``SLURMBAND_MODE`` of the bands on this machine.
    batch : int
        Tasks per transaction of the second bare SQLite program.
    peers : Path
        The environment of the peers.
    missing : mapping of str to str
        Peers that cannot be run, and why.
    recorded : sequence of Path
        Recorded workflows, in WfFormat.
    scale : float
        Seconds per second of those.
    runs : list of Run
        All that were done.
    broken : dict of str to str
        Peers that failed, and how: they are not asked again.
    """

    folder: Path
    quick: bool = False
    repeat: int = 5
    mode: str | None = None
    batch: int = 10
    peers: Path = peers.FOLDER
    missing: Mapping[str, str] = field(default_factory=dict)
    recorded: Sequence[Path] = ()
    scale: float = 0.01
    runs: list[Run] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)

    def pick(self, full: T, quick: T) -> T:
        """Return what this run is to take."""
        return quick if self.quick else full

    def repeats(self, most: int = 1000) -> range:
        """Count the repeats, at most so many: of what takes long."""
        return range(1 if self.quick else min(self.repeat, most))

    @property
    def environ(self) -> dict[str, str]:
        """What slurmband is told by its environment."""
        return {"SLURMBAND_MODE": self.mode} if self.mode else {}

    @contextmanager
    def place(self) -> Iterator[tuple[Here, Path]]:
        """Give this machine, and a fresh folder on it for as long as it is needed."""
        with tempfile.TemporaryDirectory(prefix="slurmband-benchmark-", dir=self.folder) as name:
            yield Here(Path(name)), Path(name) / "band"

    def run(
        self,
        name: str,
        contender: Contender,
        graph: str,
        workers: int,
        where: tuple[Place, Path] | None = None,
    ) -> Run | None:
        """Run a graph once; None where a peer cannot.

        Parameters
        ----------
        name : str
        contender : callable
        graph : str
        workers : int
        where : tuple of Place and Path, optional
            By default here, in a fresh folder.

        Raises
        ------
        CrewBroken, RuntimeError
            If slurmband or the bare program cannot.
        """
        try:
            with nullcontext(where) if where else self.place() as (place, folder):
                run = contender(place, graph, workers, folder)
        except (CrewBroken, RuntimeError, subprocess.SubprocessError) as error:
            if name not in PEERS:
                raise
            self.broken[name] = f"it failed with {graph}: {error}"
            return None
        self.runs.append(run)
        return run

    def runs_of(
        self, name: str, contender: Contender, graph: str, workers: int, most: int = 1000
    ) -> list[Run]:
        """Run a graph so often, at most `most` times; return the runs that there were."""
        runs = [self.run(name, contender, graph, workers) for _ in self.repeats(most)]
        return [run for run in runs if run is not None]

    @property
    def own(self) -> dict[str, Contender]:
        """Slurmband, and the bare program with one task per transaction."""
        return {
            "slurmband": partial(slurmband.run, environ=self.environ),
            "bare SQLite": bare.run,
        }

    @property
    def python_peers(self) -> dict[str, Contender]:
        """Those peers in Python that are there and do not fail."""
        python = peers.python_of(self.peers)
        known: dict[str, Contender] = {
            "laufband": partial(laufband.run, python=python),
            "jug": partial(jug.run, python=python),
            "parsl": partial(parsl.run, python=python),
        }
        return {name: run for name, run in known.items() if self._there(name)}

    def _there(self, name: str) -> bool:
        return name not in self.missing and name not in self.broken

    @property
    def contenders(self) -> dict[str, Contender]:
        """Everybody who is there, slurmband first."""
        known: dict[str, Contender] = {
            **self.own,
            f"bare SQLite, {self.batch} per transaction": partial(bare.run, batch=self.batch),
            **self.python_peers,
        }
        if self._there("hyperqueue"):
            known["hyperqueue"] = partial(hyperqueue.run, python=peers.python_of(self.peers))
        return known
