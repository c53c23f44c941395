"""A worker whose commit has an outcome that nobody can tell goes on as if it had been told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import pytest

from slurmband.domain.graph import check
from slurmband.domain.pace import NOTHING, Wish
from slurmband.errors import CommitUnknown, EnvironmentFault, WorkerLost
from slurmband.graphband.growth import GrowingLife, Registry
from slurmband.graphband.life import Life
from slurmband.graphband.options import Options
from slurmband.liveness.notice import Notice
from slurmband.store.database import Store, Transaction
from tests.fakes.clock import HandClock
from tests.store.builders import COMPLETED, Bench, task

pytestmark = pytest.mark.integration

AnyLife = TypeVar("AnyLife", bound=Life)

EITHER: Final = pytest.mark.parametrize("kept", [True, False], ids=["kept", "not kept"])


class Doubtful(Store):
    """A store that says of some commits that their outcome is unknown."""

    #: Of the transactions to come, whether each is in the database; the others are told as they are.
    doubts: list[bool]

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        kept = self.doubts.pop(0) if self.doubts else None
        with super().transaction() as tx:
            yield tx
            if kept is False:
                raise CommitUnknown("the lock was taken away before the commit")
        if kept is True:
            raise CommitUnknown("the lock was taken away during the commit")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Doubtful]:
    Doubtful.doubts = []
    made = Doubtful(tmp_path / "slurmband.sqlite", mode="local", create=True)
    yield made
    made.close()


@pytest.fixture
def bench(store: Doubtful) -> Bench:
    return Bench(store)


@contextmanager
def living(life: AnyLife) -> Iterator[AnyLife]:
    try:
        yield life
    finally:
        life.abandon()


def a_life(store: Store, *, identifier: str | None = None) -> Life:
    graph = check([task("bake"), task("serve", "bake")])
    return Life(store, graph, Options(identifier=identifier), HandClock(), None)


@EITHER
@pytest.mark.parametrize("identifier", ["alice", None])
def test_a_worker_joins_once(
    store: Doubtful, bench: Bench, identifier: str | None, *, kept: bool
) -> None:
    store.doubts = [kept]

    with living(a_life(store, identifier=identifier)) as life:
        assert bench.rows("SELECT key, name FROM workers") == [(life.worker.key, life.worker.name)]


@EITHER
def test_a_report_is_recorded_once_and_told_to_those_who_wait(
    store: Doubtful, bench: Bench, *, kept: bool
) -> None:
    notice = Notice(store.layout.notice)
    with living(a_life(store)) as life:
        (claim,) = life.round((), wish=Wish(1)).claims
        before = notice.look()
        store.doubts = [kept]

        found = life.round([(claim, COMPLETED)], wish=NOTHING)

    assert found.refused == []
    assert bench.states() == {"bake": "completed", "serve": "ready"}
    assert notice.look() != before


@EITHER
def test_a_slice_is_known_only_where_it_was_registered(
    store: Doubtful, bench: Bench, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    """Or the next life of this worker, which is the producer again, would leave it out."""
    registry = Registry()
    options = Options(identifier="alice", growing=True)

    with living(GrowingLife(store, registry, options, HandClock(), None)) as life:

        def lose(_fault: EnvironmentFault) -> None:
            bench.lose(life.worker)

        assert life.round((), wish=Wish(1)).producing
        life.clerk.slice = [task("bake", labels="oven")]
        store.doubts = [kept]
        monkeypatch.setattr(life.pauses, "pause", lose)
        with pytest.raises(WorkerLost):
            life.round((), wish=Wish(1))
    with living(GrowingLife(store, registry, options, HandClock(), None)) as life:
        assert life.round((), wish=Wish(1)).producing

    assert registry.ids == set(bench.states()) == ({"bake"} if kept else set())
