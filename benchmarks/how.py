"""How to measure: how much, how often, where, and beside whom."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmarks import peers
from benchmarks.places import Here, Place
from benchmarks.runners import Run, bare, hyperqueue, jug, laufband, parsl, slurmband

T = TypeVar("T")
#: Runs a graph, as ``layered:1000:5``, with so many workers in a folder.
Contender = Callable[[Place, str, int, Path], Run]

#: In Python, like slurmband.
PYTHON_PEERS = ("laufband", "jug", "Parsl")


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
    """

    folder: Path
    quick: bool = False
    repeat: int = 5
    mode: str | None = None
    batch: int = 10
    peers: Path = peers.FOLDER
    missing: Mapping[str, str] = field(default_factory=dict)

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

    @property
    def ours(self) -> Contender:
        """Slurmband as a contender."""
        return partial(slurmband.run, environ=self.environ)

    @property
    def python_peers(self) -> dict[str, Contender]:
        """Those peers in Python that are there."""
        python = peers.python_of(self.peers)
        known: dict[str, Contender] = {
            "laufband": partial(laufband.run, python=python),
            "jug": partial(jug.run, python=python),
            "Parsl": partial(parsl.run, python=python),
        }
        return {name: run for name, run in known.items() if name.lower() not in self.missing}

    @property
    def contenders(self) -> dict[str, Contender]:
        """Everybody who is there, slurmband first."""
        known: dict[str, Contender] = {
            "slurmband": self.ours,
            "bare SQLite": bare.run,
            f"bare SQLite, {self.batch} per transaction": partial(bare.run, batch=self.batch),
            **self.python_peers,
        }
        if "hyperqueue" not in self.missing:
            known["HyperQueue"] = partial(hyperqueue.run, python=peers.python_of(self.peers))
        return known
