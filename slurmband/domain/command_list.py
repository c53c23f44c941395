"""A list of commands as a graph: one command a line, plain or as a JSON object."""

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from slurmband.domain.budgets import NAMES
from slurmband.domain.command import Command
from slurmband.domain.graph import Graph, check
from slurmband.domain.task import Task
from slurmband.errors import BadCommand, BadTask, EmptyGraph, SelfDependency, UnknownDependency


def read(text: str, source: str) -> Graph:
    """Make a graph of a list of commands.

    Workers of one list do not work on another: a changed command makes another graph, also where its
    id and dependencies are the same.

    Parameters
    ----------
    text : str
        One command a line. Lines that are empty or begin with ``#`` mean nothing. A line that begins
        with ``{"`` is a JSON object.
    source : str
        What to call the list in messages: its file.

    Returns
    -------
    Graph
        Of tasks whose data is their `Command`.

    Raises
    ------
    BadCommand
        With the line that cannot be run, and why.
    CyclicGraph
    """
    lines = _Lines(text, source)
    try:
        return check(lines, source=source, with_fingerprints=True)
    except EmptyGraph as error:
        raise BadCommand(source, None, "there is no command in it. Write one a line.") from error
    except UnknownDependency as error:
        raise BadCommand(source, lines.numbers[error.task], str(error)) from error
    except (BadTask, SelfDependency) as error:
        raise BadCommand(source, lines.number, str(error)) from error


class _Lines:
    """The tasks of a list, one after the other, and where they stand."""

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self._source = source
        #: Line of the newest task, and of each id.
        self.number = 0
        self.numbers: dict[str, int] = {}

    def __iter__(self) -> Iterator[Task[Command]]:
        occurrences: dict[str, int] = {}
        for number, whole in enumerate(self._text.split("\n"), start=1):
            self.number, line = number, whole.strip()
            if not line or line.startswith("#"):
                continue
            try:
                task = _of_json(line) if _JSON.match(line) else _of_command(line)
            except ValueError as error:
                raise BadCommand(self._source, self.number, str(error)) from error
            if not task.id:  # a command that stands there again is run again
                name = task.data.name if task.data else ""
                count = occurrences[name] = occurrences.get(name, 0) + 1
                task = replace(task, id=name if count == 1 else f"{name}.{count}")
            self._check_id(task)
            self.numbers[task.id] = self.number
            yield task

    def _check_id(self, task: Task[Command]) -> None:
        before, command = self.numbers.get(task.id), task.data
        if before is not None:
            said = f"the id {task.id!r} stands in line {before} already. Give one of them another."
            raise BadCommand(self._source, self.number, said)
        if command is not None and not command.can_hold(task.id):
            said = (
                f"{{id}} stands in the command, and the id {task.id!r} would mean something to the "
                'shell. Write "$SLURMBAND_TASK_ID" instead, or give it another id.'
            )
            raise BadCommand(self._source, self.number, said)


#: How a line begins that is a JSON object; a group of shell commands has no quotation mark there.
_JSON: Final = re.compile(r"\{\s*\"")


def _of_command(line: str) -> Task[Command]:
    if (len(line) - len(line.rstrip("\\"))) % 2:
        raise ValueError(
            "it ends with a backslash, and a command is one line. Join it with the next, or write it as "
            "a JSON object."
        )
    return _task({}, Command(_whole(line)))


def _of_json(line: str) -> Task[Command]:
    try:
        given = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON object: {error.msg} at column {error.colno}.") from error
    said = {name: value for name, value in given.items() if value is not None}
    for name, value in said.items():
        _check_field(name, value)
    if "command" not in said:
        raise ValueError('it has no "command", which is what to run.')
    env = {name: str(value) for name, value in said.pop("env", {}).items()}
    return _task(said, Command(_whole(said.pop("command")), said.pop("cwd", None), env))


def _whole(command: str) -> str:
    if "\0" in command or not command.strip():
        raise ValueError("its command is empty, or holds a NUL character.")
    return command


def _task(said: Mapping[str, Any], command: Command) -> Task[Command]:
    """Make a task; its fingerprint is that of its command, and of what the user added to it."""
    of, added = command.digest, said.get("fingerprint")
    if added is not None:
        of = hashlib.sha256(f"{of}\0{added}".encode(errors="surrogatepass")).hexdigest()
    return Task(**{"id": "", **said, "data": command, "fingerprint": of})


# --- what an object may say -----------------------------------------------------------------------


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_whole_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list_of_text(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_environment(value: object) -> bool:
    return isinstance(value, dict) and all(
        re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
        and (isinstance(text, str) or _is_number(text))
        and "\0" not in str(text)
        for name, text in value.items()
    )


_KINDS: Final = {
    "a string": (_is_text, "command cwd kind fingerprint on_oom on_time_limit"),
    "a string that is not empty": (_is_id, "id"),
    "a whole number": (
        _is_whole_number,
        " ".join(("priority max_parallel_workers", *NAMES)),
    ),
    "a number of seconds": (_is_number, "time_limit"),
    "a list of strings": (_is_list_of_text, "dependencies requirements"),
    "an object of variables and their values": (_is_environment, "env"),
}
#: Field -> what it must be, and whether a value is that.
FIELDS: Final = {
    name: (words, is_one) for words, (is_one, names) in _KINDS.items() for name in names.split()
}


def _check_field(name: str, value: object) -> None:
    if name not in FIELDS:
        close = difflib.get_close_matches(name, FIELDS, n=1)
        advice = f"Is it {close[0]!r}?" if close else f"There are: {', '.join(sorted(FIELDS))}."
        raise ValueError(f"it has a field {name!r}, which means nothing. {advice}")
    words, is_one = FIELDS[name]
    if not is_one(value):
        raise ValueError(f"its {name!r} is {json.dumps(value)}, and must be {words}.")
