"""On real NFS: a late COMMIT is neither believed nor in the way, its lease run out or not."""

import json
import sys
import time
from pathlib import Path

import pytest

from tests.cluster.lab import Cluster
from tests.integration.band import ROOT, wait_for
from tests.store.sleeper import BELIEVED, POINTS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

#: Seconds that a node is frozen: its lease is 10 s, and the server gives nobody's locks away before.
PAST_THE_LEASE = 20.0


class Night:
    """Ten sleepers on node 1, one at each point, each in a band of its own."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self.folder = cluster.make_folder(name)
        self._places = f"{name}-places"
        self.meanwhile("make")
        for point in POINTS:
            place = cluster.disk / self._places / point.replace(" ", "-")
            cluster.exec(1, "mkdir", "-p", place)
            database = self.folder / point.replace(" ", "-") / "slurmband.sqlite"
            words = (sys.executable, "-m", "tests.store.sleeper", database, place, point)
            cluster.start(1, *words, folder=ROOT)
        wait_for(lambda: self._all("asleep"), what="all asleep", seconds=120)

    def meanwhile(self, deed: str) -> dict[str, list[str]]:
        """Do something on node 2; see `tests.cluster.sleeping`."""
        words = (sys.executable, "-m", "tests.cluster.sleeping", deed, self.folder)
        found: dict[str, list[str]] = json.loads(self._cluster.exec(2, *words, folder=ROOT).stdout)
        return found

    def signal(self, name: str) -> None:
        """Stop the sleepers, who would otherwise keep changing their locks, or let them go on."""
        pids = [(self._here(point) / "asleep").read_text() for point in POINTS]
        self._cluster.exec(1, "kill", f"-{name}", *pids)

    def end(self) -> dict[str, str]:
        """Wake all; return what each was told."""
        for point in POINTS:
            (self._here(point) / "awake").touch()
        wait_for(lambda: self._all("told"), what="all awake", seconds=180)
        return {point: (self._here(point) / "told").read_text() for point in POINTS}

    def _here(self, point: str) -> Path:
        return self._cluster.disk_of(1) / self._places / point.replace(" ", "-")

    def _all(self, name: str) -> bool:
        return all((self._here(point) / name).exists() for point in POINTS)


@pytest.mark.parametrize("frozen", [False, True], ids=["lease kept", "lease run out"])
def test_a_late_commit_is_neither_believed_nor_in_the_way(
    cluster: Cluster, *, frozen: bool
) -> None:
    night = Night(cluster, f"sleepers-{frozen}")

    night.signal("STOP")
    if frozen:
        cluster.do("freeze", 1)
        time.sleep(PAST_THE_LEASE)
    seen = night.meanwhile("take")
    if frozen:
        cluster.do("thaw", 1)
    night.signal("CONT")
    told = night.end()
    left = night.meanwhile("check")

    for point in POINTS:
        said, file = told[point].split()
        if point in BELIEVED:
            assert said == "believed", (point, told)
            assert seen[point] == ["sleeper", "other"], (point, seen)
        else:
            assert said in ("unknown", "fault"), (point, told)
            assert file == "2.sqlite", (point, told)
        assert left[point][0] == "ok", (point, left)
        assert sorted(left[point][1:]) == ["last", "other", "sleeper"], (point, left)
    assert list(night.folder.rglob("*-shm")) == []
