"""Whoever commits publishes how far the band is, every few seconds; never over something newer."""

import json
from pathlib import Path

import pytest

from slurmband.liveness.notice import telling
from slurmband.liveness.snapshot import EVERY, Snapshots, read, survey
from slurmband.store import registration
from slurmband.store.database import Store
from tests.fakes.clock import HandClock
from tests.store.builders import Bench, task

pytestmark = pytest.mark.unit


def found(sequence: int) -> dict[str, object]:
    return {"sequence": sequence}


def shown(file: Path) -> object:
    newest = read(file)
    return None if newest is None else newest["sequence"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "snapshot.json"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def test_the_first_to_commit_publishes(file: Path, clock: HandClock) -> None:
    snapshots = Snapshots(file, clock)

    assert snapshots.due()
    snapshots.publish(found(1))

    assert shown(file) == 1
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_nobody_publishes_too_soon_after_another(file: Path, clock: HandClock) -> None:
    mine, another = Snapshots(file, clock), Snapshots(file, clock)
    assert mine.due()
    mine.publish(found(1))

    clock.forward(EVERY - 0.1)
    assert not mine.due()
    another.publish(found(2))
    clock.forward(0.2)
    assert not mine.due()  # another one has done it
    clock.forward(EVERY)

    assert mine.due()


def test_what_came_too_soon_is_published_at_the_next_beat(file: Path, clock: HandClock) -> None:
    snapshots = Snapshots(file, clock)
    snapshots.publish(found(1))
    snapshots.keep(found(2))
    snapshots.keep(found(3))
    assert shown(file) == 1

    snapshots.flush()
    assert shown(file) == 3
    file.unlink()
    snapshots.flush()

    assert not file.exists()  # once is enough


def test_an_older_one_does_not_take_the_place_of_a_newer_one(file: Path, clock: HandClock) -> None:
    slow, quick = Snapshots(file, clock), Snapshots(file, clock)
    slow.keep(found(1))
    quick.publish(found(2))

    slow.flush()

    assert shown(file) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"sequence": null}'])
def test_a_file_that_is_no_snapshot_is_none_and_is_replaced(
    file: Path, clock: HandClock, content: str
) -> None:
    file.write_text(content)

    assert read(file) is None
    Snapshots(file, clock).publish(found(1))

    assert shown(file) == 1


def test_a_disk_that_is_full_disturbs_nobody(
    file: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    Snapshots(file, clock).publish(found(1))

    assert not file.exists()


@pytest.mark.parametrize("mode", ["local", "shared"])
def test_a_person_who_changes_something_publishes_it(tmp_path: Path, mode: str) -> None:
    store = Store(tmp_path / "slurmband.sqlite", mode=mode, create=True)
    bench = Bench(store)
    bench.register(task("bake"), task("serve", "bake"))

    with telling(store) as tx:
        assert registration.current(tx) is not None
        now = survey(tx)

    published = read(store.layout.snapshot)
    assert published is not None
    assert published == json.loads(json.dumps(now))
    assert published["tasks"]["ready"] == published["tasks"]["waiting"] == 1
