"""Why nobody takes a task that is ready: the first of a few causes that holds."""

import shlex
from dataclasses import dataclass

from slurmband.domain.band_facts import WorkerFacts
from slurmband.domain.facts import TaskFacts
from slurmband.domain.labels import demands, satisfy
from slurmband.domain.takers import Takers
from slurmband.observe.times import duration, iso
from slurmband.observe.why import workers
from slurmband.observe.why.answers import Answer, Cause
from slurmband.observe.why.arrays import lines
from slurmband.observe.why.scene import Scene
from slurmband.observe.words import plural


@dataclass(frozen=True, slots=True)
class Ready:
    """A task, or several that require the same, of which nobody takes any.

    Parameters
    ----------
    subject : str
        ``run-3 is ready``, ``12 tasks are ready``.
    requirements : frozenset of str
    expected : float or None
        Seconds that it takes.
    ahead : int
        How many go first.
    """

    subject: str
    requirements: frozenset[str] = frozenset()
    expected: float | None = None
    ahead: int = 0


def of_task(task: TaskFacts) -> Ready:
    """Return what keeps workers from a task that is ready depends on."""
    return Ready(f"{task.id} is {task.state}", task.requirements, task.expected, task.ahead)


def not_taken(scene: Scene, ready: Ready) -> Answer:
    """Say why nobody takes what is ready."""
    found = scene.takers(ready.requirements, ready.expected)
    if scene.band.stop is not None:
        return _stopped(scene, ready, "all workers were asked to leave")
    if not scene.band.workers:
        return workers.no_worker(scene, f"{ready.subject}, and no worker is alive to take it")
    if found.fit and scene.stops_at_failures and scene.band.failures:
        return _policy(scene, ready)
    if found.free:
        return _soon(ready, found)
    if found.busy:
        return _busy(scene, ready, found)
    if found.short:
        return _no_time(scene, ready, found)
    if found.leaving:
        was = "was" if len(found.leaving) == 1 else "were"
        return _stopped(scene, ready, f"{_those(found.leaving)} {was} asked to leave")
    if found.silent and (not found.lacking or _could(found.silent, ready)):
        headline = (
            f"{ready.subject}, and {_those(found.silent)} {workers.dead(scene, found.silent)}."
        )
        return workers.silent(scene, headline, found.silent)
    return _requirements(scene, ready, found)


def _those(group: list[WorkerFacts]) -> str:
    number = "only worker" if len(group) == 1 else f"{len(group)} workers"
    return f"the {number} that could take it"


def _could(silent: list[WorkerFacts], ready: Ready) -> bool:
    return any(satisfy(worker.worker.labels, ready.requirements) for worker in silent)


def _stopped(scene: Scene, ready: Ready, why: str) -> Answer:
    return Answer(
        cause=Cause.STOPPED,
        headline=f"{ready.subject}, and {why} (`slurmband stop`).",
        evidence=lines(scene.arrays),
        advice="when it is to go on, submit again, with the options that you gave then",
        command=scene.submit(),
        facts={"stop": scene.band.stop},
    )


def _policy(scene: Scene, ready: Ready) -> Answer:
    first = scene.band.failures[0]
    return Answer(
        cause=Cause.POLICY,
        headline=f'{ready.subject}, and failure_policy="stop": {first.task} is {first.state}.',
        evidence=[f"{first.task}: {first.reason or first.state}"],
        advice="mend the cause, let it be tried again, and submit again if no worker is left",
        command="slurmband retry",
        facts={"task": first.task, "reason": first.reason},
    )


def _soon(ready: Ready, found: Takers) -> Answer:
    return Answer(
        cause=Cause.SOON,
        headline=f"{ready.subject}, and a worker is free for it: {workers.names(found.free)}.",
        evidence=_ahead(ready),
        advice="wait some seconds, and ask again; then look at that worker's log",
        facts={"free": [worker.name for worker in found.free], "ahead": ready.ahead},
    )


