"""A node that stands still without a fault of ours is told from a band that is stuck."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.nemesis import HOPELESS
from tests.cluster.uml import ClusterGround

pytestmark = pytest.mark.unit


class Clocks:
    """Stands for a cluster of which only the clocks are asked."""

    share, nodes = Path("/share"), (1, 2, 3)

    def __init__(self) -> None:
        self.uptime = dict.fromkeys(self.nodes, 5.0)

    def exec(self, node: int, *words: object) -> Any:
        assert words == ("cat", "/proc/uptime")
        return subprocess.CompletedProcess(words, 0, f"{self.uptime[node]} 1.0\n", "")

    def start(self, *_words: object) -> Any:
        return None


def test_a_node_that_stood_still_is_one_whose_clock_is_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster: Any = Clocks()
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    ground = ClusterGround(cluster)
    for node in cluster.nodes:
        ground.keep(node, 4, Path("logs"), {})

    now[0] += HOPELESS
    cluster.uptime = {1: 5 + HOPELESS, 2: 5 + HOPELESS / 2, 3: 4.9 + HOPELESS}

    assert ground.stood_still() == [2]
