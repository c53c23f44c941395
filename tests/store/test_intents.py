"""A submission is an intent first; what sbatch answered, or did not, comes after."""

import pytest

from slurmband.errors import RaceLost
from slurmband.store import intents, listings, queries
from tests.store.builders import Bench, element, task

pytestmark = pytest.mark.unit

WRITTEN = "SELECT status, array_job_id, error FROM submissions ORDER BY id"
ELEMENTS = "SELECT submission, array_task_id, job_id FROM elements ORDER BY id"


@pytest.fixture(autouse=True)
def graph(bench: Bench) -> None:
    bench.register(task("bake"))


def intend(bench: Bench, token: str = "t1") -> int:
    with bench.store.transaction() as tx:
        return intents.intend(
            tx,
            token,
            cluster="thunder",
            array="0-1",
            command=["slurmband", "submit"],
            directory="/home",
            script="#!/bin/sh",
            log=None,
            now=5.0,
        )


def queue(bench: Bench, submission: int, array: int = 36, *indices: int) -> None:
    with bench.store.transaction() as tx:
        intents.queued(tx, submission, array, indices)


def refuse(bench: Bench, submission: int, status: str, error: str = "no") -> None:
    with bench.store.transaction() as tx:
        intents.not_queued(tx, submission, status, error)


def test_an_intent_is_written_before_anything_is_queued(bench: Bench) -> None:
    intend(bench)

    assert bench.rows(WRITTEN) == [("intended", None, None)]
    with bench.store.read() as tx:
        (row,) = listings.submission_rows(tx)
        assert row["command"] == ["slurmband", "submit"]
        assert queries.queued_arrays(tx) == []
        assert intents.count(tx) == 1


def test_what_was_queued_has_its_id_and_its_elements(bench: Bench) -> None:
    intend(bench, "t0")
    queue(bench, intend(bench), 36, 0, 1)

    assert bench.rows(WRITTEN) == [("intended", None, None), ("queued", 36, None)]
    assert bench.rows(ELEMENTS) == [(2, 0, None), (2, 1, None)]
    with bench.store.read() as tx:
        assert queries.queued_arrays(tx) == [36]


def test_to_hear_twice_that_it_is_queued_does_no_harm(bench: Bench) -> None:
    submission = intend(bench)
    queue(bench, submission, 36, 0, 1)

    queue(bench, submission, 36, 0, 1)

    assert bench.rows(ELEMENTS) == [(1, 0, None), (1, 1, None)]


@pytest.mark.parametrize("status", ["refused", "unknown"])
def test_why_it_was_not_queued_is_kept(bench: Bench, status: str) -> None:
    intend(bench, "t0")
    refuse(bench, intend(bench), status, "no such partition")

    assert bench.rows(WRITTEN) == [
        ("intended", None, None),
        (status, None, "no such partition"),
    ]


def test_a_lost_reply_that_is_found_is_queued(bench: Bench) -> None:
    submission = intend(bench)
    refuse(bench, submission, "unknown")

    queue(bench, submission, 36, 0)

    assert bench.rows(WRITTEN) == [("queued", 36, None)]


def test_a_lost_reply_that_is_never_found_is_refused(bench: Bench) -> None:
    submission = intend(bench)
    refuse(bench, submission, "unknown")

    refuse(bench, submission, "refused")

    assert bench.rows(WRITTEN) == [("refused", None, "no")]


def test_what_is_queued_is_not_refused(bench: Bench) -> None:
    submission = intend(bench)
    queue(bench, submission, 36, 0)

    with pytest.raises(RaceLost):
        refuse(bench, submission, "unknown")

    assert bench.rows(WRITTEN) == [("queued", 36, None)]


def test_what_was_refused_is_not_queued(bench: Bench) -> None:
    submission = intend(bench)
    refuse(bench, submission, "refused")

    queue(bench, submission, 36)

    assert bench.rows(WRITTEN) == [("refused", None, "no")]


def test_a_worker_that_is_quicker_than_sbatch_tells_the_id(bench: Bench) -> None:
    submission = intend(bench)
    other = intend(bench, "t2")

    bench.arrive(element(submission="t1"))

    assert bench.rows(WRITTEN) == [("queued", 36, None), ("intended", None, None)]
    assert bench.rows(ELEMENTS) == [(submission, 1, 37)]
    queue(bench, submission, 36, 0, 1)
    queue(bench, other, 40, 1)
    assert bench.rows(ELEMENTS) == [(1, 1, 37), (1, 0, None), (2, 1, None)]


def test_a_worker_tells_the_raw_id_of_its_own_element_only(bench: Bench) -> None:
    queue(bench, intend(bench), 36, 0, 1)
    queue(bench, intend(bench, "t2"), 40, 0, 1)

    bench.arrive(element(submission="t1"))

    assert bench.rows(ELEMENTS) == [(1, 0, None), (1, 1, 37), (2, 0, None), (2, 1, None)]


def test_the_id_that_sbatch_gave_is_not_overwritten(bench: Bench) -> None:
    queue(bench, intend(bench), 36, 1)

    bench.arrive(element(submission="t1", array_job_id=99))

    assert bench.rows(WRITTEN) == [("queued", 36, None)]


@pytest.mark.parametrize(
    "where",
    [
        element(submission="t9"),
        element(submission=None),
        element(submission="t1", array_job_id=None),
    ],
    ids=["of another band", "submitted by hand", "no array"],
)
def test_a_worker_of_no_known_array_changes_no_submission(bench: Bench, where: object) -> None:
    intend(bench)

    bench.arrive(where)  # type: ignore[arg-type]  # an Element

    assert bench.rows(WRITTEN) == [("intended", None, None)]
    assert bench.rows(ELEMENTS) == []


def test_an_array_of_this_machine_is_numbered_as_slurm_would(bench: Bench) -> None:
    queue(bench, intend(bench), 36, 0)
    second = intend(bench, "t2")

    with bench.store.transaction() as tx:
        numbered = intents.number_locally(tx, second, [3, 4])

    assert numbered == {3: 2, 4: 3}
    assert bench.rows(WRITTEN)[1] == ("queued", 2, None)
    assert bench.rows(ELEMENTS) == [(1, 0, None), (2, 3, 2), (2, 4, 3)]


def test_a_listing_shows_elements_that_no_worker_has_shown_up_in(bench: Bench) -> None:
    queue(bench, intend(bench), 36, 0, 1)
    bench.arrive(element(submission="t1"))

    with bench.store.read() as tx:
        listed = listings.element_rows(tx)

    shown = [(row["array_job_id"], row["array_task_id"], row["job_id"]) for row in listed]
    assert shown == [(36, 0, None), (36, 1, 37)]


def test_one_worker_of_an_array_asks_for_its_time_limit(bench: Bench) -> None:
    intend(bench, "t1")
    intend(bench, "t2")
    with bench.store.transaction() as tx:
        assert intents.time_limit(tx, "t1") is None
        assert [intents.take_question(tx, "t1") for _ in range(2)] == [True, False]
        assert intents.time_limit(tx, "t1") is None

        intents.note_time_limit(tx, "t1", 3600.0)
        intents.note_time_limit(tx, "t1", 60.0)

        assert intents.time_limit(tx, "t1") == 3600.0
        assert intents.take_question(tx, "t1") is False
        assert intents.time_limit(tx, "t2") is None
        assert intents.time_limit(tx, "of nobody") == 0.0
