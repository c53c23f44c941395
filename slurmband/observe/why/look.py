"""Looking for an answer: one read of the database, the beats, at most one question to SLURM."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slurmband.domain.band_facts import ArrayFacts, BandFacts
from slurmband.domain.facts import TaskFacts, Upstream
from slurmband.domain.states import CLAIMABLE, TaskState
from slurmband.domain.takers import Sign
from slurmband.domain.workers import LOCAL_CLUSTER
from slurmband.errors import UsageError
from slurmband.liveness import journal
from slurmband.liveness.beats import Beats, ages
from slurmband.observe.times import iso
from slurmband.observe.why import element
from slurmband.observe.why.answers import Answer
from slurmband.observe.why.arrays import ArrayReport, report
from slurmband.observe.why.band import LATELY, moves, why_band
from slurmband.observe.why.scene import Scene
from slurmband.observe.why.task import choose, why_task
from slurmband.processes import fate_of, with_word
from slurmband.slurm.command import Run, run
from slurmband.slurm.ids import JobId, parse_id
from slurmband.slurm.pending import Queue, ask
from slurmband.store import reasons
from slurmband.store.database import Store, Transaction
from slurmband.store.modes import Mode
from slurmband.store.upstream import upstream

#: SLURM is asked about the newest arrays only: older ones are over.
_ARRAYS = 50


@dataclass(frozen=True, slots=True)
class _Found:
    """What one transaction told: the band, and what a name means in it."""

    band: BandFacts
    task: TaskFacts | None = None
    up: Upstream | None = None
    root: TaskFacts | None = None
    worker: dict[str, Any] | None = None
    array: ArrayFacts | None = None
    index: int | None = None

    @property
    def asks_slurm(self) -> bool:
        """Whether SLURM may know more about it."""
        if self.task is None:
            return True
        return (self.root or self.task).state in CLAIMABLE


def why(store: Store, name: str | None = None, *, now: float, run: Run = run) -> dict[str, Any]:
    """Say why a task does not run, or why the band does not move.

    Parameters
    ----------
    store : Store
    name : str, optional
        A task, a worker, or an id of SLURM's; by default the band.
    now : float
        UTC seconds since the epoch.
    run : callable
        Starts a command of SLURM's.

    Returns
    -------
    dict
        ``about``, ``name``, ``task`` and its ``state``; ``moving``, ``last_event``, ``tasks`` and
        ``workers`` of the band; ``answers``: list of ``cause headline evidence advice command facts``.

    Raises
    ------
    UsageError
        If nothing has that name.
    """
    with store.read() as tx:
        found = _find(tx, name, now)
    scene, queue = _scene(store, found, now, run)
    about, answers = _answers(scene, found, queue)
    band = scene.band
    return {
        "about": about,
        "name": name,
        "task": found.task.id if found.task else None,
        "state": str(found.task.state) if found.task else None,
        "moving": moves(scene),
        "last_event": iso(band.last_event),
        "tasks": {str(state): n for state in TaskState if (n := band.count(state))},
        "workers": {
            "alive": len(band.workers),
            "suspects": sum(scene.suspects(worker) for worker in band.workers),
            "busy": sum(worker.held is not None for worker in band.workers),
        },
        "answers": [answer.row() for answer in answers],
    }


# --- reading ------------------------------------------------------------------------------------


def _find(tx: Transaction, name: str | None, now: float) -> _Found:
    band = reasons.band(tx, since=now - LATELY)
    if name is None:
        return _Found(band)
    task, worker = reasons.task(tx, name), None
    if task is None:
        worker = reasons.last_worker(tx, name)
        if worker is None:
            return _in_queue(band, name)
        held = next((w.held for w in band.workers if w.worker.key == worker["key"]), None)
        if held is None:
            return _Found(band, worker=worker)
        task = reasons.task(tx, held.task)
    assert task is not None
    if task.state not in (TaskState.WAITING, TaskState.BLOCKED):
        return _Found(band, task, worker=worker)
    up = upstream(tx, task.key, task.id, task.state)
    root = choose(Scene(band=band, now=now), up)
    return _Found(band, task, up, reasons.task(tx, root.id) if root else None, worker)


def _in_queue(band: BandFacts, name: str) -> _Found:
    """Find the element or array of that name, in which no worker has joined."""
    job = parse_id(name) or JobId(-1)
    for array in reversed(band.arrays):
        if array.array_job_id == job.job:
            index = min(job.indices) if job.indices and len(job.indices) == 1 else None
            return _Found(band, array=array, index=index)
    raise UsageError(f"no task {name!r} (`slurmband tasks` lists them), and no such element.")


# --- looking around -----------------------------------------------------------------------------


def _scene(store: Store, found: _Found, now: float, run: Run) -> tuple[Scene, Queue]:
    band, queue = found.band, Queue()
    reports: tuple[ArrayReport, ...] = ()
    arrays = band.arrays[-_ARRAYS:] if found.asks_slurm else ()
    if arrays:
        ids = [a.array_job_id for a in arrays if a.cluster != LOCAL_CLUSTER]
        queue = ask([each for each in ids if each is not None], run=run)
        processes = with_word([a.token for a in arrays if a.cluster == LOCAL_CLUSTER])
        reports = tuple(report(array, queue, processes) for array in arrays)
    claims = [
        attempt for task in (found.task, found.root) if task for attempt in task.open_attempts
    ]
    journals = {
        key: journal.read(store.layout.journals, key) for key in {c.worker_key for c in claims}
    }
    scene = Scene(
        band=band,
        signs=_signs(store, band),
        arrays=reports,
        waiting_in_hand=frozenset(c.id for c in claims if c.id not in journals[c.worker_key]),
        now=now,
    )
    return scene, queue


def _signs(store: Store, band: BandFacts) -> dict[int, Sign]:
    """Look at the beat and, on this machine, at the process of every live worker."""
    keys = [worker.worker.key for worker in band.workers]
    try:
        silence = ages(
            Beats(store.layout.beats),
            keys,
            file_system=store.mount.file_system,
            local=store.mode is Mode.LOCAL,
        )
    except OSError:  # who may only read cannot tell
        silence = {}
    return {
        worker.worker.key: Sign(silence.get(worker.worker.key), fate_of(worker.worker.process))
        for worker in band.workers
    }


# --- answering ----------------------------------------------------------------------------------


def _answers(scene: Scene, found: _Found, queue: Queue) -> tuple[str, Sequence[Answer]]:
    if found.task is not None:
        return "task", [why_task(scene, found.task, found.up, found.root)]
    if found.worker is not None:
        return "worker", [element.of_worker(scene, found.worker)]
    if found.array is None:
        return "band", why_band(scene)
    array = found.array
    its = _report_of(scene, array)
    if found.index is None:
        return "array", [element.of_array(array, its)]
    queued = queue.arrays.get(array.array_job_id or -1, {}).get(found.index)
    return "element", [element.of_element(array, found.index, queued, its)]


def _report_of(scene: Scene, array: ArrayFacts) -> ArrayReport:
    its = [each for each in scene.arrays if each.facts["array_job_id"] == array.array_job_id]
    return its[-1] if its else report(array, Queue(), {})
