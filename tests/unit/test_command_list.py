"""A list of commands becomes a graph, or the line is named that cannot be run."""

import json

import pytest

from slurmband.domain.command import Command, reason_of, signal_of
from slurmband.domain.command_list import FIELDS, read
from slurmband.domain.task import Task
from slurmband.errors import BadCommand, CyclicGraph

pytestmark = pytest.mark.unit


def ids(*lines: str) -> list[str]:
    return [task.id for task in read("\n".join(lines), "list.txt")]


def only(line: str) -> Task[Command]:
    (task,) = read(line, "list.txt")
    return task


def text_of(task: Task[Command]) -> str:
    assert task.data is not None
    return task.data.text


def test_each_line_is_a_command_and_comments_are_none() -> None:
    graph = read("# study\n\necho 'one' # two\r\n   echo three\n", "list.txt")

    assert [text_of(task) for task in graph] == ["echo 'one' # two", "echo three"]


def test_an_id_goes_by_the_command_and_not_by_its_line() -> None:
    before = ids("python fit.py --seed 1", "python fit.py --seed 2")
    after = ids(
        "# more", "python fit.py --seed 0", "python fit.py --seed 1", "python fit.py --seed 2"
    )

    assert after[1:] == before
    assert before[0] == "python-fit.py-seed-1-8dd01c4b364e"  # of every version, for ever


def test_a_command_that_stands_there_again_is_run_again() -> None:
    name, other = ids("./sample", "true")
    again = ids("./sample", "./sample", "true", "./sample")

    assert again == [name, f"{name}.2", other, f"{name}.3"]


def test_a_long_command_is_named_after_its_beginning_and_its_end() -> None:
    long = "python /home/ada/train.py --config configs/{}.yaml --alpha 0.3 --seed 7"
    one, two = ids(long.format("a"), long.format("b"))

    assert one.startswith("python-train.p..a.yaml-alpha-0.3-seed-7-")
    assert one != two


@pytest.mark.parametrize("command", ["|", "é", "{ true; }", "[ -e x ]"])
def test_any_command_has_an_id_that_means_nothing_to_a_shell(command: str) -> None:
    task = only(command)

    assert Command("{id}").can_hold(task.id)


def test_an_object_says_all_that_a_task_may_say() -> None:
    said = {
        "id": "fit",
        "command": "python fit.py\npython plot.py",
        "dependencies": ["load"],
        "requirements": ["gpu"],
        "priority": 5,
        "max_parallel_workers": 2,
        "kind": "fits",
        "time_limit": 1.5,
        "fingerprint": "v1",
        "max_failed_retries": 1,
        "max_killed_retries": 2,
        "max_oom_retries": 3,
        "max_time_limit_retries": 4,
        "on_oom": "mem:+50%",
        "on_time_limit": "time:x2",
        "cwd": "runs",
        "env": {"OMP_NUM_THREADS": 4, "NAME": "x"},
    }
    assert set(said) == set(FIELDS)

    task = read(f'{{"id":"load","command":"true"}}\n{json.dumps(said)}', "list.txt").tasks["fit"]

    assert task.data == Command(said["command"], "runs", {"OMP_NUM_THREADS": "4", "NAME": "x"})  # type: ignore[arg-type]  # it is a string
    assert (list(task.dependencies), list(task.requirements)) == (["load"], ["gpu"])
    plain = set(said) - {"command", "dependencies", "requirements", "fingerprint", "cwd", "env"}
    assert {name: getattr(task, name) for name in plain} == {name: said[name] for name in plain}


def test_an_object_without_an_id_is_named_as_its_command() -> None:
    assert ids('{"command": "./sample", "priority": 1, "cwd": null}') == ids("./sample")


