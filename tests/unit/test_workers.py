"""Workers are named as SLURM names the place they run in."""

import pytest

from slurmband.domain.workers import Element

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("element", "job", "worker"),
    [
        (Element("c", 36, 1, 37), "36_1", "36_1"),
        (Element("c", 36, 0, 37), "36_0", "36_0"),
        (Element("c", 36, 1, 37, rank=3, step=0), "36_1", "36_1.3"),
        (Element("c", 36, 1, 37, rank=0, step=0), "36_1", "36_1.0"),
        (Element("c", 36, 1, 37, restarts=2), "36_1", "36_1r2"),
        (Element("c", 36, 1, 37, restarts=2, rank=3), "36_1", "36_1.3r2"),
        (Element("c", None, None, 36), "36", "36"),
        (Element("c", None, None, 36, restarts=1), "36", "36r1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_worker_is_named_after_its_element(element: Element, job: str, worker: str) -> None:
    assert (element.id, element.worker_name) == (job, worker)
