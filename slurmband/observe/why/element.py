"""Why an element of an array, or a worker, is as it is."""

from typing import Any

from slurmband.domain.band_facts import ArrayFacts, WorkerFacts
from slurmband.domain.workers import LOCAL_CLUSTER, WorkerStatus
from slurmband.observe.times import iso
from slurmband.observe.why import workers
from slurmband.observe.why.answers import Answer, Cause
from slurmband.observe.why.arrays import ArrayReport
from slurmband.observe.why.scene import Scene
from slurmband.slurm.local_array import element_log
from slurmband.slurm.pending import PENDING, QueuedElement
from slurmband.slurm.pending_reasons import explain


def of_worker(scene: Scene, row: dict[str, Any]) -> Answer:
    """Say what a worker does that holds no task, or how it ended.

    Parameters
    ----------
    scene : Scene
    row : dict
        The newest incarnation of that name.
    """
    name = row["name"]
    log = [f"log: {row['log']}"] if row["log"] else []
    facts = {"worker": name, "status": row["status"], "reason": row["reason"], "log": row["log"]}
    if row["status"] != WorkerStatus.ALIVE:
        how = "left" if row["status"] == WorkerStatus.LEFT else "was judged lost"
        return Answer(
            cause=Cause.OVER,
            headline=f"{name} is no more: it {how} {scene.ago(row['ended_at'])} ago ({row['reason']}).",
            evidence=[
                f"on {row['node']}, from {iso(row['started_at'])} to {iso(row['ended_at'])}",
                *log,
            ],
            advice="look at the end of its log" if log else "",
            command=f"tail -n 20 {row['log']}" if log else None,
            facts=facts,
        )
    live = next(w for w in scene.band.workers if w.worker.key == row["key"])
    if scene.suspects(live):
        return workers.silent(
            scene, f"{name} holds no task, and {workers.dead(scene, [live])}.", [live]
        )
    return _idle(scene, live, log, facts)


def _idle(scene: Scene, live: WorkerFacts, log: list[str], facts: dict[str, Any]) -> Answer:
    leaving = f", and was asked to leave ({live.stop})" if live.stop else ""
    offers = ", ".join(sorted(live.worker.labels)) or "no labels"
    evidence = [f"it offers {offers}", workers.heard(scene, live)]
    if live.ends_at is not None:
        evidence.append(f"its job's time is over at {iso(live.ends_at)}")
    return Answer(
        cause=Cause.IDLE,
        headline=f"{live.name} is alive and holds no task: none is ready for it{leaving}.",
        evidence=[*evidence, *log],
        advice="ask why the band does not move",
        command="slurmband why",
        facts=facts | workers.worker_row(scene, live),
    )


def of_element(
    array: ArrayFacts, index: int, queued: QueuedElement | None, report: ArrayReport
) -> Answer:
    """Say where an element is in which no worker has joined."""
    name = f"{array.array_job_id}_{index}"
    facts = {"element": name, "slurm": None if queued is None else queued.state}
    log = None
    if array.log and array.array_job_id is not None and "%j" not in array.log:
        log = element_log(array.log, array.array_job_id, index, None)
    seen = [f"log: {log}"] if log else []
    if queued is not None and queued.state == PENDING:
        meaning = explain(queued.reason)
        says = meaning.says if meaning else "SLURM gives a reason that is not known here"
        start = [f"SLURM expects it to start at {queued.start}"] if queued.start else []
        return Answer(
            cause=Cause.PENDING,
            headline=f"{name} is pending: {says} (SLURM: {queued.reason}).",
            evidence=start,
            advice=meaning.advice if meaning else "ask SLURM",
            command=((meaning.command if meaning else None) or "scontrol show job {job}").format(
                job=array.array_job_id
            ),
            facts=facts | {"reason": queued.reason},
        )
    if queued is not None or (array.cluster == LOCAL_CLUSTER and report.running):
        state = queued.state if queued else "started, or next"
        return Answer(
            cause=Cause.STARTING,
            headline=f"{name} is {state.lower()}, and no worker has joined in it yet.",
            evidence=seen,
            advice="a worker joins within some seconds; if not, its log says why",
            command=f"tail -n 20 {log}" if log else None,
            facts=facts,
        )
    if not report.told:
        return Answer(cause=Cause.PENDING, headline=f"{report.line}.", evidence=seen, facts=facts)
    return Answer(
        cause=Cause.OVER,
        headline=f"{name} is over, and no worker ever joined in it.",
        evidence=seen,
        advice="its log says why" if log else "",
        command=f"tail -n 20 {log}" if log else None,
        facts=facts,
    )


def of_array(array: ArrayFacts, report: ArrayReport) -> Answer:
    """Say where the elements of an array are."""
    cause = Cause.PENDING if report.pending else Cause.STARTING if report.running else Cause.OVER
    return Answer(
        cause=cause,
        headline=f"{report.line}.",
        evidence=report.more,
        advice=report.advice or "look what is in each element",
        command=report.command or f"slurmband jobs {array.array_job_id}",
        facts=report.facts,
    )
