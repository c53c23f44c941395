"""Who was killed for memory is counted by the kernel, in either version of control groups."""

from pathlib import Path

import pytest

from slurmband.cgroups import oom_kills

pytestmark = pytest.mark.unit

FIRST = "9:pids:/job_5\n4:cpuset,memory:/slurm/uid_0/job_5/step_batch\n0::/elsewhere\n"
SECOND = "0::/slurmstepd.scope/job_5/step_batch/user/task_0\n"


@pytest.mark.parametrize(
    ("mine", "counter", "text"),
    [
        (
            FIRST,
            "memory/slurm/uid_0/job_5/step_batch/memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
        ),
        (
            SECOND,
            "slurmstepd.scope/job_5/step_batch/user/task_0/memory.events",
            "low 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 1\n",
        ),
    ],
    ids=["first version", "second version"],
)
def test_the_kernels_count_is_found(tmp_path: Path, mine: str, counter: str, text: str) -> None:
    groups = tmp_path / "groups"
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text(mine)
    (groups / counter).parent.mkdir(parents=True)
    (groups / counter).write_text(text)

    assert oom_kills(proc=tmp_path, groups=groups) == 3


@pytest.mark.parametrize("mine", [FIRST, SECOND, "", "1:name=systemd:/\n", "no cgroups here\n"])
def test_where_nobody_counts_nobody_was_killed(tmp_path: Path, mine: str) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text(mine)

    assert oom_kills(proc=tmp_path, groups=tmp_path) == 0
    assert oom_kills(proc=tmp_path / "none", groups=tmp_path) == 0


def test_this_kernels_count_can_be_read() -> None:
    assert oom_kills() >= 0
