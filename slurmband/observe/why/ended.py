"""Why a task ended as it did: which budget is spent and on what, or who gave it up."""

import shlex
from collections.abc import Sequence

from slurmband.domain.attempts import Outcome, Reason, Tally
from slurmband.domain.budgets import Charge
from slurmband.domain.facts import AttemptFacts, TaskFacts
from slurmband.domain.states import TaskState
from slurmband.observe.times import duration, iso
from slurmband.observe.why import workers
from slurmband.observe.why.answers import Answer, Cause
from slurmband.observe.why.scene import Scene
from slurmband.observe.words import plural

#: So many attempts are told of.
_SHOWN = 6
#: What ends an attempt and is not the death of its worker.
_OF_TIME = (Reason.TIME_LIMIT, Reason.OVERRUN)


def ended(scene: Scene, task: TaskFacts) -> Answer:
    """Say why a task that is over ended as it did."""
    if task.state is TaskState.COMPLETED:
        return _completed(scene, task)
    if task.state is TaskState.CANCELLED:
        return _cancelled(task)
    return _badly(task)


def _completed(scene: Scene, task: TaskFacts) -> Answer:
    done = [a for a in task.attempts if a.outcome == Outcome.COMPLETED]
    if not done or done[-1].ended_at is None:
        return Answer(cause=Cause.COMPLETED, headline=f"{task.id} has completed.")
    last = done[-1]
    assert last.ended_at is not None
    took = duration(last.ended_at - last.claimed_at)
    return Answer(
        cause=Cause.COMPLETED,
        headline=f"{task.id} has completed, {scene.ago(last.ended_at)} ago.",
        evidence=[
            f"attempt {last.number}: {workers.place(last)}",
            f"{iso(last.claimed_at)} to {iso(last.ended_at)}: {took}",
            *([f"log: {last.log}"] if last.log else []),
        ],
        facts={"attempts": attempt_rows(task.attempts)},
    )


def _cancelled(task: TaskFacts) -> Answer:
    if not task.in_graph:
        return Answer(
            cause=Cause.NOT_IN_GRAPH,
            headline=f"{task.id} is cancelled: the graph that was registered last does not have it.",
            evidence=_since(task),
            advice="to have it again, let tasks() yield it, and submit again",
        )
    return Answer(
        cause=Cause.CANCELLED,
        headline=f"{task.id} is cancelled: a person gave it up (`slurmband cancel`).",
        evidence=_since(task),
        advice="to take that back",
        command=f"slurmband retry {shlex.quote(task.id)}",
    )


def _since(task: TaskFacts) -> list[str]:
    return [] if task.since is None else [f"since {iso(task.since)}"]


def _badly(task: TaskFacts) -> Answer:
    tally = Tally(0, False, task.charged, task.budgets)
    spent = [charge for charge in Charge if task.charged[charge] > task.budgets[charge]]
    said = [f"{charge} {task.charged[charge]} of {task.budgets[charge] + 1}" for charge in spent]
    toll = task.charged[Charge.KILLED] + task.charged[Charge.OUT_OF_MEMORY]
    if tally.poisoned:
        killed = [a for a in task.attempts if a.outcome == Outcome.KILLED]
        said = [_poisoned([a for a in killed if a.reason not in _OF_TIME][-toll:])]
    charged = [a for a in task.attempts if a.outcome in (Outcome.FAILED, Outcome.KILLED)]
    last = charged[-1] if charged else None
    why = f": {_last_line(last)}" if last else "."
    evidence = [f"no try is left: {', '.join(said)}"] if said else []
    evidence += [_told(a) for a in task.attempts[-_SHOWN:]]
    evidence += [f"log: {last.log}"] if last and last.log else []
    evidence += [f"tasks right below it that are blocked: {task.blocks}"] if task.blocks else []
    return Answer(
        cause=Cause.FAILED if task.state is TaskState.FAILED else Cause.KILLED,
        headline=f"{task.id} {_VERBS[task.state]}{why}",
        evidence=evidence,
        advice=_ADVICE.get(spent[0] if spent else Charge.KILLED, "mend the cause, then"),
        command=f"slurmband retry {shlex.quote(task.id)}",
        facts={
            "spent": [
                {
                    "of": str(charge),
                    "used": task.charged[charge],
                    "allowed": task.budgets[charge] + 1,
                }
                for charge in spent
            ],
            "poisoned": tally.poisoned,
            "attempts": attempt_rows(task.attempts),
            "error": last.error if last else None,
            "blocks": task.blocks,
        },
    )


_VERBS = {TaskState.FAILED: "failed", TaskState.KILLED: "was killed"}
_ADVICE = {
    Charge.FAILED: "mend the cause (`slurmband where` prints the traceback), then let it be tried again",
    Charge.KILLED: "look at the log for what killed its workers; then let it be tried again",
    Charge.OUT_OF_MEMORY: "give its workers more memory (submit with a larger --mem), and try it again",
    Charge.TIME_LIMIT: "give its workers more time (submit with a longer --time), and try it again",
}


def _poisoned(deaths: Sequence[AttemptFacts]) -> str:
    """Say what a task took with it; a worker that is still there has told what went wrong."""
    programs = sum(attempt.error is not None for attempt in deaths)
    counts = {"worker": len(deaths) - programs, "program": programs}
    taken = " and ".join(plural(n, word) for word, n in counts.items() if n)
    return f"poisoned: it took {taken} with it: {', '.join(a.reason or '?' for a in deaths)}"


def _last_line(attempt: AttemptFacts) -> str:
    if attempt.reason:
        return attempt.reason
    lines = (attempt.error or "").strip().splitlines()
    return lines[-1] if lines else str(attempt.outcome)


def _told(attempt: AttemptFacts) -> str:
    when = iso(attempt.ended_at or attempt.claimed_at)
    reason = f", {attempt.reason}" if attempt.reason else ""
    return f"attempt {attempt.number}: {attempt.outcome}{reason}; {workers.place(attempt)}, {when}"


def attempt_rows(attempts: Sequence[AttemptFacts]) -> list[dict[str, object]]:
    """Return what programs are told of attempts."""
    return [
        {
            "attempt": attempt.number,
            "outcome": attempt.outcome,
            "reason": attempt.reason,
            "worker": attempt.worker,
            "element": attempt.element,
            "job": attempt.job,
            "node": attempt.node,
            "started": iso(attempt.claimed_at),
            "ended": iso(attempt.ended_at),
            "log": attempt.log,
        }
        for attempt in attempts
    ]
