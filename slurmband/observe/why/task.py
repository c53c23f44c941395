"""Why a task is where it is: one answer for each state."""

from slurmband.domain.attempts import Outcome, Reason
from slurmband.domain.facts import AttemptFacts, Root, TaskFacts, Upstream
from slurmband.domain.states import CLAIMABLE, TaskState
from slurmband.observe.times import duration, iso
from slurmband.observe.why import ready, workers
from slurmband.observe.why.answers import Answer, Cause
from slurmband.observe.why.ended import ended
from slurmband.observe.why.scene import Scene
from slurmband.observe.words import plural


def why_task(
    scene: Scene, task: TaskFacts, up: Upstream | None = None, root: TaskFacts | None = None
) -> Answer:
    """Say why a task is where it is.

    Parameters
    ----------
    scene : Scene
    task : TaskFacts
    up : Upstream, optional
        What it waits for, or what blocks it.
    root : TaskFacts, optional
        The task among these that matters most; see `choose`.
    """
    if task.state in CLAIMABLE:
        return _ready(scene, task)
    if task.state is TaskState.RUNNING:
        return _running(scene, task)
    if task.state in (TaskState.WAITING, TaskState.BLOCKED):
        assert up is not None
        return _held_up(scene, task, up, root)
    return ended(scene, task)


def choose(scene: Scene, up: Upstream) -> Root | None:
    """Choose the one among many causes that a person should look at first.

    What nobody can take comes before what runs, and of that what has run for longest.
    """

    def rank(root: Root) -> tuple[int, float]:
        if root.state in CLAIMABLE:
            return (1 if not scene.takers(root.requirements).fit else 3, 0.0)
        if root.state is TaskState.RUNNING:
            return (2, root.claimed_at or 0.0)
        return (0, 0.0)

    return min(up.roots, key=rank, default=None)


def _ready(scene: Scene, task: TaskFacts) -> Answer:
    answer = ready.not_taken(scene, ready.of_task(task))
    if task.since is not None:
        answer.evidence.append(f"{task.state} since {iso(task.since)}, {scene.ago(task.since)} ago")
    if task.state is TaskState.INVALIDATED:
        answer.evidence.append("it completed before, with another fingerprint, and is to run again")
    if task.attempts:
        last = task.attempts[-1]
        answer.evidence.append(
            f"attempts so far: {len(task.attempts)}; the last one was {last.outcome}"
            + (f" ({last.reason})" if last.reason else "")
        )
        if last.reason == Reason.TIME_LIMIT:
            free = last.outcome == Outcome.RELEASED
            answer.evidence.append(
                "its job ended before it did: "
                + (
                    "free this once, charged the next time; "
                    if free
                    else "charged, not the first; "
                )
                + "give jobs more --time, or the task less to do"
            )
    return answer


# --- what runs ----------------------------------------------------------------------------------


def _running(scene: Scene, task: TaskFacts) -> Answer:
    live = {worker.worker.key: worker for worker in scene.band.workers}
    claims = task.open_attempts
    suspects = [live[a.worker_key] for a in claims if a.worker_key in live]
    suspects = [worker for worker in suspects if scene.suspects(worker)]
    first = claims[0]
    evidence: list[str] = []
    for attempt in claims[:5]:
        evidence.append(f"attempt {attempt.number}: {workers.place(attempt)}")
        if attempt.worker_key in live:
            evidence.append(workers.heard(scene, live[attempt.worker_key]))
    if suspects and len(suspects) == len(claims):
        who = workers.names(suspects)
        answer = workers.silent(
            scene, f"{task.id} is held by {who}, which {workers.dead(scene, suspects)}.", suspects
        )
        return _with(answer, [*evidence[::2], *_usual(scene, task, first)], _claims(scene, task))
    if first.id in scene.waiting_in_hand:
        return _in_hand(scene, task, first, evidence)
    others = f" and {len(claims) - 1} more" if len(claims) > 1 else ""
    log = [f"log: {first.log}"] if first.log else []
    return Answer(
        cause=Cause.RUNNING,
        headline=f"{task.id} is running: {first.worker}{others} took it "
        f"{scene.ago(first.claimed_at)} ago.",
        evidence=[*evidence, *_usual(scene, task, first), *log],
        advice="look at what it says" if log else "",
        command=f"tail -n 20 {first.log}" if log else None,
        facts=_claims(scene, task),
    )


