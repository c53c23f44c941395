"""The walk upstream ends at what a task comes down to, and goes no further than it may."""

import pytest

from slurmband.domain.facts import Upstream
from slurmband.domain.states import TaskState
from slurmband.store import reasons
from slurmband.store.upstream import FAR, upstream
from tests.store.builders import FAILED, Bench, finish, task

pytestmark = pytest.mark.unit


def walk(bench: Bench, name: str, far: int = FAR) -> Upstream:
    with bench.store.read() as tx:
        of = reasons.task(tx, name)
        assert of is not None
        return upstream(tx, of.key, of.id, of.state, far=far)


def ends(found: Upstream) -> dict[str, tuple[str, ...]]:
    return {root.id: root.path for root in found.roots}


def test_it_goes_on_through_what_waits_to_what_does_not(bench: Bench) -> None:
    bench.register(
        *(task("a"), task("b"), task("c", "a"), task("d", "b"), task("e", "c", "d", "b")),
    )
    alice = bench.worker()
    held = bench.claim(alice, now=7.0)

    found = walk(bench, "e")

    assert found.direct == {TaskState.WAITING: 2, TaskState.READY: 1}
    assert ends(found) == {"b": ("e", "b"), "a": ("e", "c", "a")}
    assert {root.id: root.claimed_at for root in found.roots} == {"a": 7.0, "b": None}
    assert found.whole

    bench.close(held)

    assert ends(walk(bench, "e")) == {"b": ("e", "b"), "c": ("e", "c")}


def test_what_has_completed_is_in_nobodys_way(bench: Bench) -> None:
    bench.register(task("a"), task("b"), task("c", "a", "b"))
    finish(bench, bench.worker(), "a")

    assert ends(walk(bench, "c")) == {"b": ("c", "b")}


def test_of_what_blocks_a_task_only_what_ended_badly_is_told(bench: Bench) -> None:
    bench.register(task("bad"), task("good"), task("mid", "bad"), task("end", "mid", "good"))
    alice = bench.worker()
    bench.close(bench.claim(alice), FAILED)

    found = walk(bench, "end")

    assert found.direct == {TaskState.BLOCKED: 1}
    assert ends(found) == {"bad": ("end", "mid", "bad")}


def test_it_goes_no_further_than_it_may_and_says_so(bench: Bench) -> None:
    bench.register(*(task(f"a{n}") for n in range(20)), task("end", *(f"a{n}" for n in range(20))))

    near, whole = walk(bench, "end", far=8), walk(bench, "end", far=21)

    assert (len(near.roots), near.whole, near.direct) == (7, False, {TaskState.READY: 20})
    assert (len(whole.roots), whole.whole) == (20, True)


@pytest.mark.parametrize("failed", [False, True], ids=["waiting", "blocked"])
def test_where_the_cause_is_far_a_single_path_is_followed_to_its_end(
    bench: Bench, *, failed: bool
) -> None:
    names = [f"t{n}" for n in range(40)]
    chain = [task(name, names[n - 1]) for n, name in enumerate(names) if n]
    bench.register(task("t0"), *chain, task("end", "t39", "t38"))
    if failed:
        bench.close(bench.claim(bench.worker()), FAILED)

    found = walk(bench, "end", far=5)

    assert ends(found)["t0"][:2] == ("end", "t38")
    assert ends(found)["t0"][-3:] == ("t2", "t1", "t0")
    assert (len(found.roots), found.whole) == (1, False)


def test_a_task_that_several_paths_lead_to_is_met_once(bench: Bench) -> None:
    layers = [task("l0-0"), task("l0-1")]
    for depth in range(1, 12):  # two to the twelfth paths
        above = (f"l{depth - 1}-0", f"l{depth - 1}-1")
        layers += [task(f"l{depth}-0", *above), task(f"l{depth}-1", *above)]
    bench.register(*layers, task("end", "l11-0", "l11-1"))

    assert set(ends(walk(bench, "end"))) == {"l0-0", "l0-1"}