def _busy(scene: Scene, ready: Ready, found: Takers) -> Answer:
    by_time = sorted(found.busy, key=lambda worker: worker.held.since if worker.held else 0.0)
    n = len(found.busy)
    who = "the only worker that could take it is" if n == 1 else f"all {n} workers that could are"
    evidence = [
        f"{worker.name} has had {worker.held.task} for {scene.ago(worker.held.since)}"
        for worker in by_time[:3]
        if worker.held
    ]
    evidence += [f"and {n - 3} more"] if n > 3 else []
    pending = [array for array in scene.arrays if array.pending]
    return Answer(
        cause=Cause.BUSY,
        headline=f"{ready.subject}; {who} busy.",
        evidence=[*evidence, *_others(ready, found), *_ahead(ready), *lines(pending)],
        advice="wait, or submit more workers",
        command=scene.submit(),
        facts={
            "workers": [workers.worker_row(scene, worker) for worker in by_time],
            "ahead": ready.ahead,
        },
    )


def _no_time(scene: Scene, ready: Ready, found: Takers) -> Answer:
    longest = max(found.short, key=lambda worker: worker.ends_at or 0.0)
    left = max(0.0, (longest.ends_at or 0.0) - scene.now)
    takes = f"it may take {duration(ready.expected)}, and " if ready.expected else ""
    return Answer(
        cause=Cause.NO_TIME,
        headline=f"{ready.subject}, and no worker that could take it has enough time left.",
        evidence=[
            f"{takes}the most that a worker has left is {duration(left)} ({longest.name})",
            *_others(ready, found),
            *lines(array for array in scene.arrays if array.pending),
        ],
        advice="submit workers with more time",
        command=scene.submit("--time=HH:MM:SS"),
        facts={"expected": ready.expected, "longest": left, "ends_at": iso(longest.ends_at)},
    )


def _requirements(scene: Scene, ready: Ready, found: Takers) -> Answer:
    offered = sorted({label for worker in found.lacking for label in worker.worker.labels})
    missing = sorted(label for label in ready.requirements if not satisfy(offered, [label]))
    lacks = ", ".join(missing or sorted(ready.requirements))
    together = "" if missing else " together"
    live = plural(len(found.lacking), "live worker")
    evidence = [
        f"required: {', '.join(sorted(ready.requirements))}",
        f"offered by {live}: {', '.join(offered) or 'no labels'}",
    ]
    coming = [
        array
        for array in scene.arrays
        if satisfy(array.labels, ready.requirements) and (array.is_there or not array.told)
    ]
    evidence += [line for line in _others(ready, found) if "without" not in line]
    if coming:
        evidence += ["workers that offer it were submitted:", *lines(coming)]
        advice, command = coming[-1].advice or "wait until they start", coming[-1].command
    elif demands(ready.requirements) and scene.band.arrays:
        advice, command = "see what to submit for it", "slurmband recover"
    else:
        advice = "submit workers that offer it"
        command = scene.submit("--labels", shlex.quote(",".join(sorted(ready.requirements))))
    return Answer(
        cause=Cause.REQUIREMENTS,
        headline=f"{ready.subject}, and no live worker has {lacks}{together}.",
        evidence=evidence,
        advice=advice,
        command=command,
        facts={
            "requires": sorted(ready.requirements),
            "missing": missing,
            "offered": offered,
            "arrays": [array.facts for array in coming],
        },
    )


def _others(ready: Ready, found: Takers) -> list[str]:
    """Say what keeps the other workers from it."""
    needs = ", ".join(sorted(ready.requirements))
    said = [
        (found.lacking, f"without what it requires ({needs})"),
        (found.leaving, "asked to leave"),
        (found.short, "with too little time left"),
        (found.silent, "perhaps dead (`slurmband reap-dead`)"),
    ]
    return [f"{what}: {plural(len(group), 'other worker')}" for group, what in said if group]


def _ahead(ready: Ready) -> list[str]:
    return [f"ready tasks that go first: {ready.ahead}"] if ready.ahead else []
