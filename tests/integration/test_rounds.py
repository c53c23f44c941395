"""One round of a worker after the other, without the loop around them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from slurmband import Graphband, Task
from slurmband.domain.attempts import Report
from slurmband.domain.graph import check
from slurmband.domain.pace import NOTHING, Wish
from slurmband.graphband.jobtime import JobTime
from slurmband.graphband.life import Life
from slurmband.graphband.options import Options
from slurmband.graphband.rounds import Round
from slurmband.liveness.notice import Notice
from slurmband.store import intents
from slurmband.store.database import Store
from tests.fakes.clock import HandClock
from tests.store.builders import COMPLETED, task

pytestmark = pytest.mark.integration


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    store = Store(tmp_path / "a.sqlite", mode="local", create=True)
    graph = check([task("bake"), task("serve", "bake"), task("wash", "serve")])
    made = Life(store, graph, Options(), HandClock(), None)
    yield made
    made.abandon()
    store.close()


@pytest.mark.parametrize(("wish", "woken"), [(Wish(1), False), (NOTHING, True)])
def test_those_who_wait_are_woken_for_what_is_left_to_claim(
    life: Life, tmp_path: Path, wish: Wish, *, woken: bool
) -> None:
    notice = Notice(tmp_path / "a.sqlite.d" / "notice")
    (bake,) = life.round((), wish=Wish(1)).claims
    before = notice.look()

    life.round([(bake, COMPLETED)], wish=wish)

    assert (notice.look() != before) is woken


def test_what_is_reported_is_in_the_journal_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a node that dies might take the journal's word for it along, and leave the database's."""
    told: list[tuple[int, bytes]] = []
    plain = Life.round

    def noting(life: Life, reports: Sequence[Report], **how: Any) -> Round:
        told.append((len(reports), life.journal._unsynced))
        return plain(life, reports, **how)

    monkeypatch.setattr(Life, "round", noting)
    tasks: list[Task[None]] = [Task(f"t{n}") for n in range(20)]
    options: dict[str, Any] = {"mode": "shared", "tqdm_kwargs": {"disable": True}}
    with Graphband(tasks, db=tmp_path / "a.sqlite", **options) as band:
        band.run(lambda _: None)

    assert sum(count for count, _ in told) == 20
    assert [unsynced for count, unsynced in told if count and unsynced] == []


def test_an_array_asks_again_for_its_time_limit_while_there_is_no_answer(tmp_path: Path) -> None:
    """Who was to ask may have died, or never have learned that it was to."""
    store, clock = Store(tmp_path / "a.sqlite", mode="local", create=True), HandClock()
    life = Life(store, check([task("bake")]), Options(), clock, None)
    with store.transaction() as tx:
        intents.intend(
            tx,
            "t1",
            cluster="thunder",
            array="0-1",
            command=[],
            directory="/",
            script="",
            log=None,
            now=0.0,
        )

    def told_to_ask(answer: float | None = None) -> bool:
        time = JobTime(clock)
        time.inquire("t1", 1.0)
        time._answer = answer
        return life.round((), wish=NOTHING, time=time).ask_slurm

    assert [told_to_ask(), told_to_ask()] == [True, False]
    clock.forward(61)
    assert [told_to_ask(), told_to_ask()] == [True, False]
    assert told_to_ask(answer=0.0) is False  # SLURM has no limit to tell
    clock.forward(61)
    assert told_to_ask() is False
    life.abandon()
    store.close()
