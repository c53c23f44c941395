"""laufband and slurmband behind one face: what both offer, by their public interfaces alone."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import laufband
import laufband.graphband
from flufl.lock import Lock
from typer.testing import CliRunner

import slurmband
from slurmband.cli.app import build
from slurmband.errors import WorkerAlive

#: Of slurmband, in a folder.
DATABASE = "slurmband.sqlite"


@dataclass(frozen=True)
class Node:
    """A task as a script writes it, for either library."""

    id: str
    needs: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    slots: int = 1


class Band(Protocol):
    """What a Graphband is to its user, in both."""

    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def __enter__(self) -> object: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None: ...
    def close(self) -> None: ...
    @property
    def has_more_jobs(self) -> bool: ...
    @property
    def identifier(self) -> str: ...
    @property
    def labels(self) -> frozenset[str]: ...
    @property
    def lock(self) -> AbstractContextManager[Any]: ...
    @property
    def iterator(self) -> object: ...


class Library(Protocol):
    """One of the two."""

    name: str
    #: What a user imports, for scripts that need more than this face.
    module: Any

    def band(self, graph: Sequence[Node], folder: Path, **options: object) -> Band:
        """Make a band, one worker of it, whose database lies in `folder`."""

    def stands(self, folder: Path) -> Mapping[str, str]:
        """Say what last happened to each task that ever began: running or how it ended."""

    def end(self, band: Band) -> None:
        """End what a band still does when its loops have ended."""

    def word(self, error: Exception) -> str:
        """Name the class of problem that `error` is."""


class InTurn:
    """A lock for threads before the lock for processes, which sleeps up to 2 s between tries."""

    def __init__(self, path: Path) -> None:
        self._threads = threading.RLock()
        self._processes = Lock(str(path), lifetime=10)

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            self._processes.lock()
        except BaseException:
            self._threads.release()
            raise

    def __exit__(self, *raised: object) -> None:
        try:
            self._processes.unlock()
        finally:
            self._threads.release()


def only_the_last(*locks: object) -> object:
    """Stand in for laufband's own way to hold several locks.

    There, a thread that leaves can pop what another has just entered, and the band stands still for
    ever. `InTurn`, the last, is for threads as well as for processes.
    """
    return locks[-1] if isinstance(locks[-1], InTurn) else _AS_IT_WAS(*locks)


_AS_IT_WAS = laufband.graphband.MultiLock
laufband.graphband.MultiLock = only_the_last


@dataclass
class Laufband:
    """The ancestor."""

    name: str = "laufband"
    module: Any = laufband
    #: Short times, for bands that are to notice a death; 1 s is the least it takes.
    quick: Mapping[str, float] = field(
        default_factory=lambda: {"heartbeat_interval": 1, "heartbeat_timeout": 2}
    )
    _locks: dict[Path, InTurn] = field(default_factory=dict)

    def band(self, graph: Sequence[Node], folder: Path, **options: Any) -> Band:
        if options.pop("quick", False):
            options |= self.quick
        lock = self._locks.setdefault(folder, InTurn(folder / "database.lock"))
        tasks = [
            laufband.Task(
                id=node.id,
                dependencies=set(node.needs),
                requirements=set(node.requires),
                max_parallel_workers=node.slots,
            )
            for node in graph
        ]
        made: Band = laufband.Graphband(
            tasks,
            db=f"sqlite:///{folder / 'graphband.sqlite'}",
            lock=Lock(str(folder / "graphband.lock")),
            db_lock=lock,
            tqdm_kwargs={"disable": True},
            **options,
        )
        return made

    def stands(self, folder: Path) -> Mapping[str, str]:
        database = folder / "graphband.sqlite"
        if not database.exists():
            return {}
        tasks = laufband.Monitor(db=f"sqlite:///{database}").get_tasks()
        return {task.id: str(task.current_status.status) for task in tasks}

    def end(self, band: Band) -> None:
        band.close()  # it beats until then

    def word(self, error: Exception) -> str:
        words = {RuntimeError: "stopped", ValueError: "refused"}
        return words.get(type(error), type(error).__name__)


@dataclass
class Slurmband:
    """The heir."""

    name: str = "slurmband"
    module: Any = slurmband
    quick: Mapping[str, float] = field(
        default_factory=lambda: {"heartbeat_interval": 0.2, "heartbeat_timeout": 2}
    )

    def band(self, graph: Sequence[Node], folder: Path, **options: Any) -> Band:
        if options.pop("quick", False):
            options |= self.quick
        tasks: list[slurmband.Task[None]] = [
            slurmband.Task(
                id=node.id,
                dependencies=set(node.needs),
                requirements=set(node.requires),
                max_parallel_workers=node.slots,
            )
            for node in graph
        ]
        return slurmband.Graphband(
            tasks,
            db=folder / DATABASE,
            tqdm_kwargs={"disable": True},
            max_claims=1,  # or the order would be another one
            **options,
        )

    def stands(self, folder: Path) -> Mapping[str, str]:
        if not (folder / DATABASE).exists():
            return {}
        begun = [task for task in self._ask(folder, "tasks") if task["attempts"]]
        return {task["id"]: self._stands(folder, task) for task in begun}

    def _stands(self, folder: Path, task: Mapping[str, Any]) -> str:
        if task["state"] != "ready":
            return str(task["state"])
        return str(self._ask(folder, "where", task["id"])[-1]["outcome"])

    def states(self, folder: Path) -> Mapping[str, str]:
        """Return the states, which only slurmband has."""
        return {task["id"]: task["state"] for task in self._ask(folder, "tasks")}

    def _ask(self, folder: Path, *words: str) -> list[dict[str, Any]]:
        command = [*words, "--json", "--db", str(folder / DATABASE)]
        done = CliRunner().invoke(build(), command, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def end(self, band: Band) -> None:
        band.__exit__(None, None, None)

    def word(self, error: Exception) -> str:
        words: dict[type[Exception], str] = {
            slurmband.BandStopped: "stopped",
            WorkerAlive: "refused",
            slurmband.UsageError: "refused",
        }
        if isinstance(error, slurmband.GraphError):
            return "told that its graph cannot be run"
        return words.get(type(error), type(error).__name__)


LAUFBAND = Laufband()
SLURMBAND = Slurmband()
LIBRARIES: Mapping[str, Library] = {"laufband": LAUFBAND, "slurmband": SLURMBAND}
