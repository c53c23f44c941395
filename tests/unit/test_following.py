"""What is printed of a log that is followed to its end."""

import time
from pathlib import Path

import pytest

from slurmband.cli.log_printer import Printer
from slurmband.cli.logs import _follow
from slurmband.observe.stretches import Stretch

pytestmark = pytest.mark.unit


def test_what_a_worker_writes_just_after_it_left_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    log = tmp_path / "36_1.out"
    log.write_text("begin\n")
    printer = Printer(tmp_path, lines=None)
    printer.take([Stretch("36_1", "n1", str(log), grows=False)])
    printer.print()
    monkeypatch.setattr(time, "sleep", lambda _: log.write_text("begin\nleft\n"))

    _follow(lambda **_: [], printer, every=1.0)

    assert capfdbinary.readouterr().out == b"begin\nleft\n"


def test_an_attempt_whose_end_is_known_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "36_1.out"
    log.write_text("all of it\n")
    printer = Printer(tmp_path, lines=None)
    printer.take([Stretch("36_1", "n1", str(log), end=10, task="bake", attempt=1)])
    printer.print()
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waited"))

    _follow(lambda **_: [], printer, every=1.0)
