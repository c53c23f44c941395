"""On one command line, sbatch's options and ours are told apart, and the program's are left alone."""

import pytest

from slurmband.errors import UsageError
from slurmband.slurm.options import CommandLine, split

pytestmark = pytest.mark.unit

VALUED = ("--array", "-a", "--db", "--cluster")
FLAGS = ("--dry-run", "--wait", "-W")


def take_apart(line: str) -> CommandLine:
    return split(line.split(), valued=VALUED, flags=FLAGS)


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ("--array 10", ["--array", "10"]),
        ("--array=10", ["--array=10"]),
        ("-a 0-9", ["-a", "0-9"]),
        ("-a0-9%2", ["-a", "0-9%2"]),
        ("--dry-run", ["--dry-run"]),
        ("-W", ["-W"]),
        ("--db x=y.sqlite", ["--db", "x=y.sqlite"]),
    ],
)
def test_ours_are_known_by_name(given: str, ours: list[str]) -> None:
    line = take_apart(f"{given} flow.py")

    assert line == CommandLine(ours, [], ["flow.py"])


@pytest.mark.parametrize(
    ("given", "sbatch"),
    [
        ("--time 1:00", ["--time=1:00"]),
        ("--time=1:00", ["--time=1:00"]),
        ("--export=A=1,B=2", ["--export=A=1,B=2"]),
        ("-p gpu", ["-pgpu"]),
        ("-pgpu", ["-pgpu"]),
        ("-t 1:00 -n 4", ["-t1:00", "-n4"]),
        ("-o -", ["-o-"]),
        ("--exclusive", ["--exclusive"]),
        ("--exclusive=user", ["--exclusive=user"]),
        ("--nice --hold -H", ["--nice", "--hold", "-H"]),
        ("--a-flag-of-next-year", ["--a-flag-of-next-year"]),
        ("--an-option-of-next-year=7", ["--an-option-of-next-year=7"]),
        ("--gres gpu:2 --mem 4G", ["--gres=gpu:2", "--mem=4G"]),
    ],
)
def test_what_is_not_ours_goes_to_sbatch_in_one_word_each(given: str, sbatch: list[str]) -> None:
    line = take_apart(f"{given} flow.py")

    assert line == CommandLine([], sbatch, ["flow.py"])


def test_ours_may_stand_anywhere_before_the_program() -> None:
    line = take_apart("--dry-run -p gpu --array 10 --time=5 -W --mem 4G --db d flow.py 1")

    assert line.ours == ["--dry-run", "--array", "10", "-W", "--db", "d"]
    assert line.sbatch == ["-pgpu", "--time=5", "--mem=4G"]
    assert line.program == ["flow.py", "1"]


@pytest.mark.parametrize(
    "arguments",
    ["--array 10", "-p gpu --time 5", "--wrap x", "-- --dry-run", "--db", "-a", "- -x", ""],
)
@pytest.mark.parametrize("before", ["", "--array 3 -p cpu"])
def test_what_comes_after_the_program_is_its_own(before: str, arguments: str) -> None:
    line = take_apart(f"{before} flow.py {arguments}")

    assert line.program == ["flow.py", *arguments.split()]
    assert not line.is_command


@pytest.mark.parametrize("command", ["python any.py --array 3", "--wrap", "-- x", ""])
def test_what_comes_after_two_dashes_is_a_command(command: str) -> None:
    line = take_apart(f"--array 10 -p gpu -- {command}")

    assert line == CommandLine(["--array", "10"], ["-pgpu"], command.split(), is_command=True)


def test_words_with_spaces_stay_one_word() -> None:
    line = split(["--comment", "two words", "my flow.py", "a b"], valued=VALUED, flags=FLAGS)

    assert (line.sbatch, line.program) == (["--comment=two words"], ["my flow.py", "a b"])


def test_nothing_is_taken_apart_into_nothing() -> None:
    assert take_apart("") == CommandLine()


@pytest.mark.parametrize("option", ["--array", "-a", "--time", "-p"])
def test_an_option_without_its_value_is_named(option: str) -> None:
    with pytest.raises(UsageError, match=f"^{option} needs a value"):
        take_apart(f"-W {option}")


@pytest.mark.parametrize("given", ["--wrap hostname", "--wrap=hostname", "-p gpu --wrap x"])
def test_wrap_is_refused_with_what_to_write_instead(given: str) -> None:
    with pytest.raises(UsageError, match=r"-- COMMAND"):
        take_apart(given)


def test_the_arguments_are_not_used_up() -> None:
    arguments = ["--array", "3", "flow.py"]

    split(arguments, valued=VALUED, flags=FLAGS)

    assert arguments == ["--array", "3", "flow.py"]


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ("--output=a.out", "output", "a.out"),
        ("--output a=b", "output", "a=b"),
        ("-o a.out", "output", "a.out"),
        ("-oa.out", "output", "a.out"),
        ("-n4", "ntasks", "4"),
        ("-n 4", "ntasks", "4"),
        ("-t 5", "time", "5"),
        ("-M other", "clusters", "other"),
        ("-n4 --ntasks=8", "ntasks", "8"),
        ("--ntasks=8 -n4", "ntasks", "4"),
        ("--ntasks-per-node=2", "ntasks", None),
        ("-N4", "ntasks", None),
        ("--exclusive", "exclusive", None),
        ("", "output", None),
    ],
)
def test_the_value_of_an_sbatch_option_is_found_in_every_form_and_the_last_counts(
    given: str, name: str, value: str | None
) -> None:
    assert take_apart(f"{given} flow.py").sbatch_value(name) == value


def test_what_the_program_was_given_is_no_option_of_sbatch() -> None:
    assert take_apart("flow.py --output=mine").sbatch_value("output") is None
