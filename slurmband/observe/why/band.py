"""Why a band does not move: every cause that holds, and first the one to look at first."""

from slurmband.domain.band_facts import WorkerFacts
from slurmband.domain.states import TaskState
from slurmband.observe.why import workers
from slurmband.observe.why.answers import Answer, Cause
from slurmband.observe.why.arrays import lines
from slurmband.observe.why.ready import Ready, not_taken
from slurmband.observe.why.scene import Scene
from slurmband.observe.words import plural

#: What happened in the last so many seconds is told as how fast things go.
LATELY = 300.0


def why_band(scene: Scene) -> list[Answer]:
    """Say why nothing moves, or that things do; what to look at first comes first."""
    band = scene.band
    if not band.counts and not band.growing:
        return [_empty(scene)]
    if not band.left and not band.growing:
        return [_over(scene)]
    answers = [_stopped(scene)] if band.stop is not None else []
    alive = [worker for worker in band.workers if not scene.suspects(worker)]
    suspects = [worker for worker in band.workers if scene.suspects(worker)]
    if not band.workers:
        answers.append(workers.no_worker(scene, "Nothing moves: no worker is alive"))
    elif not alive:
        headline = f"Nothing moves: all workers ({len(suspects)}) {workers.dead(scene, suspects)}."
        answers.append(workers.silent(scene, headline, suspects))
    else:
        found = _with_workers(scene, alive)
        headline = (
            f"Of {len(band.workers)} workers {len(suspects)} {workers.dead(scene, suspects)}."
        )
        dead = [workers.silent(scene, headline, suspects)] if suspects else []
        answers += found + dead if moves(scene) else dead + found
    return answers + ([_failures(scene)] if band.failures or band.blockers else [])


def moves(scene: Scene) -> bool:
    """Whether any worker that is not a suspect is in a task."""
    return any(worker.held and not scene.suspects(worker) for worker in scene.band.workers)


def _with_workers(scene: Scene, alive: list[WorkerFacts]) -> list[Answer]:
    """Say what live workers do, and what they cannot do."""
    stuck, takeable = [], False
    for needs, n in scene.band.claimable.items():
        head = scene.band.heads.get(needs)
        expected = head.expected if head else None
        if scene.takers(needs, expected).fit:
            takeable = True
            continue
        first = head.task if head else "a task"
        subject = f"{first} is ready" if n == 1 else f"{n} tasks are ready, {first} first"
        stuck.append(not_taken(scene, Ready(subject, needs, expected)))
    if scene.band.stop is not None:
        stuck = []  # the stop says it all
    idle = [worker for worker in alive if worker.held is None]
    busy = [worker for worker in alive if worker.held is not None]
    if not busy:
        return stuck + _idle(scene, idle, takeable=takeable)
    if idle and not takeable and scene.band.count(TaskState.WAITING):
        return [*stuck, _long_task(scene, idle, busy)]
    return [_moving(scene, busy), *stuck]


def _empty(scene: Scene) -> Answer:
    evidence = lines(scene.arrays)
    return Answer(
        cause=Cause.EMPTY,
        headline="No task is registered yet.",
        evidence=evidence,
        advice="workers register the graph when they start; look at their logs, or submit"
        if evidence
        else "submit a workflow",
        command="slurmband jobs" if evidence else "slurmband submit --array 100 workflow.py",
        facts={"arrays": [array.facts for array in scene.arrays]},
    )


def _over(scene: Scene) -> Answer:
    """Answer where nothing is left that could run by itself."""
    band = scene.band
    badly = band.count(TaskState.FAILED, TaskState.KILLED, TaskState.BLOCKED)
    cancelled = band.count(TaskState.CANCELLED)
    if badly:
        return _failures(scene)
    done = band.count(TaskState.COMPLETED)
    return Answer(
        cause=Cause.COMPLETED,
        headline=f"All is done: {plural(done, 'task')} completed.",
        evidence=[f"cancelled: {plural(cancelled, 'task')}"] if cancelled else [],
        facts={"completed": done, "cancelled": cancelled},
    )


