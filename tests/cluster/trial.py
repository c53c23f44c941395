"""A trial: one band of the workload on a ground, with a nemesis or without, and what became of it."""

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from slurmband.domain.death import PATIENCE
from tests.cluster import workload
from tests.cluster.ground import Ground
from tests.cluster.history import check
from tests.cluster.nemesis import HOPELESS, Act, Nemesis, NoProgress, Watch
from tests.cluster.records import History, copied, read_database, read_journals, read_witnesses
from tests.cluster.workload import Graph, layered

#: How a worker ends that the nemesis killed.
KILLED: Final = 137
Faults = Callable[[Nemesis], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a band is to be.

    Parameters
    ----------
    seed : int
        Of the graph and of the nemesis.
    tasks, layers : int
        With layers about as wide as there are workers some always wait, and look after the dead.
    seconds : float
        How long a task takes, about.
    workers : int
        On each node.
    interval, timeout : float
        Of the heartbeat.
    patience : float
        With the lock of a holder that may live.
    """

    seed: int
    tasks: int = 600
    layers: int = 50
    seconds: float = 0.3
    workers: int = 4
    interval: float = 1.0
    timeout: float = 5.0
    patience: float = 10.0

    @property
    def graph(self) -> Graph:
        """The graph that the workload makes of this."""
        return layered(self.tasks, self.layers, self.seed)


@dataclass(slots=True)
class Verdict:
    """What was done to a band, and what became of it.

    Parameters
    ----------
    plan : Plan
    folder : str
        Where all of it lies.
    seconds : float
    acts : list of Act
        What the nemesis did.
    wrong : list of str
        Empty if all is well.
    attempts : dict
        Outcome and reason -> how many.
    refused : int
        Late reports that workers were told to be refused.
    generation : int
        Which generation of the database was current at the end.
    """

    plan: Plan
    folder: str
    seconds: float = 0.0
    acts: list[Act] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    generation: int = 1

    def as_json(self) -> dict[str, object]:
        """Return what `json` can write."""
        faults = Counter(str(act.fault) for act in self.acts)
        return {"ok": not self.wrong, "faults": faults, **asdict(self)}


class Band:
    """One band on a ground: its folder, its keepers, and whether it is over.

    Parameters
    ----------
    ground : Ground
    plan : Plan
    """

    def __init__(self, ground: Ground, plan: Plan) -> None:
        self._ground = ground
        self.plan = plan
        self.folder = ground.share / f"band-{plan.seed}"
        ground.make(self.folder)
        ground.make(self.logs)
        self._keepers: dict[int, subprocess.Popen[str]] = {}

    @property
    def database(self) -> Path:
        """The path that its workers are given."""
        return self.folder / "slurmband.sqlite"

    @property
    def beside(self) -> Path:
        """The folder that slurmband keeps beside it."""
        return self.folder / "slurmband.sqlite.d"

    @property
    def witness(self) -> Path:
        """Where workers write for themselves."""
        return self.folder / "witness"

    @property
    def logs(self) -> Path:
        """What they print."""
        return self.folder / "logs"

    def keep(self, node: int) -> None:
        """Start the keeper of a node."""
        plan = self.plan
        settings = {
            "SLURMBAND_DB": self.database,
            "SLURMBAND_MODE": "shared",
            "SLURMBAND_HEARTBEAT_INTERVAL": plan.interval,
            "SLURMBAND_HEARTBEAT_TIMEOUT": plan.timeout,
            "SLURMBAND_LOCK_PATIENCE": plan.patience,
            "SLURMBAND_MAX_KILLED_RETRIES": 1000,
            workload.TASKS: plan.tasks,
            workload.LAYERS: plan.layers,
            workload.SEED: plan.seed,
            workload.SECONDS: plan.seconds,
            workload.WITNESS: self.witness,
            workload.NODE: node,
            "PYTHONDONTWRITEBYTECODE": 1,
        }
        environ = {name: str(value) for name, value in settings.items()}
        self._keepers[node] = self._ground.keep(node, plan.workers, self.logs, environ)

    def over(self) -> bool:
        """Whether every worker of every node found nothing left to do."""
        return all(keeper.poll() == 0 for keeper in self._keepers.values())

    def wait(self, watch: Watch) -> None:
        """Wait for that.

        Raises
        ------
        NoProgress
            If nothing is recorded any more, or a keeper is gone.
        """
        seen, deadline = -1, 0.0
        while not self.over():
            if (now := watch.recorded()) != seen:
                seen, deadline = now, time.monotonic() + HOPELESS
            for node, keeper in self._keepers.items():
                if keeper.poll():
                    raise NoProgress(f"the keeper of node {node} ended: {keeper.returncode}")
            if time.monotonic() > deadline:
                raise NoProgress(f"{seen} reports, and then none for {HOPELESS:.0f} s")
            time.sleep(0.3)

    def say_where_all_stand(self) -> None:
        """Write it beside the share, for who looks into why the band is stuck."""
        for node in self._keepers:
            file = self._ground.share.with_name(f"{self.folder.name}-node{node}")
            file.write_text(self._ground.stands(node))
        time.sleep(2.0)  # until the workers, too, have written it, into their logs

    def judge(self, verdict: Verdict) -> None:
        """Put into the verdict what three witnesses say, and what else can be seen."""
        with copied(self.database) as connection:
            integrity = connection.execute("PRAGMA integrity_check").fetchall()
            stale = connection.execute(
                "SELECT requirements, state, n FROM task_counts AS c WHERE n <> (SELECT count(*) "
                "FROM tasks AS t WHERE (t.state, t.requirements) = (c.state, c.requirements))"
            ).fetchall()
            database = read_database(connection)
        journals = read_journals(self.beside / "journals")
        history = History(self.plan.graph, read_witnesses(self.witness), journals, database)
        wrong = [str(anomaly) for anomaly in check(history)]
        if integrity != [("ok",)]:
            wrong.append(f"integrity_check: {integrity}")
        if stale:
            wrong.append(f"counted wrongly: {stale}")
        wrong += [f"shared memory was used: {file}" for file in self.folder.rglob("*-shm")]
        wrong += [f"a worker ended with {status}" for status in self._odd_statuses()]
        verdict.wrong += wrong
        verdict.attempts = dict(
            Counter(f"{x.outcome} ({x.reason or ''})" for x in database.attempts.values())
        )
        verdict.refused = sum(len(line.of.get("refused", ())) for line in history.lines)
        verdict.generation = int(self.database.resolve().stem)

    def _odd_statuses(self) -> list[str]:
        statuses = self.logs / "statuses"
        lines = statuses.read_text().splitlines() if statuses.exists() else []
        return [line for line in lines if line.split()[1] != str(KILLED)]


def _take(step: Callable[[], None], nemesis: Nemesis) -> None:
    """Do one step of a trial; once more, where it came to nothing by what was not ours."""
    try:
        step()
    except NoProgress:
        if not nemesis.mend():
            raise
        step()


def run(ground: Ground, plan: Plan, faults: Faults | None = None) -> Verdict:
    """Run one band to its end, and judge it.

    Parameters
    ----------
    ground : Ground
    plan : Plan
    faults : callable, optional
        What the nemesis is to do, such as `Nemesis.once_each`; None: nothing.
    """
    start = time.monotonic()
    band = Band(ground, plan)
    watch = Watch(band.witness, band.beside / "beats")
    nemesis = Nemesis(
        ground,
        watch,
        random.Random(plan.seed),
        lost_after=PATIENCE * plan.timeout + 4 * plan.interval,
        revive=band.keep,
        over=band.over,
    )
    verdict = Verdict(plan, str(band.folder), acts=nemesis.acts)
    for node in range(1, ground.nodes + 1):
        band.keep(node)
    steps: list[Callable[[], None]] = [
        partial(nemesis.recover, workers=ground.nodes * plan.workers),
        *([] if faults is None else [partial(faults, nemesis)]),
        partial(band.wait, watch),
    ]
    try:
        for step in steps:
            _take(step, nemesis)
    except NoProgress as stuck:
        verdict.wrong.append(f"stuck: {stuck}")
        band.say_where_all_stand()
    if band.database.exists():
        band.judge(verdict)
    verdict.seconds = round(time.monotonic() - start, 1)
    return verdict
