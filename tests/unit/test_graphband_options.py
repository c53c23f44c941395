"""An option is what was given, else what the environment says, else the default."""

from dataclasses import fields
from typing import Any

import pytest

from slurmband.errors import UsageError
from slurmband.graphband.options import Options, resolve

pytestmark = pytest.mark.unit

#: Option, the text of its variable, what that means, and another value to give.
EACH: list[tuple[str, str, Any, Any]] = [
    ("db", "/scratch/x.sqlite", "/scratch/x.sqlite", "y.sqlite"),
    ("mode", "shared", "shared", "local"),
    ("identifier", "me", "me", "you"),
    ("labels", "gpu, bigmem", frozenset({"gpu", "bigmem"}), frozenset({"fast"})),
    ("failure_policy", "stop", "stop", "continue"),
    ("heartbeat_interval", "2.5", 2.5, 5.0),
    ("heartbeat_timeout", "90", 90.0, 30.0),
    ("release_after", "5", 5.0, 10.0),
    ("lock_patience", "90", 90.0, 30.0),
    ("backup_interval", "600", 600.0, 0.0),
    ("max_failed_retries", "3", 3, 0),
    ("max_killed_retries", "0", 0, 4),
    ("max_oom_retries", "2", 2, 0),
    ("max_time_limit_retries", "0", 0, 1),
    ("max_claims", "7", 7, 1),
    ("has_more_jobs_ttl", "0.5", 0.5, 0.0),
    ("enable_fingerprints", "1", True, False),
    ("growing", "1", True, False),
    ("disabled", "1", True, False),
]
NAMES = [name for name, *_ in EACH]


def test_every_option_is_among_those_tested_here() -> None:
    assert {field.name for field in fields(Options)} == set(NAMES)


@pytest.mark.parametrize("empty", [{}, dict.fromkeys(NAMES)], ids=["nothing", "None"])
@pytest.mark.parametrize("environ", [{}, {f"SLURMBAND_{name.upper()}": "" for name in NAMES}])
def test_what_nobody_says_is_the_default(empty: dict[str, Any], environ: dict[str, str]) -> None:
    assert resolve(empty, environ) == Options()


@pytest.mark.parametrize(("name", "text", "meant", "other"), EACH, ids=NAMES)
def test_an_option_is_taken_from_its_variable(name: str, text: str, meant: Any, other: Any) -> None:
    options = resolve({name: None}, {f"SLURMBAND_{name.upper()}": text, "DB": "no", "MODE": "no"})

    assert options == Options(**{name: meant})


@pytest.mark.parametrize(("name", "text", "meant", "other"), EACH, ids=NAMES)
def test_what_is_given_beats_the_environment(name: str, text: str, meant: Any, other: Any) -> None:
    options = resolve({name: other}, {f"SLURMBAND_{name.upper()}": text})

    assert options == Options(**{name: other})
    assert getattr(options, name) != meant


def test_a_variable_that_is_overruled_is_not_even_read() -> None:
    assert resolve({"max_failed_retries": 1}, {"SLURMBAND_MAX_FAILED_RETRIES": "many"})


@pytest.mark.parametrize(
    "labels", ["gpu,bigmem", "gpu bigmem", " gpu ,, bigmem,", ["bigmem", "gpu"], {"gpu", "bigmem"}]
)
def test_labels_may_be_written_in_several_ways(labels: Any) -> None:
    assert resolve({"labels": labels}, {}).labels == frozenset({"gpu", "bigmem"})


def test_an_identifier_may_be_a_function_that_makes_it() -> None:
    assert resolve({"identifier": lambda: "made"}, {}).identifier == "made"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1", True),
        ("TRUE", True),
        ("yes", True),
        ("on", True),
        ("0", False),
        ("False", False),
        ("no", False),
        ("off", False),
    ],
)
def test_a_flag_may_be_written_in_words(text: str, *, meant: bool) -> None:
    assert resolve({}, {"SLURMBAND_DISABLED": text}).disabled is meant


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HEARTBEAT_INTERVAL", "often"),
        ("HEARTBEAT_INTERVAL", "0"),
        ("HEARTBEAT_INTERVAL", "-1"),
        ("HEARTBEAT_INTERVAL", "60"),
        ("HEARTBEAT_TIMEOUT", "15"),
        ("HEARTBEAT_TIMEOUT", "nan"),
        ("RELEASE_AFTER", "soon"),
        ("MAX_FAILED_RETRIES", "1.5"),
        ("MAX_FAILED_RETRIES", "-1"),
        ("MAX_KILLED_RETRIES", "-2"),
        ("FAILURE_POLICY", "panic"),
        ("DISABLED", "perhaps"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(name: str, text: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve({}, {f"SLURMBAND_{name}": text})

    assert f"SLURMBAND_{name}" in str(error.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"heartbeat_interval": 10.0, "heartbeat_timeout": 5.0}, r"heartbeat_timeout \(5 s\)"),
        ({"lock_patience": 9.0}, "lock_patience is 9 s"),
        ({"backup_interval": -1.0}, "backup_interval is -1 s"),
        ({"heartbeat_interval": 60.0}, r"heartbeat_interval \(60 s\)"),
        ({"failure_policy": "panic"}, "'panic': it is 'continue' or 'stop'"),
        ({"max_failed_retries": -1}, "max_failed_retries is -1: write 0"),
        ({"max_killed_retries": -1}, "max_killed_retries is -1: write 0"),
    ],
)
def test_an_option_that_makes_no_sense_is_named_and_no_variable_is_blamed(
    given: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as error:
        resolve(given, {"SLURMBAND_DB": "x.sqlite"})

    assert "SLURMBAND_" not in str(error.value)


def test_growing_and_comparing_fingerprints_exclude_each_other() -> None:
    with pytest.raises(UsageError, match=r"Leave one of them out.*SLURMBAND_GROWING"):
        resolve({"enable_fingerprints": True}, {"SLURMBAND_GROWING": "1"})
