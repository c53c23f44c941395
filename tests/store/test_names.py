"""Every listing takes every name: of a task, a worker, a node, and each form of SLURM's ids."""

import json
from typing import Any

import pytest

from slurmband.cli.app import build
from slurmband.errors import UsageError
from slurmband.observe import logs, maps
from slurmband.store import intents
from tests.store.builders import Bench, element, task

pytestmark = pytest.mark.unit

#: What is where: two elements, the first requeued once, the second with two
#: ranks; one element that waits; and a worker outside SLURM, which has no task yet.
TASKS = ("bake", "ice", "jam", "serve", "wash")
FIRST, AGAIN = {"36_1"}, {"36_1r1"}
RANKS = {"36_2.0", "36_2.1"}
OUTSIDE = {"node7:700"}


@pytest.fixture(autouse=True)
def scene(bench: Bench) -> None:
    bench.register(*(task(name) for name in TASKS))
    with bench.store.transaction() as tx:
        made = intents.intend(
            tx,
            "t1",
            cluster="thunder",
            array="1-3",
            command=["slurmband"],
            directory="/home",
            script="#!/bin/sh",
            log="/logs/%A_%a.out",
            now=0.5,
        )
        intents.queued(tx, made, 36, (1, 2, 3))
    first = bench.arrive(element(node="n1"), log="/logs/36_1.out", now=1.0)
    bench.close(bench.claim(first))
    again = bench.arrive(element(1, node="n2"), log="/logs/36_1.out", now=5.0)
    for held in bench.claims(again, limit=2, now=6.0):
        bench.close(held, now=6.5)
    for rank in (0, 1):
        where = element(rank=rank, array_task_id=2, job_id=38, node="n3")
        held = bench.claim(bench.arrive(where, log="/logs/36_2.out", now=7.0), now=8.0)
        assert held.task in ("serve", "wash")
    bench.arrive(log="/home/own.out", now=9.0)


@pytest.mark.parametrize(
    ("word", "tasks", "workers", "elements"),
    [
        ("36", {*TASKS}, FIRST | AGAIN | RANKS, {1, 2, 3}),
        ("36_1", {"bake", "ice", "jam"}, FIRST | AGAIN, {1}),
        ("36_[1-3,7%2]", {*TASKS}, FIRST | AGAIN | RANKS, {1, 2, 3}),
        ("36_[2]", {"serve", "wash"}, RANKS, {2}),
        ("36_3", set(), set(), {3}),
        ("37", {"bake", "ice", "jam"}, FIRST | AGAIN, {1}),
        ("38", {"serve", "wash"}, RANKS, {2}),
        ("38.batch", {"serve", "wash"}, RANKS, {2}),
        ("36_1r1", {"ice", "jam"}, AGAIN, {1}),
        ("36_2.1", {"wash"}, {"36_2.1"}, {2}),
        ("node7:700", set(), OUTSIDE, set()),
        ("n1", {"bake"}, FIRST, {1}),
        ("n3", {"serve", "wash"}, RANKS, {2}),
        ("bake", {"bake"}, FIRST, {1}),
        ("jam", {"jam"}, AGAIN, {1}),
        ("serve", {"serve"}, {"36_2.0"}, {2}),
    ],
)
def test_each_listing_takes_each_name(
    bench: Bench, word: str, tasks: set[str], workers: set[str], elements: set[int]
) -> None:
    store = bench.store

    assert {row["id"] for row in maps.tasks(store, only=[word])} == tasks
    assert {row["worker"] for row in maps.workers(store, only=[word])} == workers
    assert {row["array_task_id"] for row in maps.jobs(store, only=[word])} == elements
    where = maps.where(store, word)
    if word in tasks:
        assert {row["worker"] for row in where} == workers
    else:
        assert {
            row["array_task_id"] for row in where if row["job_id"] or row["array_job_id"]
        } == elements
        assert {stretch.log for stretch in logs.find(store, [word])} == _logs(elements)


def _logs(elements: set[int]) -> set[str]:
    return {f"/logs/36_{index}.out" for index in elements} or {"/home/own.out"}


@pytest.mark.parametrize("word", ["zz", "39", "36_9", "36_1r7", "37_1", "node8:700", "", "36_[1"])
def test_what_means_nothing_is_told_by_each_in_the_same_words(bench: Bench, word: str) -> None:
    asked: list[Any] = [
        lambda: maps.tasks(bench.store, only=[word]),
        lambda: maps.workers(bench.store, only=[word]),
        lambda: maps.jobs(bench.store, only=[word]),
        lambda: maps.where(bench.store, word),
        lambda: logs.find(bench.store, [word]),
    ]
    said = set()
    for ask in asked:
        with pytest.raises(UsageError, match="nothing is called") as told:
            ask()
        said.add(str(told.value))

    assert len(said) == 1


@pytest.mark.parametrize("command", ["where", "tasks", "workers", "jobs", "logs"])
@pytest.mark.parametrize(
    "word", ["36", "36_2", "36_[1-3,7%2]", "37", "36_1r1", "36_2.1", "node7:700", "n1", "bake"]
)
def test_each_command_takes_each_name(
    bench: Bench, command: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    db = str(bench.store.layout.database)

    build([command])([command, word, "--json", "--db", db], standalone_mode=False)

    found = json.loads(capsys.readouterr().out)
    assert bool(found) is (word != "node7:700" or command not in ("tasks", "jobs"))


@pytest.mark.parametrize("command", ["where", "tasks", "workers", "jobs", "logs"])
def test_each_command_refuses_what_means_nothing(bench: Bench, command: str) -> None:
    db = str(bench.store.layout.database)

    with pytest.raises(UsageError, match="nothing is called '36_9' here"):
        build([command])([command, "36_9", "--db", db], standalone_mode=False)


def test_several_names_are_taken_together(bench: Bench) -> None:
    rows = maps.tasks(bench.store, only=["36_2", "bake", "n3"])

    assert [row["id"] for row in rows] == ["bake", "serve", "wash"]


def test_a_name_that_is_known_may_have_nothing(bench: Bench) -> None:
    assert maps.tasks(bench.store, states=["failed"], only=["36_1"]) == []


def test_a_task_that_is_called_like_a_job_is_the_task(bench: Bench) -> None:
    bench.submit(*(task(name) for name in (*TASKS, "36")))

    assert [row["id"] for row in maps.tasks(bench.store, only=["36"])] == ["36"]
    assert maps.workers(bench.store, only=["36"]) == []


def test_of_a_task_only_who_is_in_it_is_stopped(bench: Bench) -> None:
    def meant(*words: str) -> set[str]:
        return {row["worker"] for row in maps.workers(bench.store, only=words, in_it=True)}

    (holder,) = (r["worker"] for r in maps.workers(bench.store) if r["tasks"] == ["serve"])

    assert meant("bake") == set()
    assert meant("bake", "serve") == {holder}
    assert meant("36_1", "bake") == FIRST | AGAIN
