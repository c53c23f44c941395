"""SLURM's variables say which place of which array a worker runs in."""

import pytest

from slurmband.domain.workers import Element
from slurmband.slurm.environment import element_from

pytestmark = pytest.mark.unit

BATCH = {"SLURM_JOB_ID": "38", "SLURM_CLUSTER_NAME": "c", "SLURMD_NODENAME": "n1"}
ARRAY = BATCH | {"SLURM_ARRAY_JOB_ID": "36", "SLURM_ARRAY_TASK_ID": "0"}
STEP = {"SLURM_PROCID": "0", "SLURM_STEP_ID": "2"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"SLURM_JOB_ID": ""},
        {"SLURM_JOB_ID": "none"},
        {"SLURM_ARRAY_JOB_ID": "36"},
        {"SLURM_JOB_ID": "²"},
    ],
)
def test_outside_slurm_there_is_no_element(environ: dict[str, str]) -> None:
    assert element_from(environ) is None


@pytest.mark.parametrize(
    ("environ", "element"),
    [
        (ARRAY, Element("c", 36, 0, 38, node="n1")),
        (BATCH, Element("c", None, None, 38, node="n1")),
        ({"SLURM_JOB_ID": "38"}, Element("", None, None, 38)),
        (ARRAY | {"SLURM_RESTART_COUNT": "2"}, Element("c", 36, 0, 38, restarts=2, node="n1")),
        (
            ARRAY | {"SLURMBAND_SUBMISSION": "slurmband-1"},
            Element("c", 36, 0, 38, submission="slurmband-1", node="n1"),
        ),
        (ARRAY | {"SLURMBAND_SUBMISSION": ""}, Element("c", 36, 0, 38, node="n1")),
    ],
)
def test_the_element_is_what_slurm_says(environ: dict[str, str], element: Element) -> None:
    assert element_from(environ) == element


@pytest.mark.parametrize("several", [{}, {"SLURMBAND_WORKERS_PER_ELEMENT": "1"}])
def test_a_rank_that_nobody_asked_for_is_ignored(several: dict[str, str]) -> None:
    assert element_from(ARRAY | STEP | several) == Element("c", 36, 0, 38, node="n1")


def test_where_an_element_has_several_workers_each_has_its_rank() -> None:
    element = element_from(ARRAY | STEP | {"SLURMBAND_WORKERS_PER_ELEMENT": "2"})

    assert element == Element("c", 36, 0, 38, step=2, rank=0, node="n1")
