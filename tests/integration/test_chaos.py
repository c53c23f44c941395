"""Workers are killed at random moments, also inside a transaction; nothing is lost or done twice."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.integration.band import REPLAY, SMALL_TRACE, Band, busy_pids, check_history, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

KILLS = int(os.environ.get("SLURMBAND_KILLS", "25"))
WORKERS = 5


@pytest.mark.parametrize("mode", ["local", "shared"])
def test_kills_at_random_lose_nothing(band: Band, mode: str) -> None:
    seed = int(os.environ.get("SLURMBAND_SEED", time.time_ns() % 10_000))
    print(f"SLURMBAND_SEED={seed}")  # shown by pytest when the test fails
    dice = random.Random(seed)
    log = band.folder / "log"
    program = (str(REPLAY), SMALL_TRACE, "--scale", "0.5", "--log", log)
    environ = {
        "SLURMBAND_MODE": mode,
        "SLURMBAND_HEARTBEAT_INTERVAL": "0.2",
        "SLURMBAND_HEARTBEAT_TIMEOUT": "2",
        "SLURMBAND_MAX_KILLED_RETRIES": "1000",
    }

    def start() -> None:
        band.start("-m", "slurmband", "work", *program, log=f"w{len(band.started)}", **environ)

    for _ in range(WORKERS):
        start()
    (first, *_) = wait_for(lambda: busy_pids(log), what="a worker has a task")
    os.kill(first, signal.SIGKILL)
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.05, 0.5))  # when is chance; what must hold is checked below
        alive = [process for process in band.started if process.poll() is None]
        if alive:
            os.kill(dice.choice(alive).pid, signal.SIGKILL)
        start()
    wait_for(
        lambda: all(process.poll() is not None for process in band.started),
        what="the last workers ended",
        seconds=300,
    )

    check_completed_once(band, log)
    outcomes = dict(band.sql("SELECT outcome, count(*) FROM attempts GROUP BY outcome"))
    print(outcomes)
    assert outcomes["killed"] > 0  # otherwise nothing was tried
    assert not list(Path(band.folder).glob("slurmband.sqlite-*"))


def check_completed_once(band: Band, log: Path) -> None:
    """As `check_history`; a killed attempt may have begun before, and ended without a report."""
    check_history(band, SMALL_TRACE, log)
    assert band.sql("SELECT count(*) FROM attempts WHERE outcome IS NULL") == [(0,)]
    stale = "SELECT count(*) FROM task_counts AS c WHERE n <> (SELECT count(*) FROM tasks AS t "
    stale += "WHERE t.state = c.state AND t.requirements = c.requirements)"
    assert band.sql(stale) == [(0,)]
