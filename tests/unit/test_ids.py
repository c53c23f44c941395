"""Job ids are understood in every form in which SLURM writes them."""

import pytest

from slurmband.slurm.ids import JobId, parse_id

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "job", "indices"),
    [
        ("36", 36, None),
        (" 36 ", 36, None),
        ("36_1", 36, {1}),
        ("36_0", 36, {0}),
        ("36_[1-3,7%2]", 36, {1, 2, 3, 7}),
        ("36_[1-3,7]", 36, {1, 2, 3, 7}),
        ("36_[5]", 36, {5}),
        ("36_[0]", 36, {0}),
        ("36_[5%1]", 36, {5}),
        ("36_[0-6:2]", 36, {0, 2, 4, 6}),
        ("36_1r2", 36, {1}),
        ("36_1.3", 36, {1}),
        ("36_1.3r2", 36, {1}),
        ("36.batch", 36, None),
        ("36_1.extern", 36, {1}),
        ("36r1", 36, None),
    ],
)
def test_every_form_is_read(text: str, job: int, indices: set[int] | None) -> None:
    assert parse_id(text) == JobId(job, None if indices is None else frozenset(indices))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bake",
        "36_",
        "_1",
        "36_x",
        "36_[",
        "36_[]",
        "36_1-3",
        "36_[3-1]",
        "36_[1,,2]",
        "36-1",
        "36_[1-3%x]",
        "36_[1-3%]",
        "36_[%2]",
        "node1:4711",
        "36 37",
        "-36",
        "36_1_2",
    ],
)
def test_what_slurm_would_not_write_is_no_id(text: str) -> None:
    assert parse_id(text) is None


ELEMENT = {"array_job_id": 36, "array_task_id": 1, "job": 38}
PLAIN = {"array_job_id": None, "array_task_id": None, "job": 36}


@pytest.mark.parametrize(
    ("text", "row", "named"),
    [
        ("36", ELEMENT, True),
        ("36_1", ELEMENT, True),
        ("36_[0-2]", ELEMENT, True),
        ("36_2", ELEMENT, False),
        ("36_[2-4]", ELEMENT, False),
        ("38", ELEMENT, True),
        ("38_1", ELEMENT, False),
        ("37", ELEMENT, False),
        ("37_1", ELEMENT, False),
        ("36", PLAIN, True),
        ("36_1", PLAIN, False),
        ("37", PLAIN, False),
        ("0", PLAIN, False),
    ],
)
def test_an_id_names_its_array_its_element_or_its_raw_job(
    text: str, row: dict[str, int | None], *, named: bool
) -> None:
    job = parse_id(text)

    assert job is not None
    assert job.names(row) is named


def test_the_raw_id_may_be_listed_as_job_or_as_job_id() -> None:
    assert JobId(38).names({"array_job_id": 36, "array_task_id": 1, "job_id": 38})
    assert not JobId(39).names({"array_job_id": 36, "array_task_id": 1, "job_id": 38})
