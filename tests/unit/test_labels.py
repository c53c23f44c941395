"""Which worker may take which task, and what is required once a worker was too small."""

import pytest

from slurmband.domain.labels import amount, demands, is_rule, raised, satisfy

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("labels", "requirements", "may"),
    [
        ("", "", True),
        ("gpu", "", True),
        ("gpu fast", "gpu", True),
        ("gpu", "gpu fast", False),
        ("mem=64G", "mem>=48G", True),
        ("mem=64G", "mem>=64G", True),
        ("mem=64G", "mem>=65536M", True),
        ("mem=64G", "mem>=64.5G", False),
        ("mem=1T gpu", "mem>=64G gpu", True),
        ("mem=64", "mem>=64G", False),
        ("time=7200", "mem>=1", False),
        ("time=7200", "time>=3600", True),
        ("mem=lots", "mem>=1", False),
        ("mem>=64G", "mem>=64G", True),  # the very label
        ("mem=64G", "mem>=lots", False),
    ],
)
def test_a_worker_may_take_what_it_has_enough_for(
    labels: str, requirements: str, *, may: bool
) -> None:
    assert satisfy(frozenset(labels.split()), requirements.split()) is may


@pytest.mark.parametrize(
    ("rule", "requirements", "labels", "then"),
    [
        ("mem:+50%", "", "mem=64G", "mem>=96G"),
        ("mem:x2", "gpu", "mem=64G gpu", "gpu mem>=128G"),
        ("mem:+50%", "mem>=96G", "mem=96G", "mem>=144G"),
        ("mem:+50%", "mem>=96G", "mem=200G", "mem>=300G"),
        ("mem:+10%", "", "mem=1000M", "mem>=1100M"),
        ("time:x2", "", "time=3600", "time>=7200"),
        ("bigmem", "gpu", "mem=64G", "bigmem gpu"),
        ("mem>=256G", "", "", "mem>=256G"),
    ],
)
def test_more_is_required_than_the_last_one_had(
    rule: str, requirements: str, labels: str, then: str
) -> None:
    assert is_rule(rule)
    assert raised(rule, requirements.split(), labels.split()) == frozenset(then.split())


def test_where_nobody_knows_how_much_it_had_nothing_changes() -> None:
    assert raised("mem:+50%", ["gpu"], ["gpu"]) is None


@pytest.mark.parametrize("rule", ["mem:50%", "mem:+%", "", "more memory", "mem:x"])
def test_what_is_no_rule_is_told(rule: str) -> None:
    assert not is_rule(rule)


def test_amounts_and_demands_are_read() -> None:
    assert [amount(text) for text in ("1K", "1.5M", "2GB", "7", "x", "-1")] == [
        *(1024.0, 1.5 * 1024**2, 2.0 * 1024**3, 7.0),
        *(None, None),
    ]
    assert demands(["gpu", "mem>=1K", "time>=60"]) == {"mem": 1024.0, "time": 60.0}
