"""Builders of what `slurmband why` draws its answers from: a few words for tasks, workers and scenes."""

from typing import Any, Final

from slurmband.domain.attempts import Outcome
from slurmband.domain.band_facts import ArrayFacts, BandFacts, Head, Held, WorkerFacts
from slurmband.domain.budgets import Charge
from slurmband.domain.facts import AttemptFacts, TaskFacts
from slurmband.domain.processes import Fate, ProcessIdentity
from slurmband.domain.states import TaskState
from slurmband.domain.takers import Sign
from slurmband.domain.workers import Worker
from slurmband.observe.why.scene import Scene

NOW: Final = 10_000.0
LIVES: Final = Sign(2.0, Fate.ALIVE)
MUTE: Final = Sign(300.0, Fate.UNKNOWN)
GONE: Final = Sign(None, Fate.GONE)


def worker(
    name: str = "36_0",
    labels: str = "",
    *,
    key: int | None = None,
    holds: str | None = None,
    since: float = NOW - 100,
    ends_at: float | None = None,
    stop: str | None = None,
) -> WorkerFacts:
    key = int(name.partition("_")[2] or 0) + 1 if key is None else key
    identity = ProcessIdentity("n1", "boot", "pid:[1]", 100 + key, 7)
    return WorkerFacts(
        worker=Worker(key, name, identity, None, frozenset(labels.split())),
        node="n1",
        log=f"/logs/{name}.out",
        timeout=60.0,
        ends_at=ends_at,
        stop=stop,
        started_at=0.0,
        held=None if holds is None else Held(1, holds, key, since),
    )


def attempt(
    number: int = 1,
    outcome: Outcome | None = None,
    reason: str | None = None,
    *,
    worker: str = "36_0",
    key: int = 1,
    since: float = NOW - 100,
    ended: float | None = None,
) -> AttemptFacts:
    return AttemptFacts(
        id=number,
        number=number,
        outcome=outcome,
        reason=reason,
        error=None,
        claimed_at=since,
        ended_at=(ended or NOW - 50) if outcome else None,
        worker_key=key,
        worker=worker,
        element=worker,
        job=37,
        node="n1",
        log=f"/logs/{worker}.out",
    )


def task(state: TaskState, name: str = "run-3", labels: str = "", **facts: Any) -> TaskFacts:
    return TaskFacts(key=3, id=name, state=state, requirements=frozenset(labels.split()), **facts)


def charged(**n: int) -> dict[Charge, int]:
    """Write ``failed=1``, ``killed=3``, ``oom=1``, ``time=2``; whatever is not named is 0."""
    words = {"failed": Charge.FAILED, "killed": Charge.KILLED}
    words |= {"oom": Charge.OUT_OF_MEMORY, "time": Charge.TIME_LIMIT}
    return {charge: n.get(word, 0) for word, charge in words.items()}


def array(job: int | None = 36, **facts: Any) -> ArrayFacts:
    given: dict[str, Any] = {
        "array": "0-39",
        "cluster": "slurm",
        "status": "queued",
        "token": f"slurmband-{job}",
        "log": "/logs/%A_%a.out",
        "command": ("/usr/bin/python3", "-m", "slurmband", "work", "flow.py"),
        "elements": 40,
    }
    return ArrayFacts(array_job_id=job, **(given | facts))


def band(*workers: WorkerFacts, heads: dict[str, Head] | None = None, **facts: Any) -> BandFacts:
    """Return a band; ``ready=3``, ``gpu_ready=2`` and the like count tasks by labels and state."""
    counts = {}
    for state in TaskState:
        for word in [word for word in facts if word == state or word.endswith(f"_{state}")]:
            labels = word.removesuffix(state).strip("_")
            counts[frozenset(filter(None, labels.split("_"))), state] = facts.pop(word)
    found = {frozenset(labels.split()): head for labels, head in (heads or {}).items()}
    return BandFacts(counts=counts, workers=workers, heads=found, **facts)


def scene(of: BandFacts, *, signs: dict[str, Sign] | None = None, **facts: Any) -> Scene:
    """Return a scene in which every worker lives, unless `signs` says otherwise by its name."""
    seen = {each.worker.key: (signs or {}).get(each.name, LIVES) for each in of.workers}
    return Scene(band=of, signs=seen, now=NOW, **facts)