def _failures(scene: Scene) -> Answer:
    """Say what ended badly, how often, and what that blocks."""
    band = scene.band
    failed, killed = band.count(TaskState.FAILED), band.count(TaskState.KILLED)
    ended = failed + killed
    blocked = band.count(TaskState.BLOCKED)
    nothing_left = not band.left and not band.growing
    blocks = f", which blocks {blocked} more" if blocked else ""
    parts = [f"{plural(failed, 'task')} failed"] if failed else []
    parts += (
        [f"{plural(killed, 'task')} {'was' if killed == 1 else 'were'} killed"] if killed else []
    )
    what = (
        f"{' and '.join(parts)}{blocks}"
        if ended
        else f"{plural(blocked, 'task')} blocked by cancelled ones"
    )
    evidence = []
    for failure in band.failures:
        more = f" (and {failure.n - 1} more so)" if failure.n > 1 else ""
        evidence.append(
            f"{failure.state}: {failure.task}{more}: {failure.reason or 'no reason given'}"
        )
        evidence += [f"  log: {failure.log}"] if failure.log else []
    for blocker in band.blockers:
        least = "" if blocker.whole else "at least "
        evidence.append(f"{blocker.task} ({blocker.state}) blocks {least}{blocker.blocked}")
    first = (
        band.failures[0].task if band.failures else band.blockers[0].task if band.blockers else None
    )
    return Answer(
        cause=Cause.FAILED if ended else Cause.CANCELLED,
        headline=f"Nothing is left that can run: {what}." if nothing_left else f"{what}.",
        evidence=evidence,
        advice=f"`slurmband why {first}` says more; mend the cause, then let them be tried again"
        if ended
        else "to take that back",
        command="slurmband retry" if ended else f"slurmband retry {first}",
        facts={
            "failures": [
                {"state": str(f.state), "reason": f.reason, "n": f.n, "task": f.task, "log": f.log}
                for f in band.failures
            ],
            "blockers": [
                {"task": b.task, "state": str(b.state), "blocked": b.blocked, "whole": b.whole}
                for b in band.blockers
            ],
        },
    )


def _stopped(scene: Scene) -> Answer:
    return Answer(
        cause=Cause.STOPPED,
        headline="The workers were asked to leave (`slurmband stop`).",
        evidence=[f"still alive: {plural(len(scene.band.workers), 'worker')}"],
        advice="when it is to go on, submit again, with the options that you gave then",
        command=scene.submit(),
        facts={"stop": scene.band.stop},
    )


def _idle(scene: Scene, idle: list[WorkerFacts], *, takeable: bool) -> list[Answer]:
    """Answer where all live workers have nothing in hand."""
    band = scene.band
    if takeable and band.stop is None:
        first = next(iter(band.heads.values())).task if band.heads else "a task"
        headline = f"{first} is ready, and workers are free for it: {workers.names(idle)}."
        return [
            Answer(
                cause=Cause.SOON,
                headline=headline,
                evidence=lines(scene.arrays),
                advice="wait some seconds, and ask again; then look at a worker's log",
                command="slurmband workers",
                facts={"free": [worker.name for worker in idle]},
            )
        ]
    if band.growing:
        return [_producer(scene)]
    return []


def _producer(scene: Scene) -> Answer:
    producer = scene.band.producer
    who = f"{producer} makes them" if producer else "no worker makes them now"
    return Answer(
        cause=Cause.PRODUCER,
        headline=f"The graph grows: the workers wait for more of its tasks; {who}.",
        evidence=["tasks() has not come to its end"],
        advice=f"look at the log of {producer}, where tasks() runs"
        if producer
        else "another worker takes over within a heartbeat; ask again",
        command=f"slurmband workers {producer}" if producer else None,
        facts={"producer": producer},
    )


def _long_task(scene: Scene, idle: list[WorkerFacts], busy: list[WorkerFacts]) -> Answer:
    """Answer where workers have nothing to do until few tasks complete."""
    held = sorted((worker.held.since, worker) for worker in busy if worker.held)
    since, worker = held[0]
    assert worker.held is not None
    longest = f"{worker.held.task}, in {worker.name} for {scene.ago(since)}"
    others = f"; {len(busy) - 1} more run" if len(busy) > 1 else ""
    waiting, waits = scene.band.count(TaskState.WAITING), "waits" if len(idle) == 1 else "wait"
    return Answer(
        cause=Cause.LONG_TASK,
        headline=f"{plural(len(idle), 'worker')} {waits} for {longest}{others}.",
        evidence=[
            f"tasks that wait: {waiting}; ready and to be had: none",
            workers.heard(scene, worker),
            *([f"log: {worker.log}"] if worker.log else []),
        ],
        advice="look at what it does",
        command=f"slurmband why {worker.held.task}",
        facts={
            "idle": len(idle),
            "running": [workers.worker_row(scene, each) for _, each in held],
        },
    )


def _moving(scene: Scene, busy: list[WorkerFacts]) -> Answer:
    completed = scene.band.recent.get("complete", 0)
    minutes = LATELY / 60
    rate = f"{completed} ({completed / minutes:.1f} a minute)"
    held = sum(worker.held.n for worker in busy if worker.held)
    return Answer(
        cause=Cause.MOVING,
        headline=f"Things move: {plural(len(busy), 'worker')} at work, {plural(held, 'task')} in hand.",
        evidence=[
            f"completed in the last {minutes:.0f} minutes: {rate}",
            *lines(array for array in scene.arrays if array.pending),
        ],
        facts={
            "workers": len(busy),
            "in_hand": held,
            "completed_lately": completed,
            "seconds": LATELY,
        },
    )
