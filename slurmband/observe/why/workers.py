"""What is to be said of workers: since when each was heard, and where it is."""

from slurmband.domain.band_facts import WorkerFacts
from slurmband.domain.facts import AttemptFacts
from slurmband.domain.processes import Fate
from slurmband.observe.times import duration, iso
from slurmband.observe.why.answers import Answer, Cause
from slurmband.observe.why.arrays import lines
from slurmband.observe.why.scene import Scene
from slurmband.observe.words import plural


def heard(scene: Scene, worker: WorkerFacts) -> str:
    """Say when a worker was last heard."""
    sign = scene.sign(worker.worker.key)
    if sign.fate is Fate.GONE:
        return "its process is gone"
    stopped = "its process is stopped; " if sign.fate is Fate.STOPPED else ""
    if sign.silence is None:
        return f"{stopped}when it was last heard cannot be told from here"
    late = f"{stopped}last heard {duration(sign.silence)} ago"
    return f"{late}; it is a suspect after {duration(worker.timeout)}"


def dead(scene: Scene, suspects: list[WorkerFacts]) -> str:
    """Say how sure it is that suspects are dead."""
    gone = all(scene.sign(worker.worker.key).fate is Fate.GONE for worker in suspects)
    sure = "is dead" if len(suspects) == 1 else "are dead"
    return sure if gone else "may be dead"


def place(attempt: AttemptFacts) -> str:
    """Say where an attempt is, or was."""
    named = attempt.element is None or attempt.worker.startswith(attempt.element)
    element = "" if named else f" in element {attempt.element}"
    job = "" if attempt.job is None else f" (job {attempt.job})"
    return f"worker {attempt.worker}{element}{job} on {attempt.node}"


def names(workers: list[WorkerFacts], most: int = 3) -> str:
    """Write ``36_1, 36_2, 36_3 and 37 more``."""
    more = f" and {len(workers) - most} more" if len(workers) > most else ""
    return ", ".join(worker.name for worker in workers[:most]) + more


def silent(scene: Scene, headline: str, workers: list[WorkerFacts]) -> Answer:
    """Answer that workers which matter may be dead."""
    evidence = [f"{worker.name}: {heard(scene, worker)}" for worker in workers[:5]]
    if len(workers) > 5:
        evidence.append(f"and {len(workers) - 5} more")
    return Answer(
        cause=Cause.SILENT,
        headline=headline,
        evidence=evidence,
        advice="give back the tasks of those that are dead; it touches nobody who lives",
        command="slurmband reap-dead",
        facts={"workers": [worker_row(scene, worker) for worker in workers]},
    )


def no_worker(scene: Scene, headline: str) -> Answer:
    """Answer that no worker is alive, and say what the arrays do."""
    there = [array for array in scene.arrays if array.is_there]
    unsure = [array for array in scene.arrays if not array.told]
    pending = sum(array.pending for array in there)
    gone = sorted(scene.band.gone.items(), key=lambda item: -item[1])
    evidence = lines(scene.arrays)
    if gone:
        why = ", ".join(f"{n} {reason}" for reason, n in gone[:4])
        evidence.append(f"{plural(sum(scene.band.gone.values()), 'worker')} ended: {why}")
    facts = {"arrays": [array.facts for array in scene.arrays]}
    chosen = next((array for array in [*there, *unsure] if array.advice), None)
    if pending:
        headline += f"; {plural(pending, 'element')} in SLURM's queue"
    elif there:
        headline += "; they are starting"
    if chosen or there:
        advice = chosen.advice if chosen else "wait a moment; a worker that started soon joins"
        command = chosen.command if chosen else None
    else:
        advice, command = "submit again, with the options that you gave then", scene.submit()
    if not scene.arrays:
        evidence.insert(0, "no array was submitted from here")
    return Answer(
        cause=Cause.NO_WORKER,
        headline=f"{headline}.",
        evidence=evidence,
        advice=advice,
        command=command,
        facts=facts,
    )


def worker_row(scene: Scene, worker: WorkerFacts) -> dict[str, object]:
    """Return what programs are told of a live worker."""
    return {
        "worker": worker.name,
        "node": worker.node,
        "labels": sorted(worker.worker.labels),
        "silent_for": scene.sign(worker.worker.key).silence,
        "task": worker.held.task if worker.held else None,
        "since": iso(worker.held.since) if worker.held else None,
        "ends_at": iso(worker.ends_at),
        "stop": worker.stop,
        "log": worker.log,
    }