def _in_hand(scene: Scene, task: TaskFacts, claim: AttemptFacts, evidence: list[str]) -> Answer:
    holder = next(w for w in scene.band.workers if w.worker.key == claim.worker_key)
    held = holder.held
    now = f"; it is in {held.task} now" if held and held.task != task.id else ""
    return Answer(
        cause=Cause.NOT_BEGUN,
        headline=f"{task.id} has not begun: {claim.worker} took it in advance{now}.",
        evidence=[*evidence, f"claimed {scene.ago(claim.claimed_at)} ago"],
        advice="wait; if what it is in takes long, the worker hands the others back",
        facts=_claims(scene, task),
    )


def _usual(scene: Scene, task: TaskFacts, claim: AttemptFacts) -> list[str]:
    """Say how long such tasks usually take."""
    said = []
    usual = task.typical
    if usual is not None:
        kind = f"of kind {task.kind!r}" if task.kind else "of this band"
        said.append(
            f"tasks {kind} take {duration(usual.mean)}, give or take {duration(usual.deviation)} "
            f"({usual.n} completed)"
        )
        longest = usual.mean + 3 * usual.deviation
        if usual.n > 1 and scene.now - claim.claimed_at > longest:
            said[-1] += ": this one takes longer than usual"
    if task.time_limit is not None:
        said.append(f"it is stopped after {duration(task.time_limit)} (its time_limit)")
    return said


def _claims(scene: Scene, task: TaskFacts) -> dict[str, object]:
    claims = [
        {
            "attempt": claim.number,
            "worker": claim.worker,
            "element": claim.element,
            "job": claim.job,
            "node": claim.node,
            "since": iso(claim.claimed_at),
            "silent_for": scene.sign(claim.worker_key).silence,
            "log": claim.log,
        }
        for claim in task.open_attempts
    ]
    usual = task.typical
    takes = None if usual is None else {"n": usual.n, "mean": usual.mean, "sd": usual.deviation}
    return {"claims": claims, "usual": takes}


def _with(answer: Answer, evidence: list[str], facts: dict[str, object]) -> Answer:
    answer.evidence.extend(evidence)
    answer.facts.update(facts)
    return answer


# --- what waits, and what is blocked --------------------------------------------------------------


def _held_up(scene: Scene, task: TaskFacts, up: Upstream, root: TaskFacts | None) -> Answer:
    waits = task.state is TaskState.WAITING
    direct = ", ".join(f"{n} {state}" for state, n in sorted(up.direct.items()))
    total = sum(up.direct.values())
    verb = "waits" if waits else "is blocked"
    evidence = []
    if total > 1:
        what = "dependencies that have not completed" if waits else "dependencies in its way"
        evidence.append(f"{what}: {total} ({direct})")
    path = next((each.path for each in up.roots if root and each.id == root.id), ())
    if len(path) > 2:
        evidence.append(f"path: {_shown(path)}")
    others = [each for each in up.roots if not root or each.id != root.id]
    if others:
        counted = f"{len(up.roots)}{'' if up.whole else ' or more'}"
        shown = ", ".join(f"{each.id} ({each.state})" for each in others[:3])
        dots = ", ..." if len(others) > 3 else ""
        evidence.append(f"upstream it comes down to {counted} tasks; also {shown}{dots}")
    facts = {
        "upstream": {str(state): n for state, n in up.direct.items()},
        "path": list(path),
        "roots": [{"task": each.id, "state": str(each.state)} for each in up.roots[:100]],
        "whole": up.whole,
    }
    cause = Cause.WAITING if waits else Cause.BLOCKED
    if root is None:
        return Answer(
            cause=cause,
            headline=f"{task.id} {verb}: not completed upstream: {plural(total, 'task')}.",
            evidence=evidence,
            facts=facts,
        )
    below = why_task(scene, root)
    return Answer(
        cause=cause,
        headline=f"{task.id} {verb}: {below.headline}",
        evidence=[*evidence, *below.evidence],
        advice=below.advice,
        command=below.command,
        facts=facts | {"root": {"task": root.id, "state": str(root.state)} | below.row()},
    )


def _shown(path: tuple[str, ...], most: int = 7) -> str:
    """Write a path; of a long one its two ends."""
    names = list(path)
    if len(names) > most:
        names = [*names[:3], f"... {len(names) - 6} more ...", *names[-3:]]
    return " <- ".join(names)
