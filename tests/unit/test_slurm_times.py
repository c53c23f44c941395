"""Times as SLURM writes them, and the one question about an array's time limit."""

from collections.abc import Sequence

import pytest

from slurmband.errors import SlurmMissing, UsageError
from slurmband.slurm.command import Reply
from slurmband.slurm.times import end_of_job, seconds, time_limit_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("30", 1800),
        ("0:05", 5),
        ("90:30", 5430),
        ("1:00:00", 3600),
        ("100:00:01", 360_001),
        ("2-0", 172_800),
        ("1-02:30", 95_400),
        ("1-02:03:04", 93_784),
        (" 10:00 ", 600),
    ],
)
def test_a_time_is_read_as_sbatch_reads_it(text: str, meant: int) -> None:
    assert seconds(text) == meant


@pytest.mark.parametrize(
    "text", ["UNLIMITED", "unlimited", "INVALID", "NOT_SET", "", "0", "0:00", "0-0"]
)
def test_some_jobs_have_no_limit(text: str) -> None:
    assert seconds(text) is None


@pytest.mark.parametrize("text", ["soon", "1:2:3:4", "1-", "-5", "1:", "1h", "1.5", "2-1:2:3:4"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="cannot read the time"):
        seconds(text)


@pytest.mark.parametrize(
    ("environ", "end"),
    [({"SLURM_JOB_END_TIME": "1700000000"}, 1.7e9), ({}, None), ({"SLURM_JOB_END_TIME": ""}, None)],
)
def test_newer_slurm_tells_a_job_its_end(environ: dict[str, str], end: float | None) -> None:
    assert end_of_job(environ) == end


@pytest.mark.parametrize(
    ("said", "limit"),
    [
        ("1:00:00\n1:00:00\n", 3600.0),
        ("30:00\n10:00\n", 600.0),  # some elements were updated: the shortest is safe for all
        ("UNLIMITED\n", None),
        ("10:00\nUNLIMITED\n", None),
        ("", None),
        ("garbage\n", None),
    ],
)
def test_one_question_gives_the_limit_of_an_array(said: str, limit: float | None) -> None:
    asked: list[Sequence[str]] = []

    def run(words: Sequence[str]) -> Reply:
        asked.append(words)
        return Reply(0, said, "")

    assert time_limit_of(36, run=run) == limit
    assert asked == [["squeue", "-h", "-t", "all", "-j", "36", "-o", "%l"]]


def test_without_slurm_there_is_no_answer() -> None:
    def run(words: Sequence[str]) -> Reply:
        raise SlurmMissing(words[0])

    assert time_limit_of(36, run=run) is None
