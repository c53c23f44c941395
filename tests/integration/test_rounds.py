"""One round of a worker after the other, without the loop around them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from slurmband.domain.graph import check
from slurmband.domain.pace import NOTHING, Wish
from slurmband.graphband.life import Life
from slurmband.graphband.options import Options
from slurmband.liveness.notice import Notice
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
