"""Who waits comes when it is called, and asks now and then even if it is not."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurmband.graphband.waiting import ASK_ANYWAY, Lookout
from slurmband.liveness.notice import Notice, sequence_in, share_in
from slurmband.store.database import Store
from tests.fakes.clock import HandClock

pytestmark = pytest.mark.integration


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "slurmband.sqlite", mode="local", create=True)
    yield made
    made.close()


def test_a_look_that_fails_is_not_the_last_one(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    looks: list[int] = []
    again = threading.Event()

    def look() -> None:
        looks.append(len(looks))
        if len(looks) == 1:
            raise RuntimeError("no such luck")
        again.set()

    lookout = Lookout(
        store,
        interval=0.1,
        timeout=60.0,
        backup_interval=0,
        ask_slurm=lambda _elements: {},
        clock=HandClock(),
        at_each_look=look,
    )

    lookout.begin(1)

    assert again.wait(120)
    lookout.end()
    assert "no such luck" in caplog.text


def waited(store: Store, share: float | None, monkeypatch: pytest.MonkeyPatch) -> float:
    """Return for how many seconds a worker whose lot is 0.5 waits after a ring."""
    clock = HandClock()
    lookout = Lookout(
        store,
        interval=15.0,
        timeout=60.0,
        backup_interval=0,
        ask_slurm=lambda _elements: {},
        clock=clock,
    )
    monkeypatch.setattr(random, "random", lambda: 0.5)
    monkeypatch.setattr(lookout, "reap_if_due", lambda: None)
    lookout.remember()
    if share is not None:
        Notice(store.layout.notice).ring(17, share)
    before = clock.monotonic()
    lookout.wait(lambda: False)
    return clock.monotonic() - before


@pytest.mark.parametrize(("share", "comes"), [(1.0, True), (0.6, True), (0.4, False), (0.0, False)])
def test_as_many_come_as_are_called(
    store: Store, monkeypatch: pytest.MonkeyPatch, share: float, *, comes: bool
) -> None:
    assert (waited(store, share, monkeypatch) < 1.0) is comes


@pytest.mark.parametrize("share", [None, 0.0])
def test_who_is_not_called_asks_in_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch, share: float | None
) -> None:
    assert waited(store, share, monkeypatch) == pytest.approx(ASK_ANYWAY, abs=1.1)


def test_a_notice_says_which_event_it_tells_of_and_whom_it_calls(store: Store) -> None:
    notice = Notice(store.layout.notice)
    notice.ring(123_456, 0.25)
    words = notice.look()
    assert (sequence_in(words), share_in(words)) == (123_456, 0.25)

    notice.ring(9)
    assert (sequence_in(notice.look()), share_in(notice.look())) == (9, 1.0)


@pytest.mark.parametrize("words", [b"", b"0000000000000017", b"rubbish that is no share"])
def test_a_notice_that_does_not_say_calls_all(words: bytes) -> None:
    assert share_in(words) == 1.0