@pytest.mark.parametrize(
    "other",
    [
        {"command": "echo 2"},
        {"cwd": "elsewhere"},
        {"env": {"X": "1"}},
        {"fingerprint": "input 2"},
    ],
)
def test_what_a_command_does_is_its_fingerprint_and_makes_another_graph(
    other: dict[str, object],
) -> None:
    line = {"id": "a", "command": "echo 1", "fingerprint": "input 1"}
    one, same, changed = (
        read(json.dumps(line | more), "list.txt") for more in ({}, {"priority": 3}, other)
    )

    assert one.tasks["a"].fingerprint == same.tasks["a"].fingerprint
    assert one.digest == same.digest
    assert one.tasks["a"].fingerprint != changed.tasks["a"].fingerprint
    assert one.digest != changed.digest


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "a"}', 'it has no "command"'),
        ('{"id": "a", "command": 1}', "its 'command' is 1, and must be a string"),
        ('{"id": "", "command": "x"}', "must be a string that is not empty"),
        ('{"command": " "}', "its command is empty"),
        ("echo \0", "holds a NUL character"),
        ('{"comand": "x"}', "'comand', which means nothing. Is it 'command'?"),
        ('{"command": "x", "zzz": 1}', "There are: command, cwd,"),
        ('{"command": "x",}', "it is no JSON object"),
        ('{"command": "x", "priority": true}', "must be a whole number"),
        ('{"command": "x", "time_limit": "1h"}', "must be a number of seconds"),
        ('{"command": "x", "dependencies": "a"}', "must be a list of strings"),
        ('{"command": "x", "env": {"A B": "1"}}', "must be an object of variables"),
        ('{"command": "x", "env": {"A": [1]}}', "must be an object of variables"),
        ("python fit.py \\", "it ends with a backslash"),
        ('{"id": "a", "command": "x", "dependencies": ["b"]}', "'a' depends on 'b', not in the"),
        ('{"id": "a", "command": "x", "dependencies": ["a"]}', "'a' depends on itself"),
        ('{"id": "a", "command": "x", "max_parallel_workers": 0}', "it is at least 1"),
        ('{"id": "a b", "command": "x > {id}"}', "would mean something to the shell"),
        ('{"id": "first", "command": "x"}', "the id 'first' stands in line 1 already"),
    ],
)
def test_a_line_that_cannot_be_run_is_named(line: str, said: str) -> None:
    with pytest.raises(BadCommand) as found:
        read(f'{{"id": "first", "command": "true"}}\n\n{line}\ntrue', "list.txt")

    assert str(found.value).startswith("list.txt:3: ")
    assert said in str(found.value)


def test_an_escaped_backslash_may_end_a_line() -> None:
    assert text_of(only("echo \\\\")) == "echo \\\\"


def test_a_list_without_a_command_is_refused() -> None:
    with pytest.raises(BadCommand, match=r"^list\.txt: there is no command"):
        read("# nothing\n\n", "list.txt")


def test_a_cycle_is_told() -> None:
    line = '{{"id": "{}", "command": "x", "dependencies": ["{}"]}}'
    with pytest.raises(CyclicGraph, match="'a' -> 'b' -> 'a'"):
        read("\n".join([line.format("a", "b"), line.format("b", "a")]), "list.txt")


def test_only_our_own_braces_are_filled_in() -> None:
    command = Command("f {id} ${id} {attempt} {ids} {} awk '{print $1}' ${attempt:-1} {a,b} {id}")

    filled = command.filled("fit-1", 2)

    assert filled == "f fit-1 ${id} 2 {ids} {} awk '{print $1}' ${attempt:-1} {a,b} fit-1"


def test_an_id_for_the_shell_is_no_matter_where_it_is_not_filled_in() -> None:
    assert only('{"id": "a b", "command": "echo ${id}"}').id == "a b"


@pytest.mark.parametrize(
    ("status", "reason", "number"),
    [
        (1, "exit status 1", None),
        (127, "exit status 127 (no such command)", None),
        (128, "exit status 128", None),
        (137, "exit status 137 (SIGKILL)", 9),
        (255, "exit status 255", None),
        (-15, "killed by SIGTERM", 15),
        (-40, "killed by signal 40", None),
    ],
)
def test_an_exit_status_is_told_in_words(status: int, reason: str, number: int | None) -> None:
    assert (reason_of(status), signal_of(status)) == (reason, number)
