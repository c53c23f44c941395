"""Clocks that disagree by minutes, and jump: nobody is lost for it, and no live lock left behind."""

import json

import pytest

from tests.cluster.lab import Cluster
from tests.cluster.nemesis import Nemesis
from tests.cluster.test_chaos import MINUTES, NOBODY_IS_LOST, assert_well, seed
from tests.cluster.trial import Plan, run
from tests.cluster.uml import ClusterGround

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

#: Seconds by which a clock is off.
OFF = 300


def test_nobody_is_lost_by_clocks_that_are_off_and_jump(cluster: Cluster) -> None:
    tasks = 400 if MINUTES else 200
    plan = Plan(seed(), tasks=tasks, seconds=0.4, timeout=NOBODY_IS_LOST)
    folder = cluster.share / f"band-{plan.seed}"
    judged: list[object] = []

    def jump(nemesis: Nemesis) -> None:
        for node, off in ((1, OFF), (3, -OFF), (2, OFF), (2, -OFF)):
            cluster.do("clock", node, off)
            suspects = json.loads(cluster.slurmband(node, "reap-dead", "--json", folder=folder))
            judged.append([row for row in suspects if row["reason"]])
            nemesis.recover(workers=10)

    for node, off in ((1, -OFF), (3, OFF)):
        cluster.do("clock", node, off)
    verdict = run(ClusterGround(cluster), plan, jump)

    assert_well(verdict)
    assert judged
    assert not any(judged)
    if not verdict.acts:  # neither a node nor the server failed by itself
        assert (verdict.attempts, verdict.generation) == ({"completed ()": tasks}, 1)
