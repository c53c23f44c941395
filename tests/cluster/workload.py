"""The work that a cluster is tested with, and what each worker writes down of it by itself.

``slurmband work tests/cluster/workload.py``, with ``WORKLOAD_TASKS`` tasks in ``WORKLOAD_LAYERS``
layers, drawn from ``WORKLOAD_SEED``; each sleeps about ``WORKLOAD_SECONDS``. Every process appends to a
file of its own in ``WORKLOAD_WITNESS``, named after its ``WORKLOAD_NODE`` and its pid, and sends each
line to the disk before it goes on: what it was told by the database (which reports were recorded or
refused, what it may do next), and what its tasks did. Nothing of slurmband's own writing is involved, so
that it can testify against it; see `tests.cluster.history`.
"""

import faulthandler
import json
import os
import random
import signal
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from slurmband import Task
from slurmband.domain.attempts import Report
from slurmband.errors import WorkerLost
from slurmband.graphband.life import Life
from slurmband.graphband.rounds import Round

Graph = Mapping[str, frozenset[str]]

TASKS: Final = "WORKLOAD_TASKS"
LAYERS: Final = "WORKLOAD_LAYERS"
SEED: Final = "WORKLOAD_SEED"
SECONDS: Final = "WORKLOAD_SECONDS"
WITNESS: Final = "WORKLOAD_WITNESS"
NODE: Final = "WORKLOAD_NODE"


def layered(count: int, layers: int, seed: int) -> Graph:
    """Draw a graph: each task needs one to three of the layer above, and at times an older one.

    Parameters
    ----------
    count, layers : int
        Tasks in all, and layers that they are dealt into.
    seed : int

    Returns
    -------
    mapping of str to frozenset of str
        Task -> what it depends on, upstream first.
    """
    dice = random.Random(seed)
    names = [f"t{number:04d}" for number in range(count)]
    width = -(-count // layers)
    graph: dict[str, frozenset[str]] = {}
    for number, name in enumerate(names):
        layer = number // width
        above = names[(layer - 1) * width : layer * width] if layer else []
        needs = set(dice.sample(above, min(len(above), dice.randint(1, 3))))
        if layer > 1 and dice.random() < 0.2:
            needs.add(dice.choice(names[: (layer - 1) * width]))
        graph[name] = frozenset(needs)
    return graph


def tasks() -> Iterator[Task[float]]:
    """Yield the graph that the environment asks for; from then on, this process is a witness."""
    _Witness.install()
    seed, seconds = int(os.environ[SEED]), float(os.environ[SECONDS])
    dice = random.Random(seed)
    graph = layered(int(os.environ[TASKS]), int(os.environ[LAYERS]), seed)
    for name, needs in graph.items():
        yield Task(name, data=seconds * dice.uniform(0.5, 1.5), dependencies=needs)


def run(task: Task[float]) -> None:
    """Sleep for a while, and say so before and after."""
    witness = _Witness.of_this_process
    assert witness is not None
    witness.note("began", **witness.in_hand(task))
    time.sleep(task.data or 0.0)
    witness.note("ended", **witness.in_hand(task))


class _Witness:
    """The file of this process, and what it was told last."""

    of_this_process: "_Witness | None" = None

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        host, pid = os.uname().nodename, os.getpid()
        path = folder / f"{os.environ[NODE]}-{pid}-{uuid.uuid4().hex[:8]}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._claimed: dict[str, dict[str, Any]] = {}
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self.note("process", host=host, pid=pid, boot=boot)

    @classmethod
    def install(cls) -> None:
        """Stand between the worker and its rounds with the database."""
        if cls.of_this_process is not None:
            return
        faulthandler.register(signal.SIGUSR2)  # says where every thread is; see `stands`
        witness = cls.of_this_process = cls(Path(os.environ[WITNESS]))
        plain = Life.round

        def witnessed(life: Life, reports: Sequence[Report], **how: Any) -> Round:
            return witness.round(plain, life, reports, **how)

        Life.round = witnessed  # type: ignore[method-assign, assignment]  # to hear all

    def round(self, plain: Any, life: Life, reports: Sequence[Report], **how: Any) -> Round:
        """Do a round, and write down what was to be reported and what came back."""
        worker = life.worker.key
        beat = life.heartbeat._last  # nobody can have found it silent before this and the timeout
        attempts = {held.attempt: str(ending.outcome) for held, ending in reports}
        if attempts:
            self.note("reports", worker=worker, attempts=list(attempts))
        try:
            found: Round = plain(life, reports, **how)
        except WorkerLost:
            self.note("lost", worker=worker, refused=list(attempts))
            raise
        refused = [held.attempt for held in found.refused]
        recorded = {key: outcome for key, outcome in attempts.items() if key not in refused}
        claimed = {
            claim.task: {"attempt": claim.attempt, "task": claim.task, "number": claim.number}
            for claim in found.claims
        }
        self._claimed |= claimed
        if attempts or claimed:
            told = {"recorded": recorded, "refused": refused}
            self.note("told", worker=worker, beat=beat, **told, claimed=[*claimed.values()])
        return found

    def in_hand(self, task: Task[Any]) -> dict[str, Any]:
        """Return the attempt that this task was handed out as."""
        claimed = self._claimed[task.id]
        assert claimed["number"] == task.attempt
        return {"attempt": claimed["attempt"], "task": task.id}

    def note(self, what: str, **of: Any) -> None:
        """Append a line, with this node's own monotonic clock."""
        line = json.dumps({"what": what, "at": time.monotonic(), **of}) + "\n"
        os.write(self._file, line.encode())
        os.fsync(self._file)
