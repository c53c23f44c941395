"""Where output goes is seen as it is: one file, two, or none, and how far each has come."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slurmband.liveness.output import Output

pytestmark = pytest.mark.unit

Point = Callable[[int, Path], None]


@pytest.fixture
def point() -> Iterator[Point]:
    """Let standard output or error of this very process go to a file, for as long as the test runs."""
    kept = {number: os.dup(number) for number in (1, 2)}

    def point(number: int, file: Path) -> None:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)

    yield point
    for number, before in kept.items():
        os.dup2(before, number)
        os.close(before)


def test_one_file_for_both_is_that_of_standard_output(point: Point, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    point(1, log)
    point(2, log)

    output = Output()
    os.write(2, b"12345")

    assert output.measure() == {"out": 12}
    assert output.logs == {"out": str(log)}


def test_two_files_are_measured_each(point: Point, tmp_path: Path) -> None:
    point(1, tmp_path / "log")
    point(2, tmp_path / "errors")

    output = Output()
    os.write(1, b"1")
    os.write(2, b"123")

    assert output.measure() == {"out": 1, "err": 3}
    assert output.logs == {"out": str(tmp_path / "log"), "err": str(tmp_path / "errors")}


def test_what_goes_to_no_file_is_not_measured(point: Point, tmp_path: Path) -> None:
    point(1, Path(os.devnull))
    point(2, tmp_path / "errors")

    assert Output().measure() == {"err": 0}


def test_what_python_still_holds_is_counted(
    point: Point, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point(1, tmp_path / "log")
    with open(1, "w", closefd=False) as held:
        monkeypatch.setattr(sys, "stdout", held)
        held.write("hello")

        assert Output().measure()["out"] == 5


def test_a_stream_that_moves_is_followed(point: Point, tmp_path: Path) -> None:
    point(1, tmp_path / "log")
    output = Output()
    output.measure()
    before = output.logs

    point(1, tmp_path / "mine")
    os.write(1, b"123")

    assert output.measure()["out"] == 3
    assert output.logs["out"] == str(tmp_path / "mine")
    assert output.logs is not before


class Broken:
    def flush(self) -> None:
        raise RuntimeError("no such luck")


@pytest.mark.parametrize("stream", [None, Broken(), object()])
def test_what_a_program_put_in_the_place_of_standard_output_harms_nothing(
    point: Point, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: object
) -> None:
    point(1, tmp_path / "log")
    monkeypatch.setattr(sys, "stdout", stream)

    assert Output().measure()["out"] == 0
