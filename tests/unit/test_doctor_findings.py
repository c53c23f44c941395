"""One line says whether a band is safe, and never more than what was found allows."""

import pytest

from slurmband.doctor.findings import Finding, Level, verdict, worst

pytestmark = pytest.mark.unit


def finding(name: str, level: Level) -> Finding:
    return Finding(name, level, "as found")


FINE, TOLD = finding("fine", Level.OK), finding("told", Level.NOTE)
ODD, BAD = finding("odd", Level.WARNING), finding("bad", Level.ERROR)


@pytest.mark.parametrize(
    ("found", "level", "says"),
    [
        ([], Level.OK, "safe, mode shared"),
        ([FINE, TOLD], Level.NOTE, "safe, mode shared"),
        ([ODD, FINE, ODD], Level.WARNING, "safe with warnings, mode shared: odd"),
        ([FINE, BAD, ODD], Level.ERROR, "not safe here: bad"),
        ([BAD, finding("worse", Level.ERROR)], Level.ERROR, "not safe here: bad, worse"),
    ],
)
def test_the_gravest_finding_decides(found: list[Finding], level: Level, says: str) -> None:
    assert worst(found) is level
    assert verdict(found, "shared") == says
