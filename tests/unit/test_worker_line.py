"""The quick reader of ``slurmband work`` understands a command line as typer does, or leaves it."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slurmband.cli import app, main, work, worker

pytestmark = pytest.mark.unit

PLAIN: dict[str, Any] = {
    "db": None,
    "labels": None,
    "commands": None,
    "wait": True,
    "growing": False,
    "strict": False,
    "quiet": False,
}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("flow.py", {}),
        ("flow.py --quiet -n 3 --", {"arguments": ["--quiet", "-n", "3", "--"]}),
        ("--db x.sqlite --labels=gpu flow.py", {"db": "x.sqlite", "labels": "gpu"}),
        ("-q --no-wait flow.py", {"quiet": True, "wait": False}),
        ("--quiet --no-wait --wait flow.py", {"quiet": True}),
        ("--commands c.txt -q", {"file": None, "commands": "c.txt", "quiet": True}),
        ("--growing --strict flow.py", {"growing": True, "strict": True}),
    ],
)
def test_a_right_line_is_read(line: str, said: dict[str, Any]) -> None:
    expected = PLAIN | {"file": "flow.py", "arguments": []} | said

    assert worker.read(line.split(), {}) == expected


@pytest.mark.parametrize(
    "line",
    [
        *("", "--help", "-h flow.py", "--db", "--quiet=1 flow.py", "-x flow.py", "--db= flow.py"),
        *("--quiet", "--commands", "--commands -"),
    ],
)
def test_what_is_not_right_is_left_to_typer(line: str) -> None:
    assert worker.read(line.split(), {}) is None


def test_the_environment_says_what_the_line_does_not() -> None:
    environ = {"SLURMBAND_DB": "a.sqlite", "SLURMBAND_LABELS": "", "SLURMBAND_GROWING": "1"}

    read = worker.read(["flow.py"], environ)
    over = worker.read(["--db", "b.sqlite", "flow.py"], environ)

    assert read == PLAIN | {"file": "flow.py", "arguments": [], "db": "a.sqlite", "growing": True}
    assert over is not None
    assert over["db"] == "b.sqlite"


def by_typer(words: Sequence[str], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what typer makes of a line."""
    called: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("SLURMBAND_")]:
            patch.delenv(name)
        for name, value in environ.items():
            patch.setenv(name, value)
        patch.setattr(
            work,
            "work_on",
            lambda file, arguments, **own: called.append(
                {"file": file, "arguments": list(arguments), **own}
            ),
        )
        app.build(["work"])(["work", *words], standalone_mode=False)
    (only,) = called
    return only


WORDS = ["flow.py", "-q", "--quiet", "--wait", "--no-wait", "--growing", "--strict", "x", "--", "-"]
WORDS += ["--db", "--db=a", "--labels", "--labels=gpu,big", "--labels=a=b", "--quiet=1", "-qq", "é"]
WORDS += ["--commands", "--commands=c.txt"]
ENVIRONMENTS = st.fixed_dictionaries(
    {},
    optional={
        "SLURMBAND_DB": st.sampled_from(["", "e.sqlite"]),
        "SLURMBAND_LABELS": st.sampled_from(["", "gpu"]),
        "SLURMBAND_GROWING": st.sampled_from(["", "0", "1", "yes", "maybe"]),
    },
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=6), ENVIRONMENTS)
@example(["--db", "flow.py", "flow.py"], {})
@example(["flow.py", "--db", "x"], {"SLURMBAND_GROWING": "0"})
def test_what_is_read_is_what_typer_reads(words: list[str], environ: dict[str, str]) -> None:
    read = worker.read(words, environ)

    if read is not None:
        assert read == by_typer(words, environ)


def test_a_worker_is_called_without_typer_and_its_help_is_typers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[dict[str, Any]] = []
    monkeypatch.setattr(worker, "work_on", lambda **own: called.append(own))
    monkeypatch.setattr(sys, "argv", ["slurmband", "work", "flow.py"])

    with pytest.raises(SystemExit) as left:
        main.main()
    with pytest.raises(SystemExit):
        main.main(["work", "--help"])

    assert (left.value.code, [own["file"] for own in called]) == (0, ["flow.py"])
    assert "Work on a band" in capsys.readouterr().out
